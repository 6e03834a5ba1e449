//! The nested cargo call that compiles all guests.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::compiler::{Active, Target, Triple};
use crate::guests::Guest;
use crate::progress::Progress;
use crate::run::{Stream, ended, line, run};
use crate::workspace::Workspace;
use crate::{BuildError, environment};

/// Compiles the guests; returns the file of each one's module, in their order.
pub(crate) fn guests(
    workspace: &Workspace,
    guests: &[Guest],
    target_folder: &Path,
    active: &Active,
    target: &Target,
    progress: &Progress,
) -> Result<Vec<PathBuf>, BuildError> {
    let mut command = Command::new(&active.cargo);
    environment::clean(&mut command, &[&workspace.root().join("target"), &active.sysroot]);
    command
        .current_dir(workspace.root())
        .args([
            "build",
            "--profile",
            "guest",
            "--target",
            Triple::Unknown.name(),
            "--message-format",
            "json-render-diagnostics",
        ])
        .arg("--target-dir")
        .arg(target_folder)
        .args(guests.iter().flat_map(|guest| ["-p", guest.package.name.as_str()]))
        .env("RUSTC", &target.rustc)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(workspace, target))
        // Always print a counter, even if cargo would not draw a bar.
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "200")
        .env("CARGO_TERM_PROGRESS_TERM_INTEGRATION", "false")
        .env("CARGO_TERM_COLOR", if progress.is_terminal() { "always" } else { "never" });
    if target.std_source.is_some() {
        command.args(["-Z", "build-std=std,panic_abort"]).env("RUSTC_BOOTSTRAP", "1");
    }
    if let Some(linker) = &target.linker {
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    let names = guests.iter().map(|guest| guest.id.as_str()).collect::<Vec<_>>().join(", ");
    progress.stage(&format!("compiling {names} with {}", target.name));
    let mut modules = BTreeMap::new();
    let status = run(&mut command, progress, None, |stream, text| match stream {
        Stream::Out => modules.extend(module(text)),
        Stream::Err => match Line::read(text) {
            Line::Count { done, total, crates } => {
                progress.steps(done, total);
                progress.item(crates);
            }
            Line::Status(item) if !item.is_empty() => progress.item(item),
            Line::Status(_) => {}
            Line::Message => progress.say(text),
        },
    })?;
    if !status.success() {
        return Err(BuildError::Failed { command: line(&command), ended: ended(status), last: Vec::new() });
    }
    guests
        .iter()
        .map(|guest| {
            let missing = || BuildError::NoModule { package: guest.package.name.clone(), module: guest.module() };
            modules.remove(&guest.module()).ok_or_else(missing)
        })
        .collect()
}

/// Compiler flags for the guests, in cargo's form: separated by the unit separator, so that paths may contain spaces.
///
/// `--remap-path-prefix` keeps this machine's paths out of panic messages, so that the bytes are the same everywhere.
/// The last matching prefix wins. If `getrandom` is used, the guest's flags select its backend.
fn flags(workspace: &Workspace, target: &Target) -> OsString {
    let mut flags = vec![OsString::from("--cfg"), OsString::from("getrandom_backend=\"custom\"")];
    for (from, to) in prefixes(workspace.root(), cargo_home().as_deref(), target.std_source.as_deref()) {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flags.push(flag);
    }
    flags.join(&OsString::from("\u{1f}"))
}

fn prefixes(root: &Path, home: Option<&Path>, std_source: Option<&Path>) -> Vec<(PathBuf, &'static str)> {
    let mut prefixes = Vec::new();
    if let Some(home) = home {
        prefixes.push((home.to_path_buf(), "/cargo"));
        // Each registry has a folder named after its address: a mirror has another name and the same contents.
        let registries = home.join("registry").join("src");
        let mut folders: Vec<_> =
            fs::read_dir(registries).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        folders.sort();
        prefixes.extend(folders.into_iter().map(|folder| (folder, "/crates")));
    }
    if let Some(source) = std_source {
        prefixes.push((source.to_path_buf(), "/rust/library"));
        prefixes.extend(source.canonicalize().map(|real| (real, "/rust/library")));
    }
    prefixes.push((root.to_path_buf(), "/bg-wasm-host"));
    prefixes
}

fn cargo_home() -> Option<PathBuf> {
    let named = std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    named.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

/// What cargo reports about something it built.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<MessageTarget>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct MessageTarget {
    name: String,
}

/// The name and file of the module that a line of cargo's standard output reports, if it does.
fn module(text: &str) -> Option<(String, PathBuf)> {
    let message: Message = serde_json::from_str(text).ok()?;
    if message.reason != "compiler-artifact" {
        return None;
    }
    let file = message.filenames.into_iter().find(|file| file.extension().is_some_and(|kind| kind == "wasm"))?;
    Some((message.target?.name, file))
}

/// A line of cargo's standard error.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// Its progress bar.
    Count { done: u64, total: u64, crates: &'a str },
    /// What it is doing: `Compiling serde v1.0.0`.
    Status(&'a str),
    /// A warning or an error, for people.
    Message,
}

impl<'a> Line<'a> {
    fn read(text: &'a str) -> Self {
        // Cargo clears its bar with this before it writes a line.
        let text = text.trim_start_matches("\u{1b}[K");
        let plain = text.trim_start();
        if let Some((bar, rest)) = plain.split_once("] ")
            && bar.contains("Building")
            && let Some((count, crates)) = rest.split_once(": ")
            && let Some((done, total)) = count.split_once('/')
            && let (Ok(done), Ok(total)) = (done.parse(), total.parse())
        {
            return Self::Count { done, total, crates: crates.trim_end_matches("\u{1b}[K").trim() };
        }
        let words = [
            "Compiling",
            "Downloading",
            "Downloaded",
            "Updating",
            "Locking",
            "Blocking",
            "Finished",
            "Fresh",
            "Adding",
        ];
        // On a terminal the first word is coloured.
        if let Some(at) = words.iter().find_map(|word| plain.find(word)).filter(|at| *at < 16) {
            return Self::Status(plain[at..].split_once(' ').map_or("", |(_, rest)| rest.trim()));
        }
        if plain.is_empty() { Self::Status("") } else { Self::Message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_kinds_of_lines_are_recognized() {
        for (text, line) in [
            ("   Compiling serde v1.0.228", Line::Status("serde v1.0.228")),
            ("\u{1b}[1m\u{1b}[92m   Compiling\u{1b}[0m serde v1.0.228", Line::Status("serde v1.0.228")),
            ("   Compiling memchr v2.8.0", Line::Status("memchr v2.8.0")),
            (
                "    Building [=====>      ] 12/82: serde, syn",
                Line::Count { done: 12, total: 82, crates: "serde, syn" },
            ),
            (
                "\u{1b}[1m\u{1b}[96m    Building\u{1b}[0m [==>  ] 7/9: x\u{1b}[K",
                Line::Count { done: 7, total: 9, crates: "x" },
            ),
            ("    Blocking waiting for file lock", Line::Status("waiting for file lock")),
            ("\u{1b}[Kwarning: unused variable: `x`", Line::Message),
            ("\u{1b}[K", Line::Status("")),
            ("error[E0425]: cannot find value `y`", Line::Message),
            (" --> integrations/gmail/src/lib.rs:3:5", Line::Message),
            ("3 |     let x = 1;", Line::Message),
        ] {
            assert_eq!(Line::read(text), line, "{text}");
        }
    }

    #[test]
    fn a_module_is_what_cargo_says_it_built() {
        let artifact = r#"{"reason":"compiler-artifact","package_id":"x","target":{"kind":["cdylib"],"name":"bg_gmail"},"filenames":["/t/bg_gmail.wasm"],"fresh":true}"#;
        assert_eq!(module(artifact), Some(("bg_gmail".to_owned(), PathBuf::from("/t/bg_gmail.wasm"))));
        for other in [
            r#"{"reason":"compiler-artifact","target":{"name":"serde"},"filenames":["/t/libserde.rlib"]}"#,
            r#"{"reason":"build-finished","success":true}"#,
            "not json",
        ] {
            assert_eq!(module(other), None, "{other}");
        }
    }

    #[test]
    fn the_workspace_and_each_registry_are_named_the_same_everywhere() {
        let home = tempfile::tempdir().unwrap();
        let registry = home.path().join("registry/src/mirror-123");
        fs::create_dir_all(&registry).unwrap();
        let prefixes = prefixes(Path::new("/my checkout"), Some(home.path()), None);
        let expected =
            [(home.path().to_path_buf(), "/cargo"), (registry, "/crates"), ("/my checkout".into(), "/bg-wasm-host")];
        assert_eq!(prefixes, expected);
    }
}
