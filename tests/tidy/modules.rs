//! The files of a crate as its modules, and which of them names something of which other.
//!
//! A file is a module; a folder's `mod.rs` is a separate file. An edge goes to the file that defines what is named: a
//! name that a `mod.rs` passes on (`pub use child::Thing`) leads to the child, and naming a module alone (`use
//! super::child;`) is no edge, only what is then taken from it. So `pub use child::Thing` makes a `mod.rs` depend on
//! its child as little as `mod child;` does, unless its own code says `Thing` too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tokens::{Token, close, tokens, without_tests};

/// A module's path from the crate: `["diagnosis", "reach"]`.
type Module = Vec<String>;

/// A name taken from another file, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: PathBuf,
    pub(crate) line: usize,
    pub(crate) to: PathBuf,
    pub(crate) name: String,
}

/// How often a name is followed through `use` before it is given up.
const MAX_ALIASES: usize = 16;

struct File {
    path: PathBuf,
    code: Vec<Token>,
    uses: Vec<Use>,
    items: BTreeSet<String>,
}

struct Use {
    /// The name it has here; `*` for all.
    name: String,
    path: Vec<String>,
    line: usize,
    public: bool,
}

enum Found {
    Module,
    Item(Module, String),
}

pub(crate) struct House {
    files: BTreeMap<Module, File>,
}

impl House {
    /// Paths are those below `src`; what only tests compile is left out.
    pub(crate) fn read(sources: &[(PathBuf, String)]) -> Self {
        let mut tests: Vec<Module> = Vec::new();
        let mut files = BTreeMap::new();
        for (path, source) in sources {
            let Some(module) = module_of(path) else { continue };
            let (code, test_modules) = without_tests(&tokens(source));
            tests.extend(test_modules.into_iter().map(|name| child(&module, &name)));
            let (uses, code) = split_uses(&code);
            let items = items(&code);
            files.insert(module, File { path: path.clone(), code, uses, items });
        }
        files.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        Self { files }
    }

    /// Every name that a file takes from another, each pair of files and name once.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        let mut found = BTreeMap::new();
        for (module, file) in &self.files {
            let code =
                file.code.iter().enumerate().filter(|(at, _)| *at == 0 || !file.code[at - 1].is("mod"));
            let words: BTreeSet<&str> = code.map(|(_, token)| token.text.as_str()).collect();
            let used = file.uses.iter().filter(|used| !used.public || words.contains(used.name.as_str()));
            let paths = used.map(|used| (used.path.clone(), used.line)).chain(paths(&file.code));
            for (path, line) in paths {
                let Some(Found::Item(to, name)) = self.resolve(module, &path, 0) else { continue };
                if let Some(to) = self.files.get(&to).filter(|_| to != *module) {
                    found.entry((&file.path, &to.path, name)).or_insert(line);
                }
            }
        }
        let edge = |((from, to, name), line): ((&PathBuf, &PathBuf, String), usize)| {
            let (from, to) = (from.clone(), to.clone());
            Edge { from, line, to, name }
        };
        found.into_iter().map(edge).collect()
    }

    /// The item that a path in `module` refers to; `None` for other crates.
    fn resolve(&self, module: &Module, path: &[String], aliases: usize) -> Option<Found> {
        let first = path.first()?.as_str();
        let mut start = if first == "crate" { Module::new() } else { module.clone() };
        let mut rest = if matches!(first, "crate" | "self") { &path[1..] } else { path };
        while let Some((_, further)) = rest.split_first().filter(|(word, _)| *word == "super") {
            start.pop();
            rest = further;
        }
        let found = self.walk(&start, rest, aliases);
        match rest.first() {
            // Written by a macro, or behind a derive: still an item of that module.
            Some(name) if found.is_none() && rest.len() < path.len() => {
                Some(Found::Item(start, name.clone()))
            }
            _ => found,
        }
    }

    fn walk(&self, module: &Module, path: &[String], aliases: usize) -> Option<Found> {
        let Some((name, rest)) = path.split_first() else { return Some(Found::Module) };
        let file = self.files.get(module)?;
        let inner = child(module, name);
        if self.files.contains_key(&inner) && !rest.is_empty() {
            return self.walk(&inner, rest, aliases).or_else(|| Some(Found::Item(inner, rest[0].clone())));
        }
        if file.items.contains(name) {
            return Some(Found::Item(module.clone(), name.clone()));
        }
        if aliases < MAX_ALIASES {
            for used in file.uses.iter().filter(|used| used.name == *name || used.name == "*") {
                let mut path = used.path.clone();
                path.extend((used.name == "*").then(|| name.clone()));
                path.extend_from_slice(rest);
                let found = match used.name == "*" && matches!(path[0].as_str(), "crate" | "self" | "super") {
                    true => self.resolve(module, &path, aliases + 1).filter(|found| self.is_real(found)),
                    false => self.resolve(module, &path, aliases + 1),
                };
                match found {
                    Some(Found::Module) if self.files.contains_key(&inner) => {}
                    Some(found) => return Some(found),
                    None => {}
                }
            }
        }
        self.files.contains_key(&inner).then_some(Found::Module)
    }

    fn is_real(&self, found: &Found) -> bool {
        match found {
            Found::Module => true,
            Found::Item(module, name) => self.files.get(module).is_some_and(|file| file.items.contains(name)),
        }
    }
}

/// `plan/mod.rs` and `plan.rs` → `["plan"]`; `lib.rs` → the crate itself; `main.rs` is another crate.
fn module_of(path: &Path) -> Option<Module> {
    let mut module: Module =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    match module.last()?.as_str() {
        "main" if module.len() == 1 => return None,
        "lib" if module.len() == 1 => module.clear(),
        "mod" => module.truncate(module.len() - 1),
        _ => {}
    }
    Some(module)
}

fn child(module: &Module, name: &str) -> Module {
    module.iter().map(String::as_str).chain([name]).map(str::to_owned).collect()
}

/// The `use` declarations, and the tokens without them.
fn split_uses(code: &[Token]) -> (Vec<Use>, Vec<Token>) {
    let (mut uses, mut rest, mut at) = (Vec::new(), Vec::new(), 0);
    while at < code.len() {
        // `-> impl Fn() + use<'a>` is no declaration.
        if !code[at].is("use") || code.get(at + 1).is_none_or(|next| next.is("<")) {
            rest.push(code[at].clone());
            at += 1;
            continue;
        }
        let public = at > 0 && (code[at - 1].is("pub") || code[at - 1].is(")"));
        let end = (at..code.len()).find(|&i| code[i].is(";")).unwrap_or(code.len());
        use_tree(&code[at + 1..end], &[], public, &mut uses);
        at = end + 1;
    }
    (uses, rest)
}

fn use_tree(tree: &[Token], before: &[String], public: bool, uses: &mut Vec<Use>) {
    let (mut path, mut at) = (before.to_vec(), 0);
    while at < tree.len() {
        match tree[at].text.as_str() {
            "{" => {
                let end = close(tree, at);
                for part in parts(&tree[at + 1..end]) {
                    use_tree(part, &path, public, uses);
                }
                return;
            }
            "*" => return uses.push(Use { name: "*".to_owned(), path, line: tree[at].line, public }),
            "as" => break,
            "self" if !path.is_empty() => {}
            "::" => {}
            word => path.push(word.to_owned()),
        }
        at += 1;
    }
    let renamed = tree.get(at).filter(|token| token.is("as")).and_then(|_| tree.get(at + 1));
    let name = renamed.map(|token| token.text.clone()).or_else(|| path.last().cloned());
    if let (Some(name), Some(first)) = (name, tree.first()) {
        uses.push(Use { name, path, line: first.line, public });
    }
}

/// The parts between the commas of the outermost level.
fn parts(tree: &[Token]) -> Vec<&[Token]> {
    let (mut found, mut start, mut at) = (Vec::new(), 0, 0);
    while at < tree.len() {
        match tree[at].text.as_str() {
            "{" => at = close(tree, at),
            "," => {
                found.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    found.push(&tree[start..]);
    found
}

/// The names that a module itself defines.
fn items(code: &[Token]) -> BTreeSet<String> {
    let (mut found, mut at) = (BTreeSet::new(), 0);
    while at < code.len() {
        match code[at].text.as_str() {
            "{" | "(" | "[" => at = close(code, at),
            "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" | "macro_rules" => {
                let name = code[at + 1..].iter().take(2).find(|token| token.is_word());
                found.extend(name.map(|token| token.text.clone()));
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Every `a::b::c` of the code, `super` counted from the file even within a `mod x { … }` of it.
fn paths(code: &[Token]) -> Vec<(Vec<String>, usize)> {
    let (mut found, mut at) = (Vec::new(), 0);
    let mut inline_ends: Vec<usize> = Vec::new();
    while at < code.len() {
        inline_ends.retain(|&end| end > at);
        if code[at].is("mod") && code.get(at + 2).is_some_and(|token| token.is("{")) {
            inline_ends.push(close(code, at + 2));
        }
        let begins = code[at].is_word() && (at == 0 || !matches!(code[at - 1].text.as_str(), "::" | "."));
        let mut end = at + 1;
        while begins
            && code.get(end).is_some_and(|token| token.is("::"))
            && code.get(end + 1).is_some_and(Token::is_word)
        {
            end += 2;
        }
        if end > at + 1 {
            let mut path: Vec<String> =
                code[at..end].iter().step_by(2).map(|token| token.text.clone()).collect();
            let supers = path.iter().take_while(|word| *word == "super").count().min(inline_ends.len());
            path.drain(..supers);
            if path.len() > 1 {
                found.push((path, code[at].line));
            }
        }
        at = end;
    }
    found
}
