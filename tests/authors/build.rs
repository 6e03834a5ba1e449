//! Builds the integrations of `examples/integrations` as authors do: in a folder created by `new`, with the example's
//! files and the probe of `tests/guests/authors`. A component that is up to date is not built again.

use std::fs;
use std::path::PathBuf;

use crate::common::host;
use crate::integrations::blocks;
use crate::workshop::{JAVASCRIPT, Language, PYTHON, RUST, Workshop, files, root, run};

/// An integration of `examples/integrations`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// The name of its folder there, and of its probe's folder.
    pub(crate) folder: &'static str,
    pub(crate) language: Language,
    /// Its ID.
    pub(crate) id: &'static str,
    probe: Probe,
}

/// How a test makes an example probe for access outside the sandbox.
#[derive(Clone, Copy, Debug)]
struct Probe {
    /// The last statement of `initialize`.
    after: &'static str,
    /// The call added after it.
    call: &'static str,
    /// The last line of the file.
    import: &'static str,
}

/// The probe's value in the manifest.
const PROBE: &str = "
[config.probe]
description = \"An address to try to reach past the gate, HOST:PORT; nothing is tried if empty.\"
default = \"\"
";

pub(super) const WAYS: [Way; 3] = [
    Way {
        folder: "rust",
        language: RUST,
        id: "news-rust",
        probe: Probe {
            after: "charms::prepare_list()?;\n",
            call: "probe::probe(&config::get(\"probe\").unwrap_or_default());\n",
            import: "mod probe;\n",
        },
    },
    Way {
        folder: "javascript",
        language: JAVASCRIPT,
        id: "news-javascript",
        probe: Probe {
            after: "  charms.prepareList();\n",
            call: "  probe(config.get(\"probe\"));\n",
            import: "import { probe } from \"./probe.js\";\n",
        },
    },
    Way {
        folder: "python",
        language: PYTHON,
        id: "news-python",
        probe: Probe {
            after: "        charms.prepare_list()\n",
            call: "        probe(config.get(\"probe\"))\n",
            import: "from probe import probe\n",
        },
    },
];

impl Way {
    pub(super) fn sources(&self) -> PathBuf {
        root().join("examples/integrations").join(self.folder)
    }

    /// The component, built first if needed; its manifest is next to it. `None` if its tools are not available. Safe to
    /// call from several processes at the same time.
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

    /// Writes the files of `new`, overwritten by the example's files with the probe.
    fn write(&self, workshop: &Workshop) {
        workshop.clear();
        let project = workshop.project();
        let folder = project.to_str().unwrap();
        let new = ["new", self.id, "--lang", self.language.lang, "--dir", folder];
        host().command(new).unwrap().success().unwrap();
        let probe = root().join("tests/guests/authors").join(self.folder);
        for (name, bytes) in files(&self.sources()).into_iter().chain(files(&probe)) {
            let path = project.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let Probe { after, call, import } = self.probe;
        let main = project.join(self.language.source);
        let source = fs::read_to_string(&main).unwrap();
        assert_eq!(source.matches(after).count(), 1, "{source}");
        fs::write(main, source.replace(after, &format!("{after}{call}")) + "\n" + import).unwrap();
        let manifest = project.join("integration.toml");
        let asked = fs::read_to_string(&manifest).unwrap() + PROBE;
        fs::write(manifest, asked).unwrap();
        workshop.bring_tools();
    }

    /// As in the guide, which assumes that this repository is next to the integration's folder.
    fn add_sdk(&self, workshop: &Workshop) {
        let [add, _] = &blocks("Languages", "sh")[..] else { panic!("two blocks") };
        let add = add.replace("../bg-wasm-host", root().to_str().unwrap());
        run(workshop.shell().arg(&add)).unwrap_or_else(|reason| panic!("{}: {reason}", self.id));
    }
}
