//! Keeps the house as it is drawn: the order of its rooms, no import cycle inside one, nothing too long, and the example that
//! shows every key.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

mod cycles;
mod modules;
mod shape;
mod tokens;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use loopgate::{config, plan};

use cycles::{cycles, describe};
use modules::House;
use shape::{beside_their_folder, long_functions, too_long};

/// The rooms, lowest first; a room uses only rooms listed before it, and rooms of one line do not use each other.
const LAYERS: &[&[&str]] = &[
    &["units"],
    &["address"],
    &["sys"],
    &["outcome"],
    &["ledger"],
    &["acl", "limits", "balance", "client_hello"],
    &["proxy_protocol"],
    &["probe"],
    &["diagnosis"],
    &["transport"],
    &["relay"],
    &["config"],
    &["plan"],
    &["engine"],
    &["tunnel"],
    &["sources", "doctor", "import", "bench"],
    &["cli"],
];

/// Rooms whose files still form cycles or are too long; the list is to become empty.
const EXCUSED: &[&str] = &[];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}

/// `src/plan/build.rs` and `src/plan.rs` → `plan`; `src/lib.rs` and `src/main.rs` are no rooms.
fn room(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = Path::new(inside.iter().next().unwrap()).file_stem().unwrap().to_str().unwrap();
    (first != "lib" && first != "main").then(|| first.to_owned())
}

/// The first words after each `crate::`, one or several in braces.
fn uses(source: &str) -> BTreeSet<String> {
    let code =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, name) in code.match_indices("crate::") {
        let rest = &code[at + name.len()..];
        match rest.strip_prefix('{') {
            None => found.extend([word(rest)]),
            Some(inside) => found.extend(first_words(inside).into_iter().map(|path| word(path.trim()))),
        }
    }
    found
}

/// `a::{b, c}, d}` → `a::{b, c}` and `d`: the parts between the commas of the outermost braces.
fn first_words(inside: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&inside[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

#[test]
fn a_room_uses_only_what_stands_before_it() {
    let mut edges = 0;
    let mut wrong = Vec::new();

    for path in sources(&root().join("src")) {
        let Some(room) = room(&path) else { continue };
        let Some(own) = layer(&room) else {
            wrong.push(format!("{}: {room} has no place in LAYERS", path.display()));
            continue;
        };
        for used in uses(&fs::read_to_string(&path).unwrap()).into_iter().filter(|used| *used != room) {
            edges += 1;
            if layer(&used).is_none_or(|layer| layer >= own) {
                wrong.push(format!("{}: {room} uses {used}, which does not stand before it", path.display()));
            }
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(edges >= 10, "only {edges} edges found");
}

/// All files of `src`, by their path below it, with their text.
fn files() -> Vec<(PathBuf, String)> {
    let src = root().join("src");
    let read = |path: PathBuf| {
        let source = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(&src).unwrap().to_owned(), source)
    };
    let files: Vec<_> = sources(&src).into_iter().map(read).collect();
    assert!(files.len() > 100, "only {} files found", files.len());
    files
}

fn is_excused(path: &Path) -> bool {
    room(&root().join("src").join(path)).is_some_and(|room| EXCUSED.contains(&room.as_str()))
}

#[test]
fn no_file_of_a_room_depends_on_itself_through_others() {
    let edges = House::read(&files()).edges();
    assert!(edges.len() > 500, "only {} edges found", edges.len());

    let held = cycles(&edges).into_iter().filter(|cycle| !is_excused(&cycle[0].from));
    let wrong: Vec<String> = held.map(|cycle| describe(&cycle)).collect();

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_and_no_function_is_too_long() {
    let mut wrong = Vec::new();
    for (path, source) in files().iter().filter(|(path, _)| !is_excused(path)) {
        wrong.extend(too_long(source).map(|lines| format!("src/{} has {lines} lines", path.display())));
        for (name, lines) in long_functions(source) {
            wrong.push(format!("src/{}: {name} has {lines} lines", path.display()));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_file_of_a_folder_is_its_mod_rs() {
    let files = sources(&root().join("src"));

    assert_eq!(beside_their_folder(&files), Vec::<PathBuf>::new());
}

#[test]
fn the_map_names_every_room_from_the_lowest_to_the_highest() {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows = map.lines().filter_map(|line| line.strip_prefix("//! | ")?.split(" | ").next());
    let names = rows.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches(['[', ']', '`']));
    let named: Vec<&str> = names.filter(|name| *name != "room").collect();

    let all: BTreeSet<&str> = LAYERS.iter().copied().flatten().copied().collect();
    assert_eq!(named.iter().copied().collect::<BTreeSet<_>>(), all);
    assert!(named.is_sorted_by_key(|room| layer(room)), "{named:?}");
}

#[test]
fn uses_are_found_in_every_spelling() {
    let source = "use crate::{a::{b, c}, d};\nlet x = crate::e::f();\n// crate::g\n//! crate::h\nuse crate::{\n    i,\n};";

    assert_eq!(uses(source), ["a", "d", "e", "i"].map(String::from).into());
}

fn example() -> String {
    fs::read_to_string(root().join("config.example.toml")).unwrap()
}

/// `[table]` or `[[table]]`, shown or left out.
fn header_of(line: &str) -> Option<&str> {
    let inside = line.strip_prefix("# ").unwrap_or(line).strip_prefix('[')?.strip_suffix(']')?;
    Some(inside.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(inside))
}

/// `key = value`, shown or left out, and nothing that is prose.
fn key_of(line: &str) -> Option<&str> {
    let line = line.strip_prefix("# ").unwrap_or(line);
    let (key, _) = line.split_once(" = ")?;
    key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_').then_some(key)
}

#[test]
fn the_example_shows_every_key_and_no_other() {
    let mut table = String::new();
    let mut shown = BTreeSet::new();
    for line in example().lines() {
        if let Some(header) = header_of(line) {
            let mut parts: Vec<&str> = header.split('.').collect();
            if let ["routes" | "tunnels", name, ..] = &mut parts[..] {
                *name = "NAME";
            }
            table = parts.join(".");
        } else if let Some(key) = key_of(line) {
            shown.insert(if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") });
        }
    }

    assert_eq!(shown, config::keys().into_iter().collect());
    assert!(shown.len() > 10);
}

#[test]
fn the_example_says_of_each_key_what_its_declaration_says() {
    let wanted = config::example(&example());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join("config.example.toml"), &wanted).unwrap();
    }

    assert!(example() == wanted, "UPDATE=1 cargo test --test tidy writes config.example.toml anew");
}

#[test]
fn what_the_example_shows_is_the_default() {
    let least = "[routes.web]\nlisten = \"127.0.0.1:62893\"\ntarget = \"127.0.0.1:3000\"\n\
                 [routes.dns]\nlisten = \"127.0.0.1:5353\"\ntarget = \"127.0.0.1:53\"\nprotocol = \"udp\"\n";

    let shown =
        plan::parse("config.example.toml", &example(), &[]).unwrap_or_else(|problems| panic!("{problems}"));

    assert_eq!(Ok(shown), plan::parse("least", least, &[]));
}

/// The secret key of the first test of RFC 8032, section 7.1.
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

#[test]
fn what_the_example_leaves_out_loads_too() {
    let uncommented = |line: &str| match key_of(line).or(header_of(line)) {
        Some(_) => line.strip_prefix("# ").unwrap_or(line).to_owned() + "\n",
        None => line.to_owned() + "\n",
    };
    let all: String = example().lines().map(uncommented).collect();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("tunnel.key");
    fs::write(&key, PRIVATE_KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let all = all.replace("\"tunnel.key\"", &format!("{:?}", key.display().to_string()));

    let plan = plan::parse("tests/configs/files/config.example.toml", &all, &[])
        .unwrap_or_else(|problems| panic!("{problems}"));

    assert_eq!(plan.limits.connections, Some(10_000));
}
