//! Builds the integrations of `tests/guests/authors`: what `new` writes, with their files in place of its own. What is built
//! already is not built again.

use std::fs;
use std::path::PathBuf;

use crate::common::host;
use crate::integrations::blocks;
use crate::workshop::{JAVASCRIPT, Language, PYTHON, RUST, Workshop, files, root, run};

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
    Way { folder: "javascript", language: JAVASCRIPT, id: "news-javascript" },
    Way { folder: "python", language: PYTHON, id: "news-python" },
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
        let digest = workshop.digest();
        if let Some(built) = workshop.built(self.id, &digest) {
            return Some(built);
        }
        workshop.install()?;
        if self.language == RUST {
            self.add_sdk(&workshop);
        }
        Some(workshop.build(self.id, &digest))
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
}
