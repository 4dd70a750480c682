//! Import cycles between the files of one room.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::modules::{Edge, House};

/// The groups of files each of which reaches all others of its group, with the edges inside.
pub(crate) fn cycles(edges: &[Edge]) -> Vec<Vec<Edge>> {
    let mut next: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for edge in edges {
        next.entry(&edge.from).or_default().insert(&edge.to);
    }
    let reach: BTreeMap<&Path, BTreeSet<&Path>> =
        next.keys().map(|&from| (from, reach(&next, from))).collect();
    let reaches = |from: &Path, to: &Path| reach.get(from).is_some_and(|reach| reach.contains(to));

    let mut groups: BTreeMap<&Path, Vec<Edge>> = BTreeMap::new();
    for edge in edges.iter().filter(|edge| reaches(&edge.to, &edge.from)) {
        let first = reach[edge.from.as_path()].iter().find(|&&file| reaches(file, &edge.from));
        if let Some(first) = first {
            groups.entry(first).or_default().push(edge.clone());
        }
    }
    groups.into_values().collect()
}

fn reach<'a>(next: &BTreeMap<&'a Path, BTreeSet<&'a Path>>, from: &Path) -> BTreeSet<&'a Path> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        let new = next.get(file).into_iter().flatten().filter(|&&to| found.insert(to));
        open.extend(new.copied().collect::<Vec<_>>());
    }
    found
}

/// The files of a cycle and each name that one takes from another.
pub(crate) fn describe(cycle: &[Edge]) -> String {
    let files: BTreeSet<&PathBuf> = cycle.iter().map(|edge| &edge.from).collect();
    let mut text = format!("{} files in an import cycle:\n", files.len());
    for edge in cycle {
        let Edge { from, line, to, name } = edge;
        let _ = writeln!(text, "  src/{}:{line} takes {name} from src/{}", from.display(), to.display());
    }
    text
}

fn found(files: &[(&str, &str)]) -> Vec<String> {
    let files = [&[("lib.rs", "mod r;")], files].concat();
    let sources: Vec<_> =
        files.iter().map(|(path, source)| (PathBuf::from(path), (*source).to_owned())).collect();
    let cycles = cycles(&House::read(&sources).edges());
    let edge = |edge: &Edge| format!("{} > {} {}", edge.from.display(), edge.to.display(), edge.name);
    cycles.iter().map(|cycle| cycle.iter().map(edge).collect::<Vec<_>>().join(", ")).collect()
}

#[test]
fn two_files_that_take_from_each_other_are_a_cycle() {
    let files = [
        ("r/mod.rs", "mod a;\nmod b;\nmod c;"),
        ("r/a.rs", "use super::b::B;\npub struct A(B);"),
        ("r/b.rs", "pub struct B;\nfn f(_: super::a::A) {}"),
        ("r/c.rs", "use super::{a::A, b::B};"),
    ];

    assert_eq!(found(&files), ["r/a.rs > r/b.rs B, r/b.rs > r/a.rs A"]);
}

#[test]
fn a_cycle_is_found_over_three_files_and_in_every_spelling() {
    let files = [
        ("r/mod.rs", "mod a;\nmod b;\nmod c;"),
        ("r/a.rs", "use crate::r::{b, c::{self}};\nfn f() { b::g() }"),
        ("r/b.rs", "pub fn g() { log!(\"{}\", self::super::super::r::c::h::<u8>()) }"),
        ("r/c.rs", "pub fn h() -> <super::a::A as Into<u8>>::X {}"),
    ];

    assert_eq!(found(&files), ["r/a.rs > r/b.rs g, r/b.rs > r/c.rs h, r/c.rs > r/a.rs A"]);
}

#[test]
fn two_cycles_are_told_apart() {
    let files = [
        ("r/mod.rs", ""),
        ("r/a.rs", "use super::b::B; use super::d::D; struct A;"),
        ("r/b.rs", "use super::a::A; struct B;"),
        ("r/c.rs", "use super::d::D; struct C;"),
        ("r/d.rs", "use super::c::C; struct D;"),
    ];

    assert_eq!(found(&files).len(), 2);
}

#[test]
fn a_child_that_takes_from_the_parent_that_uses_it_is_a_cycle() {
    let files = [
        ("r/mod.rs", "mod a;\npub struct R;\nfn f() { a::A.run() }"),
        ("r/a.rs", "use super::R;\npub struct A;"),
    ];

    assert_eq!(found(&files), ["r/a.rs > r/mod.rs R, r/mod.rs > r/a.rs A"]);
}

#[test]
fn a_child_may_take_from_a_parent_that_only_declares_it_or_passes_it_on() {
    let files = [
        ("r/mod.rs", "mod a;\npub(crate) use a::A;\npub struct R;"),
        ("r/a.rs", "use super::R;\npub struct A;"),
    ];

    assert_eq!(found(&files), [""; 0]);
}

#[test]
fn a_name_that_a_parent_passes_on_leads_to_the_child_that_defines_it() {
    let files = [
        ("r/mod.rs", "mod a;\nmod b;\npub use a::A;\npub(crate) use b::B as Bee;"),
        ("r/a.rs", "use super::Bee;\npub struct A;"),
        ("r/b.rs", "use crate::r::A;\npub struct B;"),
    ];

    assert_eq!(found(&files), ["r/a.rs > r/b.rs B, r/b.rs > r/a.rs A"]);
}

#[test]
fn a_parent_that_passes_on_what_it_uses_too_depends_on_the_child() {
    let files =
        [("r/mod.rs", "mod a;\npub use a::A;\npub struct R(A);"), ("r/a.rs", "use super::R;\npub struct A;")];

    assert_eq!(found(&files), ["r/a.rs > r/mod.rs R, r/mod.rs > r/a.rs A"]);
}

#[test]
fn a_module_and_a_function_of_one_name_are_told_apart() {
    let files = [
        ("r/mod.rs", "mod ask;\nmod b;\npub use ask::ask;"),
        ("r/ask.rs", "pub fn ask() { super::b::g() }"),
        ("r/b.rs", "use super::ask;\npub fn g() { ask() }"),
    ];

    assert_eq!(found(&files), ["r/ask.rs > r/b.rs g, r/b.rs > r/ask.rs ask"]);
}

#[test]
fn what_is_named_in_tests_comments_strings_and_other_crates_is_no_edge() {
    let files = [
        ("r/mod.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod tests;"),
        ("r/a.rs", "use super::b::B;\nuse fmt::b;\npub struct A;\n"),
        (
            "r/b.rs",
            "// super::a::A\nconst X: &str = \"super::a::A\";\n#[cfg(test)]\nmod tests { use super::super::a::A; }\n#[cfg(test)]\nuse super::a::A;\npub struct B;",
        ),
        ("r/tests.rs", "use super::a::A;\npub struct T;"),
    ];

    assert_eq!(found(&files), [""; 0]);
}

#[test]
fn a_cycle_is_told_with_its_lines_and_names() {
    let edge = |from: &str, line, to: &str, name: &str| Edge {
        from: from.into(),
        line,
        to: to.into(),
        name: name.into(),
    };

    let text = describe(&[edge("r/a.rs", 3, "r/b.rs", "B"), edge("r/b.rs", 7, "r/a.rs", "A")]);

    assert_eq!(
        text,
        "2 files in an import cycle:\n  src/r/a.rs:3 takes B from src/r/b.rs\n  src/r/b.rs:7 takes A from src/r/a.rs\n"
    );
}
