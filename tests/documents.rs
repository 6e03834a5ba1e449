//! Checks of all documents: links lead somewhere, named paths exist, and lines have at most 120 columns.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::workshop::root;

/// Folders that contain no documents of this repository.
const SKIPPED: [&str; 5] = ["target", "dist", ".git", "node_modules", "templates"];

/// Every file below a folder whose name ends so.
fn below(folder: PathBuf, end: &str) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_str().unwrap();
            if entry.is_dir() && !SKIPPED.contains(&name) {
                folders.push(entry);
            } else if name.ends_with(end) {
                found.push(entry);
            }
        }
    }
    found
}

fn documents() -> Vec<PathBuf> {
    let found = below(root(), ".md");
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

#[test]
fn every_example_is_named_in_its_readme_and_used_by_a_test() {
    let examples = root().join("examples");
    let readme = std::fs::read_to_string(examples.join("README.md")).unwrap();
    let tests = ["tests", "host/charm-runtime/tests"].map(|folder| below(root().join(folder), ".rs")).concat();
    let tests: String = tests.iter().map(|test| std::fs::read_to_string(test).unwrap()).collect();
    let charms: Vec<PathBuf> = below(examples.join("charms"), "");
    for charm in &charms {
        let name = charm.file_name().unwrap().to_str().unwrap();
        assert!(readme.contains(&format!("(charms/{name})")), "{name}");
        // A file that charms import is tested with them.
        let import = format!("\"./{}\"", charm.file_stem().unwrap().to_str().unwrap());
        let mut others = charms.iter().filter(|other| *other != charm);
        let is_imported = others.any(|other| std::fs::read_to_string(other).unwrap().contains(&import));
        assert!(is_imported || tests.contains(&format!("\"{name}\"")), "no test uses {name}");
    }
    let ways = std::fs::read_to_string(root().join("tests/authors/build.rs")).unwrap();
    let mut languages = 0;
    for folder in std::fs::read_dir(examples.join("integrations")).unwrap().map(|entry| entry.unwrap().file_name()) {
        let name = folder.to_str().unwrap();
        assert!(readme.contains(&format!("(integrations/{name})")), "{name}");
        assert!(ways.contains(&format!("folder: \"{name}\"")), "no test builds {name}");
        languages += 1;
    }
    assert!(charms.len() >= 7 && languages >= 3, "{charms:?}, {languages}");
}

/// Cargo runs the examples in doc comments, but not of crates that have none: it takes seconds to find that out.
#[test]
fn every_example_in_a_doc_comment_is_run() {
    let mut examples = 0;
    for manifest in below(root(), "Cargo.toml") {
        let text = std::fs::read_to_string(&manifest).unwrap();
        let is_run = !text.contains("\ndoctest = false\n") && !text.contains("crate-type = [\"cdylib\"]");
        let sources = manifest.parent().unwrap().join("src");
        for source in if sources.exists() { below(sources, ".rs") } else { Vec::new() } {
            let text = std::fs::read_to_string(&source).unwrap();
            let fences = text.lines().filter_map(|line| {
                let line = line.trim_start();
                line.strip_prefix("//! ```").or_else(|| line.strip_prefix("/// ```"))
            });
            for opening in fences.step_by(2).filter(|language| *language != "text") {
                assert!(is_run, "{}: ```{opening}, and its crate has `doctest = false`", source.display());
                examples += 1;
            }
        }
    }
    assert!(examples > 6, "{examples} examples");
}
