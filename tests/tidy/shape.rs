//! The length limits of files and functions, and the place of a folder's own file.

use std::path::PathBuf;

use crate::tokens::{close, tokens, without_tests};

const MAX_FILE: usize = 350;
const MAX_FUNCTION: usize = 60;

/// A file's lines but for those of its inline tests, where they are too many.
pub(crate) fn too_long(source: &str) -> Option<usize> {
    let mut lines = source.lines().count();
    let all = tokens(source);
    for (at, token) in all.iter().enumerate().filter(|(_, token)| token.is("cfg")) {
        let is_mod = all.get(at + 5).is_some_and(|token| token.is("mod"))
            && all.get(at + 7).is_some_and(|token| token.is("{"));
        if is_mod && all[at + 2].is("test") {
            lines -= all[close(&all, at + 7)].line - token.line + 1;
        }
    }
    (lines > MAX_FILE).then_some(lines)
}

/// Functions with too many lines, from `fn` to the last brace; those of tests do not count.
pub(crate) fn long_functions(source: &str) -> Vec<(String, usize)> {
    let (code, _) = without_tests(&tokens(source));
    let mut found = Vec::new();
    for (at, token) in code.iter().enumerate().filter(|(_, token)| token.is("fn")) {
        let Some(name) = code.get(at + 1).filter(|token| token.is_word()) else { continue };
        let body = (at..code.len()).find(|&i| code[i].is("{") || code[i].is(";"));
        let Some(open) = body.filter(|&i| code[i].is("{")) else { continue };
        let lines = code[close(&code, open)].line - token.line + 1;
        if lines > MAX_FUNCTION {
            found.push((name.text.clone(), lines));
        }
    }
    found
}

/// `foo.rs` beside `foo/`.
pub(crate) fn beside_their_folder(files: &[PathBuf]) -> Vec<PathBuf> {
    let is_folder = |file: &PathBuf| files.iter().any(|other| other.starts_with(file.with_extension("")));
    files.iter().filter(|file| is_folder(file)).cloned().collect()
}

#[test]
fn a_file_is_measured_without_its_inline_tests() {
    let source = "fn a() {}\n".repeat(MAX_FILE);

    assert_eq!(too_long(&source), None);
    assert_eq!(too_long(&format!("{source}#[cfg(test)]\nmod tests {{\n\n}}\n")), None);
    assert_eq!(too_long(&format!("{source}\n")), Some(MAX_FILE + 1));
}

#[test]
fn a_long_function_is_named_with_its_length() {
    let body = "    x();\n".repeat(MAX_FUNCTION - 1);
    let source = format!(
        "fn fits() {{\n{}}}\ntype F = fn(u8);\ntrait T {{ fn f(); }}\nfn long() {{\n{body}}}\n#[cfg(test)]\nmod tests {{ fn g() {{\n{body}\n}} }}",
        "    x();\n".repeat(MAX_FUNCTION - 2)
    );

    assert_eq!(long_functions(&source), [("long".to_owned(), MAX_FUNCTION + 1)]);
}

#[test]
fn a_file_beside_its_folder_is_found() {
    let files = ["a/mod.rs", "a/b.rs", "c.rs", "c/d.rs", "e.rs"].map(PathBuf::from);

    assert_eq!(beside_their_folder(&files), [PathBuf::from("c.rs")]);
}
