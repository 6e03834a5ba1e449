//! Builds what authors would, with the commands of `integrations/README.md`, in a copy of the template below cargo's target
//! folder. What is built already is not built again.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bg_test_support::available;

use super::doc;

/// What the commands leave in a folder, and later ones use again.
const KEPT: [&str; 4] = [".lock", ".venv", "node_modules", "target"];

/// A way to write an integration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// The template's folder in `tests/guests/authors`.
    pub(crate) template: &'static str,
    /// Its section of the document. The first block there installs the tools, the second builds.
    pub(crate) section: &'static str,
    /// The integration's ID, and the name of the file.
    pub(crate) id: &'static str,
    /// What else it is built from, besides the contract.
    sources: &'static [&'static str],
}

pub(crate) const RUST: Way = Way {
    template: "rust",
    section: "Rust, anywhere",
    id: "news-rust",
    sources: &["Cargo.lock", "Cargo.toml", "integrations/sdk"],
};
pub(crate) const JAVASCRIPT: Way =
    Way { template: "javascript", section: "JavaScript", id: "news-javascript", sources: &[] };
pub(crate) const PYTHON: Way = Way { template: "python", section: "Python", id: "news-python", sources: &[] };

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

impl Way {
    pub(crate) fn folder(&self) -> PathBuf {
        root().join("tests/guests/authors").join(self.template)
    }

    /// The component, built first if need be; its manifest lies beside it. None where its tools cannot be had. Safe to call from
    /// several processes at once.
    pub(crate) fn component(&self) -> Option<PathBuf> {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("authors").join(self.template);
        fs::create_dir_all(&place).unwrap();
        let lock = File::create(place.join(".lock")).unwrap();
        lock.lock().unwrap();
        let (stamp, component) = (place.join("stamp"), place.join(format!("{}.wasm", self.id)));
        let digest = self.digest();
        if component.is_file() && fs::read_to_string(&stamp).is_ok_and(|before| before == digest) {
            return Some(component);
        }
        say(&format!("building tests/guests/authors/{} in {}", self.template, place.display()));
        self.copy(&place);
        let commands = doc::blocks(self.section);
        let [tools, build] = commands.as_slice() else { panic!("two blocks of commands: {commands:?}") };
        let mut shell = shell(&place);
        let installed = self.install(tools, &place, &mut shell);
        available(
            installed.map_err(|reason| format!("the tools for tests/guests/authors/{}: {reason}", self.template)),
        )?;
        run(shell.arg(build)).unwrap_or_else(|reason| panic!("tests/guests/authors/{}: {reason}", self.template));
        assert!(component.is_file(), "the commands of {} make no {}.wasm:\n{build}", self.section, self.id);
        fs::write(stamp, digest).unwrap();
        Some(component)
    }

    /// Installs the tools, and makes `shell` find them.
    fn install(&self, commands: &str, place: &Path, shell: &mut Command) -> Result<(), String> {
        if self.template == "rust" {
            // The command of the document works where there is rustup; this runs it, and knows another way where it does not.
            assert_eq!(commands, "rustup target add wasm32-wasip2\n");
            bg_build::prepare_wasip2(shell).map_err(|error| error.to_string())?;
            // The crates that the host is tested with, rather than what is newest today.
            fs::copy(root().join("Cargo.lock"), place.join("Cargo.lock")).unwrap();
            return Ok(());
        }
        run(self::shell(place).arg(commands))
    }

    /// The template's files, and no others that were there.
    fn copy(&self, place: &Path) {
        for entry in fs::read_dir(place).unwrap().map(Result::unwrap) {
            if KEPT.iter().any(|kept| entry.file_name() == *kept) {
                continue;
            }
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
        for (name, bytes) in files(&self.folder()) {
            let path = place.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// Changes with all that goes into the component.
    fn digest(&self) -> String {
        let mut hasher = DefaultHasher::new();
        doc::blocks(self.section).hash(&mut hasher);
        files(&self.folder()).hash(&mut hasher);
        for source in self.sources.iter().chain(&["wit"]) {
            files(&root().join(source)).hash(&mut hasher);
        }
        if self.template == "rust" {
            let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            Command::new(rustc).arg("-vV").output().unwrap().stdout.hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}

/// A file, or every file below a folder, with its name from there.
fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    if path.is_file() {
        return vec![(PathBuf::new(), fs::read(path).unwrap())];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
        let name = PathBuf::from(entry.file_name());
        // What an author's own try-outs leave here.
        if !["__pycache__", "wit_world"].iter().chain(&KEPT).any(|other| name == Path::new(other)) {
            found.extend(files(&entry.path()).into_iter().map(|(below, bytes)| {
                let name = if below == Path::new("") { name.clone() } else { name.join(below) };
                (name, bytes)
            }));
        }
    }
    found.sort();
    found
}

/// A shell in `place` that ends at the first command that fails.
fn shell(place: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.current_dir(place).env("BG_WASM_HOST", root()).stdin(Stdio::null()).arg("-euc");
    shell
}

/// Runs a command; if it fails, all that it said.
fn run(command: &mut Command) -> Result<(), String> {
    let done = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = [done.stdout, done.stderr].concat();
    Err(format!("{command:?} ended with {}:\n{}", done.status, String::from_utf8_lossy(&said)))
}

/// A line past the capture of the test runner, since this takes minutes the first time.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "authors: {line}");
}
