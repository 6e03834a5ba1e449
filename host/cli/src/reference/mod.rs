//! The tables of `docs/operating.md` and `docs/reference.md`, generated from the program's own arguments, keys, limits
//! and outcomes: `UPDATE_DOCS=1 cargo test --bins reference` writes them; without that, the tests compare.

mod authors;
mod sample;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bg_poller::{Consequence, OutcomeKind};
use clap::{Arg, Command, CommandFactory as _};

use crate::args::{Cli, RunArgs};
use crate::limits;
use crate::options::Options as _;

/// Where each kind of outcome is documented.
const OUTCOMES: &str = include_str!("../../../poller/src/kind.rs");

/// A cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<")
}

fn command<'a>(all: &'a Command, name: &str) -> &'a Command {
    all.find_subcommand(name).unwrap()
}

fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    let named = command.get_arguments().filter(|arg| arg.get_long().is_some());
    named.filter(|arg| !arg.is_hide_set() && !matches!(arg.get_long(), Some("help" | "version")))
}

fn written(arg: &Arg) -> String {
    let name = arg.get_long().unwrap();
    let values = arg.get_value_names().filter(|_| arg.get_action().takes_values()).into_iter().flatten();
    let words: Vec<&str> = [name].into_iter().chain(values.map(clap::builder::Str::as_str)).collect();
    format!("`--{}`", words.join(" "))
}

/// The help, with the default that clap would add.
fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().unwrap().to_string();
    let defaults = arg.get_default_values();
    if arg.get_action().takes_values() && !defaults.is_empty() && !text.contains("[default:") {
        let defaults: Vec<_> = defaults.iter().map(|value| value.to_string_lossy()).collect();
        let _ = write!(text, " [default: {}]", defaults.join(", "));
    }
    cell(&text)
}

fn of_every_command(all: &Command) -> String {
    let mut text = "| option | variable | meaning |\n|---|---|---|\n".to_owned();
    for arg in options(all) {
        let variable = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
        let _ = writeln!(text, "| {} | {variable} | {} |", written(arg), meaning(arg));
    }
    text
}

/// The options of a service that not every command has.
fn own(service: &Command) -> impl Iterator<Item = &Arg> {
    options(service).filter(|arg| !arg.is_global_set())
}

fn of_services(all: &Command) -> String {
    let rows = RunArgs::default().rows();
    let (run, serve) = (command(all, "run"), command(all, "serve"));
    let serves: BTreeSet<&str> = own(serve).filter_map(Arg::get_long).collect();
    let runs: BTreeSet<&str> = own(run).filter_map(Arg::get_long).collect();
    let only_served = own(serve).filter(|arg| arg.get_long().is_some_and(|name| !runs.contains(name)));
    let mut text = "| option | key in the file | of | meaning |\n|---|---|---|---|\n".to_owned();
    for arg in own(run).chain(only_served) {
        let name = arg.get_long().unwrap();
        let row = rows.iter().find(|row| row.option == name);
        let shown = row.map(|row| format!("`{}`", row.key)).unwrap_or_default();
        let of = match (runs.contains(name), serves.contains(name)) {
            (true, true) => "`run`, `serve`",
            (true, false) => "`run`",
            _ => "`serve`",
        };
        let _ = writeln!(text, "| {} | {shown} | {of} | {} |", written(arg), meaning(arg));
    }
    let options: BTreeSet<&str> = runs.union(&serves).copied().collect();
    assert!(rows.iter().all(|row| options.contains(row.option)), "every key belongs to an option");
    text
}

fn commands(all: &Command) -> String {
    fn rows(text: &mut String, path: &str, command: &Command) {
        for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
            let path = format!("{path}{}", below.get_name());
            if below.has_subcommands() {
                rows(text, &format!("{path} "), below);
            } else {
                let _ = writeln!(text, "| `{path}` | {} |", cell(&below.get_about().unwrap().to_string()));
            }
        }
    }
    let mut text = "| command | what it does |\n|---|---|\n".to_owned();
    rows(&mut text, "", all);
    text
}

/// Parses the first sentences of the help, which list names and values.
fn limits() -> String {
    let mut text = "| limit | unless set |\n|---|---|\n".to_owned();
    for word in limits::help().split_whitespace().filter(|word| word.contains('=') && !word.contains("NAME")) {
        let (name, value) = word.split_once('=').unwrap();
        let _ = writeln!(text, "| `{name}` | {value} |");
    }
    text
}

/// Each documented line of a source, with its documentation.
fn documented(source: &str) -> Vec<(String, &str)> {
    let (mut found, mut doc) = (Vec::new(), Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.extend(Some(text.trim()).filter(|text| !text.is_empty()));
        } else if line.starts_with('@') || line.starts_with("#[") {
            // Attributes belong to the line that follows.
        } else {
            if !doc.is_empty() && !line.is_empty() {
                found.push((doc.join(" "), line));
            }
            doc.clear();
        }
    }
    found
}

fn outcomes() -> String {
    let mut text = "| outcome | what it says | counts against the charm |\n|---|---|---|\n".to_owned();
    let kinds = documented(OUTCOMES.split("pub enum OutcomeKind {\n").nth(1).unwrap());
    for kind in OutcomeKind::ALL {
        let (doc, _) = kinds.iter().find(|(_, line)| *line == format!("{kind},")).unwrap();
        let counts = if Consequence::of(kind, None) == Consequence::Counts { "yes" } else { "no" };
        let _ = writeln!(text, "| `{kind}` | {} | {counts} |", cell(doc));
    }
    text
}

/// A document.
fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

/// Two tests write tables of the same document.
static DOCUMENTS: Mutex<()> = Mutex::new(());

/// With `UPDATE_DOCS`, writes tables between their marks; otherwise they must already match.
fn put(path: &Path, tables: &[(&str, String)]) {
    let _writing = DOCUMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut whole = std::fs::read_to_string(path).unwrap();
    for (name, table) in tables {
        let marks = [format!("<!-- {name}: made by a test -->\n"), format!("<!-- end of {name} -->")];
        let (before, rest) = whole.split_once(&marks[0]).unwrap_or_else(|| panic!("no mark for {name}"));
        let (_, after) = rest.split_once(&marks[1]).unwrap_or_else(|| panic!("no end of {name}"));
        whole = [before, &marks[0], "\n", table, "\n", &marks[1], after].concat();
    }
    put_whole(path, &whole);
}

/// The same for all of a file.
fn put_whole(path: &Path, whole: &str) {
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let is_there = std::fs::read_to_string(path).unwrap() == whole;
    if update {
        std::fs::write(path, whole).unwrap();
    }
    assert!(is_there || update, "{} does not match the program; UPDATE_DOCS=1 updates it", path.display());
}

#[test]
fn the_documents_have_every_command_option_key_limit_and_outcome() {
    let mut all = Cli::command();
    all.build();
    put(&docs("operating.md"), &[("outcomes", outcomes())]);
    let tables = [
        ("options of every command", of_every_command(&all)),
        ("options of services", of_services(&all)),
        ("limits", limits()),
        ("commands", commands(&all)),
    ];
    put(&docs("reference.md"), &tables);
}
