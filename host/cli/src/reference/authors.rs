//! The tables of `docs/reference.md`, generated from the documentation of the manifest's fields and of the contract.

use std::fmt::Write as _;

use super::{docs, documented, put};

const MANIFEST: &str =
    concat!(include_str!("../../../manifest/src/manifest.rs"), include_str!("../../../manifest/src/oauth.rs"));
const CONTRACT: [&str; 2] =
    [include_str!("../../../../wit/integration.wit"), include_str!("../../../../wit/values.wit")];

/// A cell of a Markdown table. Angle brackets are only used in code.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn manifest() -> String {
    let mut text = String::new();
    for (of, heading) in [
        ("About", "`[integration]`"),
        ("HttpEntry", "`[[http]]`, up to 64"),
        ("OAuthEntry", "`[oauth]`"),
        ("ConfigKey", "`[config.KEY]`, up to 64"),
    ] {
        let fields = MANIFEST.split(&format!("pub struct {of} {{")).nth(1).unwrap().split("\n}").next().unwrap();
        let _ = writeln!(text, "| {heading} | | |\n|---|---|---|");
        let mut may_be_left_out = false;
        for line in fields.lines().map(str::trim) {
            may_be_left_out = match line {
                line if line.starts_with("#[serde") => line.contains("default"),
                line if line.starts_with("///") => false,
                _ => may_be_left_out,
            };
            let Some((name, _)) = line.strip_prefix("pub ").and_then(|field| field.split_once(':')) else { continue };
            let (doc, _) = documented(fields).into_iter().find(|(_, found)| *found == line).unwrap();
            let must = if may_be_left_out { "" } else { "required" };
            let _ = writeln!(text, "| `{name}` | {must} | {} |", cell(&doc));
        }
        text.push('\n');
    }
    text.pop();
    text
}

/// A declaration of the contract.
enum Declared<'a> {
    /// An interface, a world or a resource.
    Scope(&'a str, &'a str),
    /// A type that is made of others.
    Type(&'a str, &'a str),
    Function(&'a str),
    Case(&'a str),
}

fn declared(line: &str) -> Declared<'_> {
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    let name = rest.split([' ', '=', '{']).next().unwrap_or_default();
    match kind {
        "interface" | "world" | "resource" => Declared::Scope(kind, name),
        "variant" | "record" | "enum" | "type" => Declared::Type(kind, name),
        _ if line.contains(": func(") => Declared::Function(line),
        _ => Declared::Case(line),
    }
}

fn contract() -> String {
    let mut text = String::new();
    for source in CONTRACT {
        for (doc, line) in documented(source) {
            let doc = cell(&doc);
            let _ = match declared(line) {
                Declared::Scope("resource", name) => writeln!(text, "| resource `{name}` | {doc} |"),
                Declared::Scope(kind, name) => {
                    writeln!(
                        text,
                        "\n### {} `{name}`\n\n{doc}\n\n| | |\n|---|---|",
                        kind[..1].to_uppercase() + &kind[1..]
                    )
                }
                Declared::Type(kind, name) => writeln!(text, "| {kind} `{name}` | {doc} |"),
                Declared::Function(line) => writeln!(text, "| `{}` | {doc} |", line.trim_end_matches(';')),
                Declared::Case(line) if line.starts_with("package ") => Ok(()),
                Declared::Case(line) => writeln!(text, "| … `{}` | {doc} |", line.trim_end_matches(',')),
            };
        }
    }
    text.trim_start().to_owned()
}

#[test]
fn the_reference_has_every_field_of_the_manifest_and_all_of_the_contract() {
    let (manifest, contract) = (manifest(), contract());
    assert!(manifest.matches("required").count() >= 4 && manifest.contains("`interval`"), "{manifest}");
    for part in
        ["export is-valid-charm: func(charm: borrow<charm>)", "World `integration`", "… `not-found`", "has-stream"]
    {
        assert!(contract.contains(part), "{contract}");
    }
    put(&docs("reference.md"), &[("manifest", manifest), ("contract", contract)]);
}
