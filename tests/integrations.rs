//! The guide for authors of integrations, `docs/integrations.md`: its statements about manifests, limits and rules are
//! true. Its commands are run by `new` and by `authors`.

use std::collections::BTreeSet;

use bg_egress::Rule;
use bg_manifest::Manifest;

use crate::common::host;
use crate::workshop::{LANGUAGES, root};

fn guide() -> String {
    std::fs::read_to_string(root().join("docs/integrations.md")).unwrap()
}

/// A section, without its subsections.
fn section(heading: &str) -> String {
    let guide = guide();
    let mut found = guide.split("\n#").filter_map(|section| {
        let (title, body) = section.split_once('\n')?;
        (title.trim_start_matches('#').trim() == heading).then(|| body.to_owned())
    });
    found.next().unwrap_or_else(|| panic!("there is no section {heading}"))
}

/// The blocks of a section in that language.
pub(crate) fn blocks(heading: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    section(heading).split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The names in the first column of the table whose first heading contains that text.
fn names(heading: &str) -> BTreeSet<String> {
    let guide = guide();
    let (_, table) = guide.split_once(&format!("\n| {heading}")).unwrap_or_else(|| panic!("no table {heading}"));
    let rows = table.split("\n\n").next().unwrap().lines().skip(2);
    let cells = rows.filter_map(|row| row.trim_start_matches("| ").split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn it_begins_with_the_commands_of_the_readme() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let [build] = &blocks("Before you begin", "sh")[..] else { panic!("one block of commands") };
    assert!(readme.contains(&format!("```sh\n{build}")), "{build}");
}

#[test]
fn the_readme_of_their_folder_has_one_command_and_it_builds_all_guests() {
    let readme = std::fs::read_to_string(root().join("integrations/README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```sh\n").skip(1).collect();
    assert!(matches!(blocks[..], [block] if block.starts_with("cargo guests\n```")), "{blocks:?}");
}

/// No test runs a command outside these sections.
#[test]
fn its_commands_are_in_the_tested_sections() {
    let run = [("Before you begin", 1), ("Make one", 1), ("Poll a charm with it", 7), ("Pin it", 1), ("Languages", 2)];
    let languages = LANGUAGES.iter().map(|language| (language.section, 3));
    let expected: usize = run
        .into_iter()
        .chain(languages)
        .map(|(section, count)| {
            assert_eq!(blocks(section, "sh").len(), count, "{section}");
            count
        })
        .sum();
    assert_eq!(guide().matches("```sh\n").count(), expected);
}

#[test]
fn its_manifest_is_valid_and_has_every_field() {
    let [manifest] = &blocks("The manifest", "toml")[..] else { panic!("one manifest") };
    Manifest::parse(manifest).unwrap();
    for line in ["[integration]\n", "[[http]]\n", "[oauth]\n", "[config.api-base-url]\n"] {
        let (_, rest) = manifest.split_once(line).unwrap();
        let shown: BTreeSet<&str> = rest.lines().map_while(|line| Some(line.split_once(" = ")?.0)).collect();
        // The error about an unknown field lists the known ones.
        let wrong = manifest.replace(line, &format!("{line}wrong = 1\n"));
        let error = Manifest::parse(&wrong).unwrap_err().to_string();
        let (_, known) = error.split_once("expected").unwrap_or_else(|| panic!("{error}"));
        let known: BTreeSet<&str> = known.split('`').skip(1).step_by(2).collect();
        assert!(!known.is_empty() && shown == known, "{line}: {error}");
    }
}

#[test]
fn the_sections_that_it_links_to_exist() {
    let heading = |anchor: &str, line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-").replace('\'', "");
        line.starts_with('#') && title == anchor
    };
    let guide = guide();
    let links: Vec<&str> = guide.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    let with_anchor: Vec<_> = links.into_iter().filter_map(|link| link.split_once('#')).collect();
    assert!(with_anchor.contains(&("reference.md", "the-manifest")), "{with_anchor:?}");
    for (file, anchor) in with_anchor {
        let file = if file.is_empty() { "integrations.md" } else { file };
        let text = std::fs::read_to_string(root().join("docs").join(file)).unwrap();
        assert!(text.lines().any(|line| heading(anchor, line)), "{file}#{anchor}");
    }
}

#[test]
fn its_limits_are_the_real_ones() {
    let help = host().command(["run", "--help"]).unwrap().success().unwrap().stdout;
    let limits = section("Limits");
    let named: Vec<&str> = limits.split('`').skip(1).step_by(2).filter(|code| code.contains('=')).collect();
    assert!(named.len() > 10, "{named:?}");
    for limit in named.into_iter().filter(|limit| *limit != "--limit NAME=VALUE") {
        assert!(help.split_whitespace().any(|word| word == limit), "{limit}\n{help}");
    }
}

#[test]
fn its_rules_are_those_of_the_gate() {
    let documented = names("rule |");
    for rule in [Rule::Grant, Rule::Method, Rule::OwnPort, Rule::OwnAuthorization, Rule::PlainCredential] {
        assert!(documented.contains(&rule.to_string()), "{rule}: {documented:?}");
    }
}

#[test]
fn its_options_are_those_of_the_program() {
    let host = host();
    let help: String =
        [&["run"][..], &["new"], &["inspect"], &["egress", "check"], &["register"], &["charm", "deploy"]]
            .iter()
            .map(|command| host.command([command, &["--help"][..]].concat()).unwrap().success().unwrap().stdout)
            .collect();
    let guide = guide();
    let words = guide.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    // Options of cargo, python3 and componentize-py.
    let foreign = ["--release", "--target", "--path", "--bind", "--directory", "--wit-path", "--world"];
    for option in words.filter(|word| word.starts_with("--") && !word.starts_with("---") && !foreign.contains(word)) {
        assert!(help.contains(option), "{option}");
    }
}
