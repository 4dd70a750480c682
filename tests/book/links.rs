//! Every link leads somewhere, and every page is found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::pages::{all, anchor, cells, headings, pages, prose, read, root, words};

/// A link of a page: the file it leads to, as a path below the package, and the heading in it.
struct Link {
    page: PathBuf,
    written: String,
    file: PathBuf,
    heading: Option<String>,
}

fn links(page: &Path) -> Vec<Link> {
    let text = prose(&read(page));
    // Text between backticks is no link.
    let text: String = text.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let written = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
    let inside = written.filter(|link| !link.contains("://") && !link.starts_with("mailto:"));
    inside.map(|written| link(page, written)).collect()
}

fn link(page: &Path, written: &str) -> Link {
    let (path, heading) = match written.split_once('#') {
        Some((path, heading)) => (path, Some(heading.to_owned())),
        None => (written, None),
    };
    let file = match path {
        "" => page.to_owned(),
        path => plain(&page.parent().unwrap().join(path)),
    };
    Link { page: page.to_owned(), written: written.to_owned(), file, heading }
}

/// `docs/guide/../examples.md` → `docs/examples.md`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if plain.pop() => {}
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Why a link leads nowhere.
fn dead(link: &Link) -> Option<String> {
    let Link { page, file, heading, .. } = link;
    if page.starts_with("docs") && !file.starts_with("docs") {
        return Some("leads out of the book, which has no such page once it is built".to_owned());
    }
    if page.starts_with("docs") && !page.ends_with("SUMMARY.md") && file.ends_with("README.md") {
        return Some("mdBook makes index.html of a README.md, and not of links to it".to_owned());
    }
    if !root().join(file).exists() {
        return Some(format!("there is no {}", file.display()));
    }
    let heading = heading.as_ref()?;
    let known: Vec<String> = headings(&read(file)).iter().map(|heading| anchor(heading)).collect();
    (!known.contains(heading)).then(|| format!("{} has no heading #{heading}", file.display()))
}

#[test]
fn every_link_leads_to_a_page_and_a_heading() {
    let links: Vec<Link> = all().iter().flat_map(|page| links(page)).collect();

    let told = |link: &Link| Some(format!("{}: ]({}): {}", link.page.display(), link.written, dead(link)?));
    let dead: Vec<String> = links.iter().filter_map(told).collect();

    assert!(dead.is_empty(), "{}", dead.join("\n"));
    assert!(links.len() > 150, "only {} links found", links.len());
}

#[test]
fn every_page_stands_once_in_the_summary() {
    let wanted: BTreeSet<PathBuf> =
        pages().into_iter().filter(|page| page != Path::new("docs/SUMMARY.md")).collect();

    let listed: Vec<PathBuf> =
        links(Path::new("docs/SUMMARY.md")).into_iter().map(|link| link.file).collect();

    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(listed.len(), wanted.len(), "a page stands twice in the summary");
}

#[test]
fn a_heading_stands_once_in_its_page_so_that_a_link_means_it() {
    for page in all() {
        let anchors: Vec<String> = headings(&read(&page)).iter().map(|heading| anchor(heading)).collect();
        let unique: BTreeSet<&String> = anchors.iter().collect();
        assert_eq!(unique.len(), anchors.len(), "{}: {anchors:?}", page.display());
    }
}

#[test]
fn the_readme_fits_on_a_few_screens() {
    let lines = read("README.md").lines().count();

    assert!(lines <= 200, "README.md has {lines} lines: what is more belongs in the book");
}

#[test]
fn every_file_the_architecture_and_the_recipes_name_is_there() {
    let folders = ["src/", "tests/", "benches/", "docs/", "schema/"];
    for page in ["docs/ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = prose(&read(page));
        let spans = text.split('`').skip(1).step_by(2);
        let named: Vec<&str> =
            spans.filter(|name| folders.iter().any(|folder| name.starts_with(folder))).collect();

        for name in &named {
            assert!(root().join(name).exists(), "{page} names {name}, which is not there");
        }
        assert!(named.len() > 20, "only {} found in {page}", named.len());
    }
}

#[test]
fn every_room_stands_in_the_architecture() {
    let page = read("docs/ARCHITECTURE.md");
    let rows = table_cells(&page);

    for folder in ["src", "src/engine"] {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap());
        let rooms =
            entries.filter(|entry| entry.file_type().unwrap().is_dir()).map(|entry| entry.file_name());
        for room in rooms {
            let room = room.into_string().unwrap();
            assert!(rows.contains(&room), "docs/ARCHITECTURE.md has no row for {folder}/{room}");
        }
    }
}

/// The text between backticks in the first cell of each row of every table.
fn table_cells(page: &str) -> BTreeSet<String> {
    page.lines().filter_map(cells).flat_map(|row| words(&row[0])).collect()
}
