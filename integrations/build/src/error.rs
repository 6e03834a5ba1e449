//! Why guests could not be built.

use std::path::PathBuf;

/// Why guests could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The workspace's sources are not there.
    #[error(
        "no bg-wasm-host workspace at {}, nor at or above the current folder: run this from a checkout of its sources",
        .0.display()
    )]
    NoWorkspace(PathBuf),
    /// A file could not be read, written or locked.
    #[error("cannot {doing} {}: {source}", .path.display())]
    File {
        /// What was being done: `read`, `write`, …
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A `Cargo.toml` that is not what it should be.
    #[error("{}: {reason}", .path.display())]
    CargoToml {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An `integration.toml` that is no manifest.
    #[error("{}: {source}", .path.display())]
    Manifest {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Two guests of one name.
    #[error("{} and {} would both become {id}.wasm: give one of them another ID", .first.display(), .second.display())]
    SameId {
        /// The name.
        id: String,
        /// One folder.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A program that is needed could not be started.
    #[error("cannot run `{command}`: {source}")]
    Start {
        /// The command line.
        command: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program ended with an error.
    #[error("`{command}` {ended}{}", tail(.last))]
    Failed {
        /// The command line.
        command: String,
        /// How it ended: `failed with status 101`.
        ended: String,
        /// The last lines that it wrote; empty where they were shown already.
        last: Vec<String>,
    },
    /// There is no way to compile for a target of guests on this machine.
    #[error(
        "the guests need the Rust target {target}, and no way to it worked:\n{tried}\nDo one of these, then run the same \
         command again:\n\
         {ways}"
    )]
    NoTarget {
        /// The target's name.
        target: &'static str,
        /// What was tried and why it did not work, one line each.
        tried: String,
        /// What to type, one line each.
        ways: String,
    },
    /// cargo said that all was built, but a guest's module was not among it.
    #[error("cargo built no module {module}.wasm of {package}: its Cargo.toml must say crate-type = [\"cdylib\"]")]
    NoModule {
        /// The package.
        package: String,
        /// The library's name.
        module: String,
    },
    /// A guest whose start can't be done ahead.
    #[error(
        "{id}: its start failed, which is done while it is built and must not ask the outside for anything: {reason}\n\
         `cargo test --workspace --lib` runs it with more to say"
    )]
    Prepare {
        /// Which guest.
        id: String,
        /// Why.
        reason: String,
    },
    /// A module that no component can be made of.
    #[error("{id}: its module cannot become a component: {reason}")]
    Encode {
        /// Which guest.
        id: String,
        /// Why.
        reason: String,
    },
    /// A name that is no guest's.
    #[error("no guest is called {id:?}; there are {known}")]
    NoSuchGuest {
        /// The name.
        id: String,
        /// Those there are.
        known: String,
    },
}

impl BuildError {
    /// In one line, for a list of what was tried: of a program's last lines the first that says what went wrong.
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
