//! Why guests could not be built.

use std::path::PathBuf;

/// Why guests could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The workspace's sources were not found.
    #[error(
        "no bg-wasm-host workspace at {}, nor at or above the current folder: run this from a checkout of its sources",
        .0.display()
    )]
    NoWorkspace(PathBuf),
    /// A file could not be read, written or locked.
    #[error("cannot {doing} {}: {source}", .path.display())]
    File {
        /// The operation: `read`, `write`, …
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// An invalid `Cargo.toml`.
    #[error("{}: {reason}", .path.display())]
    CargoToml {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An invalid `integration.toml`.
    #[error("{}: {source}", .path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Two guests have the same name.
    #[error("{} and {} would both become {id}.wasm: give one of them another ID", .first.display(), .second.display())]
    SameId {
        /// The name.
        id: String,
        /// One folder.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A required program could not be started.
    #[error("cannot run `{command}`: {source}")]
    Start {
        /// The command line.
        command: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A program ended with an error.
    #[error("`{command}` {ended}{}", tail(.last))]
    Failed {
        /// The command line.
        command: String,
        /// How it ended: `failed with status 101`.
        ended: String,
        /// Its last lines; empty if they were already shown.
        last: Vec<String>,
    },
    /// This machine cannot compile for a guests' target.
    #[error(
        "the guests need the Rust target {target}, and no way to get it worked:\n{tried}\nDo one of these, then run \
        the same \
         command again:\n\
         {ways}"
    )]
    NoTarget {
        /// The target's name.
        target: &'static str,
        /// What was tried and why it did not work, one per line.
        tried: String,
        /// What to type, one per line.
        ways: String,
    },
    /// cargo succeeded, but did not build a guest's module.
    #[error(
        "cargo did not build the module {module}.wasm of {package}: its Cargo.toml must say crate-type = \
        [\"cdylib\"]"
    )]
    NoModule {
        /// The package.
        package: String,
        /// The library's name.
        module: String,
    },
    /// A guest's start failed at build time.
    #[error(
        "{id}: its start failed; it runs while the guest is built, and must not call any import: {reason}\n\
         `cargo test --workspace --lib` runs it with more to say"
    )]
    Prepare {
        /// The guest.
        id: String,
        /// The reason.
        reason: String,
    },
    /// A module cannot become a component.
    #[error("{id}: its module cannot become a component: {reason}")]
    Encode {
        /// The guest.
        id: String,
        /// The reason.
        reason: String,
    },
    /// There is no guest with that name.
    #[error("no guest is called {id:?}; there are {known}")]
    NoSuchGuest {
        /// The name.
        id: String,
        /// The existing names.
        known: String,
    },
}

impl BuildError {
    /// In one line, for a list of attempts: of a program's last lines, the first that describes an error.
    pub(crate) fn in_short(self) -> String {
        match self {
            Self::Failed { command, ended, last } => {
                let is_error = |line: &&String| line.starts_with("error") || line.starts_with("E: ");
                let line = last.iter().find(is_error).or(last.last()).into_iter().cloned().collect();
                Self::Failed { command, ended, last: line }.to_string().replace("\n ", "")
            }
            other => other.to_string(),
        }
    }

    /// For `map_err` after a file operation.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

fn tail(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("; it last said:\n  {}", lines.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_in_short_is_one_line_with_the_first_error() {
        for (last, short) in [
            (vec!["Get:1", "E: Failed to fetch", "E: giving up"], "`apt` failed; it last said: E: Failed to fetch"),
            (vec!["trying", "error: no network", "again"], "`apt` failed; it last said: error: no network"),
            (vec!["one", "two"], "`apt` failed; it last said: two"),
            (vec![], "`apt` failed"),
        ] {
            let last = last.into_iter().map(str::to_owned).collect();
            let error = BuildError::Failed { command: "apt".into(), ended: "failed".into(), last };
            assert_eq!(error.in_short(), short);
        }
    }
}
