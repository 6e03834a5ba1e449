//! Builds integrations as authors do, from the files of `new`: a folder for each language, below cargo's target folder.
//! The tools that the guide installs stay there for later runs.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bg_test_support::{TestHost, available};

use crate::integrations::blocks;

/// What the commands leave in an integration's folder for later ones.
const KEPT: [&str; 3] = [".venv", "node_modules", "target"];

/// The integration of the guide.
pub(crate) const NAME: &str = "my-news";

/// A language in which `new` writes integrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Language {
    /// Its name for `--lang`.
    pub(crate) lang: &'static str,
    /// Its section of the guide: a block that installs the tools, one that builds, one that tests.
    pub(crate) section: &'static str,
    /// The main source file.
    pub(crate) source: &'static str,
}

pub(crate) const RUST: Language = Language { lang: "rust", section: "Rust", source: "src/lib.rs" };
pub(crate) const JAVASCRIPT: Language = Language { lang: "js", section: "JavaScript", source: "integration.js" };
pub(crate) const PYTHON: Language = Language { lang: "python", section: "Python", source: "integration.py" };
pub(crate) const LANGUAGES: [Language; 3] = [RUST, JAVASCRIPT, PYTHON];

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The folder of a language. While this exists, others wait for it.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(crate) language: Language,
    pub(crate) place: PathBuf,
    _lock: File,
}

impl Workshop {
    pub(crate) fn enter(language: Language) -> Self {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("workshop").join(language.lang);
        fs::create_dir_all(place.join("tools")).unwrap();
        let lock = File::create(place.join(".lock")).unwrap();
        lock.lock().unwrap();
        Self { language, place, _lock: lock }
    }

    /// The integration's folder. It is the same for all integrations of a language: a Python virtual environment cannot
    /// be moved.
    pub(crate) fn project(&self) -> PathBuf {
        self.place.join(NAME)
    }

    /// Moves the contents of the integration's folder away, and removes the folder.
    pub(crate) fn clear(&self) {
        for kept in KEPT {
            let (from, to) = (self.project().join(kept), self.tool(kept));
            if from.exists() {
                // Left over if an earlier run was interrupted.
                let _ = fs::remove_dir_all(&to);
                fs::rename(from, to).unwrap();
            }
        }
        let _ = fs::remove_dir_all(self.project());
    }

    /// Restores the tools from before [`clear`](Self::clear).
    pub(crate) fn bring_tools(&self) {
        for kept in KEPT.into_iter().filter(|kept| self.tool(kept).exists()) {
            fs::rename(self.tool(kept), self.project().join(kept)).unwrap();
        }
        if self.language == RUST {
            // The crate versions that the host is tested with, rather than today's newest.
            fs::copy(root().join("Cargo.lock"), self.project().join("Cargo.lock")).unwrap();
        }
    }

    fn tool(&self, name: &str) -> PathBuf {
        self.place.join("tools").join(name)
    }

    /// Installs the tools with the guide's commands; `None` if that is not possible.
    pub(crate) fn install(&self) -> Option<()> {
        let commands = &self.blocks()[0];
        let installed = if self.language == RUST {
            // That command needs rustup; this also works without it.
            assert_eq!(commands, "rustup target add wasm32-wasip2\n");
            bg_build::prepare_wasip2(&mut Command::new("cargo")).map_err(|error| error.to_string())
        } else {
            run(self.shell().arg(commands)).map(drop)
        };
        available(
            installed.map_err(|reason| format!("the tools for integrations in {}: {reason}", self.language.section)),
        )
    }

    /// Changes with all inputs of a component. Call it before tools are installed, which add files.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.blocks().hash(&mut hasher);
        files(&self.project()).hash(&mut hasher);
        if self.language == RUST {
            files(&root().join("integrations/sdk")).hash(&mut hasher);
            let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            Command::new(rustc).arg("-vV").output().unwrap().stdout.hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }

    /// The component of that name, with its manifest next to it, if it was built from inputs with this digest.
    pub(crate) fn built(&self, name: &str, digest: &str) -> Option<PathBuf> {
        let built = self.place.join("built").join(name);
        let is_current = fs::read_to_string(built.join("digest")).is_ok_and(|before| before == digest);
        Some(built.join(format!("{name}.wasm"))).filter(|component| is_current && component.is_file())
    }

    /// Builds the component with the guide's commands, for an integration of that name.
    pub(crate) fn build(&self, name: &str, digest: &str) -> PathBuf {
        let commands = self.blocks()[1].replace(NAME, name).replace(&NAME.replace('-', "_"), &name.replace('-', "_"));
        let mut shell = self.shell();
        if self.language == RUST {
            bg_build::prepare_wasip2(&mut shell).unwrap();
        }
        say(&format!("building {name} in {}", self.project().display()));
        run(shell.arg(&commands)).unwrap_or_else(|reason| panic!("{name}: {reason}"));
        let built = self.place.join("built").join(name);
        fs::create_dir_all(&built).unwrap();
        let component = format!("{name}.wasm");
        for file in [&component, "integration.toml"] {
            let copied = fs::copy(self.project().join(file), built.join(file));
            copied.unwrap_or_else(|error| panic!("{file}: {error}, after:\n{commands}"));
        }
        fs::write(built.join("digest"), digest).unwrap();
        built.join(component)
    }

    /// The blocks of commands in the language's section: to install tools, to build, to test.
    pub(crate) fn blocks(&self) -> [String; 3] {
        blocks(self.language.section, "sh").try_into().unwrap()
    }

    /// A shell in the integration's folder that exits at the first failing command.
    pub(crate) fn shell(&self) -> Command {
        let mut shell = Command::new("sh");
        bg_build::prepare_cargo(&mut shell).unwrap();
        shell.current_dir(self.project()).stdin(Stdio::null()).arg("-euc");
        shell
    }

    /// The same, with the program on its path, and that host's data directory.
    pub(crate) fn shell_with(&self, host: &TestHost) -> Command {
        let mut shell = self.shell();
        let folder = Path::new(env!("CARGO_BIN_EXE_bg-wasm-host")).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([folder.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap();
        for name in ["API_URL", "IDENTITY", "OPERATOR_PASS", "BG_WASM_HOST", "BG_WASM_HOST_LOG"] {
            shell.env_remove(name);
        }
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache");
        shell.env("PATH", path).env("BG_WASM_HOST_DATA", host.data_dir()).env("BG_WASM_HOST_CACHE", cache);
        shell
    }
}

/// Every file below a folder, with its relative name.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = PathBuf::from(entry.file_name());
        if entry.path().is_file() {
            found.push((name, fs::read(entry.path()).unwrap()));
        // Leftovers of an author's own experiments in the sources.
        } else if !["__pycache__", "typings"].iter().chain(&KEPT).any(|other| name == Path::new(other)) {
            found.extend(files(&entry.path()).into_iter().map(|(below, bytes)| (name.join(below), bytes)));
        }
    }
    found.sort();
    found
}

/// Runs a command, and returns its output; also in the error if it fails.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let done = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    if done.status.success() { Ok(said) } else { Err(format!("{command:?} ended with {}:\n{said}", done.status)) }
}

/// Prints a line past the capture of the test runner, since this takes minutes the first time.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "integrations: {line}");
}
