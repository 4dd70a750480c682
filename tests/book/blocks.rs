//! What a reader copies from README and the book works: configurations load, commands are taken.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use loopgate::plan;

use crate::pages::{all, anchor, answer, blocks, commands, listed, prose, read, root};

/// The secret key of the first test of RFC 8032, section 7.1.
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

fn key_of_a_machine() -> tempfile::TempDir {
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("tunnel.key");
    fs::write(&key, PRIVATE_KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let files = fs::read_dir(root().join("tests/configs/files")).unwrap().map(Result::unwrap);
    for file in files.filter(|file| file.path().is_file()) {
        fs::copy(file.path(), keys.path().join(file.file_name())).unwrap();
    }
    // A tunnel that was made by pairing, for a block that includes it.
    fs::create_dir(keys.path().join("tunnels.d")).unwrap();
    fs::set_permissions(keys.path().join("tunnels.d"), fs::Permissions::from_mode(0o700)).unwrap();
    let paired = keys.path().join("tunnels.d/paired.toml");
    let other = "ed25519:J4EX_BRMcjQPZ9DyMW6Dhs7_vysKKMnFH-98WX8dQm4";
    fs::write(&paired, format!("[tunnels.paired]\npublic_key = \"{other}\"\n")).unwrap();
    fs::set_permissions(&paired, fs::Permissions::from_mode(0o600)).unwrap();
    keys
}

/// Where a configuration stands whose files are all there: certificates and lists lie in one folder, and the key of a machine
/// is for its owner alone.
fn beside(keys: &tempfile::TempDir, text: &str, name: &str) -> String {
    match text.contains("[tunnel") {
        true => keys.path().join(name).display().to_string(),
        false => format!("tests/configs/files/{name}"),
    }
}

#[test]
fn every_configuration_loads() {
    let mut loaded = 0;
    let keys = key_of_a_machine();

    for page in all() {
        for block in blocks(&read(&page), "toml") {
            if let Err(problems) = plan::parse(&beside(&keys, &block, "page.md"), &block, &[]) {
                panic!("{}: {problems}\n{block}", page.display());
            }
            loaded += 1;
        }
    }

    assert!(loaded > 40, "only {loaded} found");
}

/// The command lines that run loopgate: lines of shell blocks, lines after a prompt, and words between backticks.
fn command_lines(text: &str) -> Vec<String> {
    let shell = blocks(text, "sh").join("");
    let shown = blocks(text, "text").join("");
    let prompts = shown.lines().filter_map(|line| line.strip_prefix("$ "));
    let prose = prose(text);
    let spans = prose.split('`').skip(1).step_by(2);
    let all = shell.lines().chain(prompts).chain(spans).filter(|line| line.starts_with("loopgate "));
    let cut = |line: &str| {
        let end = [" #", " > ", " | ", " < ", " 2>"].iter().filter_map(|mark| line.find(mark)).min();
        line[..end.unwrap_or(line.len())].trim().to_owned()
    };
    all.map(cut).collect()
}

/// Placeholders: `CODE`, `FILE`, `bash|zsh|fish`, `…`.
fn is_placeholder(word: &str) -> bool {
    word.contains(['|', '…']) || word.chars().all(|c| c.is_ascii_uppercase() || c == '-')
}

/// The folder of a machine that has a key, and a configuration with the tunnel `vps`.
fn machine() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("loopgate");
    fs::create_dir(&state).unwrap();
    for key in [folder.path().join("tunnel.key"), state.join("tunnel.key")] {
        fs::write(&key, PRIVATE_KEY).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let tunnel = "[tunnels.vps]\nconnect = \"vps:4433\"\npublic_key = \"ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw\"\n";
    fs::write(folder.path().join("loopgate.toml"), tunnel).unwrap();
    folder
}

/// Why a command line would not be taken.
fn wrong(line: &str, known: &[String]) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().skip(1).map(|word| word.trim_matches('\'')).collect();
    let Some(command) = known.iter().find(|command| words.first() == Some(&command.as_str())) else {
        let routes: Vec<&str> = words.iter().copied().filter(|word| !is_placeholder(word)).collect();
        let machine = machine();
        let mut command = Command::new(env!("CARGO_BIN_EXE_loopgate"));
        command
            .env("XDG_STATE_HOME", machine.path())
            .env("LOOPGATE_CONFIG", machine.path().join("loopgate.toml"));
        let output = command.arg("validate").args(routes).output().unwrap();
        return (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned());
    };
    let help = answer(&[command, "--help"]);
    let nested = listed(&help).into_iter().find(|nested| words.get(1) == Some(&nested.as_str()));
    let help = nested.map_or(help, |nested| answer(&[command, &nested, "--help"]));
    let ours = words.iter().skip(1).take_while(|word| **word != "--");
    let options = ours.filter(|word| word.starts_with('-') && word.len() > 1);
    let unknown: Vec<&str> = options.copied().filter(|option| !help.contains(option)).collect();
    (!unknown.is_empty()).then(|| format!("{command} has no {}", unknown.join(", ")))
}

#[test]
fn every_command_line_is_taken() {
    let known = commands();
    let mut lines = BTreeSet::new();
    for page in all() {
        lines.extend(command_lines(&read(&page)).into_iter().map(|line| (line, page.clone())));
    }

    for (line, page) in &lines {
        if let Some(why) = wrong(line, &known) {
            panic!("{}: {line}: {why}", page.display());
        }
    }

    assert!(lines.len() > 40, "only {} found", lines.len());
    for command in &known {
        let named = lines.iter().any(|(line, _)| line.split(' ').nth(1) == Some(command));
        assert!(named, "no page shows loopgate {command}");
    }
}

#[test]
fn every_example_loads_and_a_page_leads_to_it() {
    let pages: Vec<String> = all().iter().map(read).collect();
    let mut loaded = 0;
    let keys = key_of_a_machine();

    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".toml") {
            continue;
        }
        let text = read(format!("examples/{name}"));
        assert!(text.starts_with("# "), "{name} does not begin by saying what it is for");
        plan::parse(&beside(&keys, &text, &name), &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        let link = format!("examples.md#{})", anchor(&name));
        assert!(pages.iter().any(|page| page.contains(&link)), "no page leads to {link}");
        loaded += 1;
    }

    assert!(loaded > 20, "only {loaded} found");
}

/// Every line that is no comment, with the key of some other machine where one is to be pasted.
fn bare(imported: &str) -> String {
    let lines = imported.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let one = |line: &str| match line.starts_with("public_key = ") {
        true => "public_key = …".to_owned(),
        false => line.to_owned(),
    };
    lines.map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_file_of_another_program_is_imported_as_the_block_behind_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut imported = 0;

    for page in all() {
        let text = read(&page);
        let parts: Vec<&str> = text.split("\n```toml,theirs\n").collect();
        for part in &parts[1..] {
            let (theirs, rest) = part.split_once("\n```\n").unwrap();
            let file = folder.path().join("theirs.toml");
            fs::write(&file, theirs).unwrap();
            let output =
                Command::new(env!("CARGO_BIN_EXE_loopgate")).arg("import").arg(&file).output().unwrap();
            let ours = bare(std::str::from_utf8(&output.stdout).unwrap());
            assert!(!ours.is_empty(), "{}: {}", page.display(), String::from_utf8_lossy(&output.stderr));
            let wanted = bare(&blocks(rest, "toml")[0]);
            // A page may add what the import asks for.
            assert!(wanted.starts_with(&ours), "{}: wanted\n{wanted}\ngot\n{ours}", page.display());
            imported += 1;
        }
    }

    assert!(imported >= 4, "only {imported} found");
}
