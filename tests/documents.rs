//! Checks of all documents: links lead somewhere, named paths exist, and lines have at most 120 columns.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::workshop::root;

/// Folders that contain no documents of this repository.
const SKIPPED: [&str; 5] = ["target", "dist", ".git", "node_modules", "templates"];

fn documents() -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![root()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_str().unwrap();
            if entry.is_dir() && !SKIPPED.contains(&name) {
                folders.push(entry);
            } else if Path::new(name).extension().is_some_and(|end| end == "md") {
                found.push(entry);
            }
        }
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

/// The text without blocks of code.
fn prose(text: &str) -> String {
    let parts = text.split("\n```").enumerate().filter(|(place, _)| place % 2 == 0);
    parts.map(|(_, part)| part).collect::<Vec<_>>().join("\n")
}

/// The fragments of links to headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let kept = |c: char| c.is_alphanumeric() || c == ' ' || c == '-' || c == '_';
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|title| title.chars().filter(|c| kept(*c)).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut links = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in prose(&text).split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", document.display());
            if let Some(anchor) = anchor {
                let linked = std::fs::read_to_string(&target).unwrap();
                assert!(anchors(&linked).contains(anchor), "{}: {link}", document.display());
            }
            links += 1;
        }
    }
    assert!(links > 60, "{links} links");
}

/// Whether code is a path from the root of the repository.
fn is_path(code: &str) -> bool {
    let starts = ["host/", "tests/", "integrations/", "examples/", "wit/", "docs/", "install/", ".ci/"];
    starts.iter().any(|start| code.starts_with(start))
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-@".contains(&byte))
}

#[test]
fn every_named_path_exists() {
    let mut paths = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for code in prose(&text).split('`').skip(1).step_by(2).filter(|code| is_path(code)) {
            let made = code.starts_with("tests/fuzz/corpus") || code == "tests/charm.tsx";
            assert!(made || root().join(code).exists(), "{}: {code}", document.display());
            paths += 1;
        }
    }
    assert!(paths > 100, "{paths} paths");
}

#[test]
fn no_line_is_wider_than_120_columns() {
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        // A table row is one line, and so are commands and sentences generated from the source.
        let written = text.split("<!-- end of ").map(|part| part.split("made by a test -->").next().unwrap());
        let written = written.collect::<Vec<_>>().join("\n");
        for line in prose(&written).lines().filter(|line| !line.starts_with('|')) {
            assert!(line.chars().count() <= 120, "{}: {line}", document.display());
        }
    }
}

#[test]
fn the_readme_fits_on_three_screens_and_shows_what_the_demo_prints() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 150, "{} lines", readme.lines().count());
    let shown = readme.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let demo = std::fs::read_to_string(root().join("tests/demo/src/story.rs")).unwrap();
    for said in
        ["   allowed ", "   DENIED  ", ", the host added the token", " messages in the charm", "           new mail: "]
    {
        assert!(shown.contains(said) && demo.contains(said), "{said:?}");
    }
}
