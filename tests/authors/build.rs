//! Builds the integrations of `tests/guests/authors`: what `new` writes, with their files in place of its own. What is built
//! already is not built again.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::host;
use crate::integrations::blocks;
use crate::workshop::{self, KEPT, Language, RUST, Workshop, root, run};

/// An integration of `tests/guests/authors`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Its folder there.
    pub(crate) folder: &'static str,
    pub(crate) language: Language,
    /// Its ID.
    pub(crate) id: &'static str,
}

pub(super) const WAYS: [Way; 3] = [
    Way { folder: "rust", language: RUST, id: "news-rust" },
    Way { folder: "javascript", language: workshop::JAVASCRIPT, id: "news-javascript" },
    Way { folder: "python", language: workshop::PYTHON, id: "news-python" },
];

impl Way {
    pub(super) fn sources(&self) -> PathBuf {
        root().join("tests/guests/authors").join(self.folder)
    }

    /// The component, built first if need be; its manifest lies beside it. None where its tools cannot be had. Safe to call from
    /// several processes at once.
    pub(super) fn component(&self) -> Option<PathBuf> {
        let workshop = Workshop::enter(self.language);
        self.write(&workshop);
        let built = workshop.place.join("built");
        let (stamp, component) = (built.join("stamp"), built.join(format!("{}.wasm", self.id)));
        let digest = self.digest(&workshop);
        if component.is_file() && fs::read_to_string(&stamp).is_ok_and(|before| before == digest) {
            return Some(component);
        }
        workshop.install()?;
        if self.language == RUST {
            self.add_sdk(&workshop);
        }
        workshop.build(self.id);
        fs::create_dir_all(&built).unwrap();
        for file in [&format!("{}.wasm", self.id), "integration.toml"] {
            fs::copy(workshop.project().join(file), built.join(file)).unwrap();
        }
        fs::write(stamp, digest).unwrap();
        Some(component)
    }

    /// What `new` writes, and over it the integration's own files.
    fn write(&self, workshop: &Workshop) {
        workshop.clear();
        let project = workshop.project();
        let folder = project.to_str().unwrap();
        let new = ["new", self.id, "--lang", self.language.lang, "--dir", folder];
        host().command(new).unwrap().success().unwrap();
        for (name, bytes) in files(&self.sources()) {
            let path = project.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        workshop.bring_tools();
    }

    /// As the guide tells, where it takes this repository for a neighbour of the integration's folder.
    fn add_sdk(&self, workshop: &Workshop) {
        let [add, _] = &blocks("Languages", "sh")[..] else { panic!("two blocks") };
        let add = add.replace("../bg-wasm-host", root().to_str().unwrap());
        run(workshop.shell().arg(&add)).unwrap_or_else(|reason| panic!("{}: {reason}", self.id));
    }

    /// Changes with all that goes into the component.
    fn digest(&self, workshop: &Workshop) -> String {
        let mut hasher = DefaultHasher::new();
        workshop.blocks().hash(&mut hasher);
        files(&workshop.project()).hash(&mut hasher);
        if self.language == RUST {
            files(&root().join("integrations/sdk")).hash(&mut hasher);
            let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            Command::new(rustc).arg("-vV").output().unwrap().stdout.hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}

/// Every file below a folder, with its name from there.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = PathBuf::from(entry.file_name());
        if entry.path().is_file() {
            found.push((name, fs::read(entry.path()).unwrap()));
        // What an author's own try-outs leave in the sources.
        } else if !["__pycache__", "typings"].iter().chain(&KEPT).any(|other| name == Path::new(other)) {
            found.extend(files(&entry.path()).into_iter().map(|(below, bytes)| (name.join(below), bytes)));
        }
    }
    found.sort();
    found
}
