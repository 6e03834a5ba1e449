//! `docs/config.toml`, the sample configuration file: every key, with the help of its option, and a value.

use std::fmt::Write as _;
use std::path::Path;

use super::put_whole;
use crate::args::RunArgs;
use crate::commands::config::sections;

const WIDTH: usize = 120;

const START: &str = "A configuration file for `bg-wasm-host run --config FILE` and `bg-wasm-host serve --config \
    FILE`. One file may serve both: each command reads the keys of its own options. Every key is optional and has the \
    name of its option. The command line overrides the file; lists are combined. Paths are relative to the \
    file.";

const CHECK: &str = "reports every problem with its line, or prints the resulting configuration. `kill -HUP` makes a \
    service that was \
     started with --config read its file again. A comment that begins with a key shows its default, or an example.";

/// Writes a text as a comment.
fn comment(out: &mut String, text: &str) {
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = "#".to_owned();
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(out, "{line}");
}

fn sample() -> String {
    let mut text = String::new();
    comment(&mut text, START);
    text.push_str("#\n#     bg-wasm-host config check FILE\n#\n");
    comment(&mut text, CHECK);
    // In TOML, tables come last.
    let mut tables = String::new();
    for (heading, options) in sections(&RunArgs::default()) {
        let _ = writeln!(text, "\n# --- {heading} ---");
        for option in options {
            let out = if option.is_table() { &mut tables } else { &mut text };
            out.push('\n');
            comment(out, option.help());
            let _ = writeln!(out, "{}", option.sample());
        }
    }
    text.push_str("\n# --- tables ---\n");
    text + &tables
}

#[test]
fn the_sample_of_a_configuration_file_has_every_key() {
    put_whole(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.toml"), &sample());
}
