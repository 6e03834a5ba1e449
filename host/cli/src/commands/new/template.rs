//! The files of `new`: those of `templates/` and the contract of `wit/`, with the integration's name filled in.

use bg_identity::IntegrationId;

use crate::args::Language;

/// A file of a template: its path in the new folder, and its text.
type File = (&'static str, &'static str);

/// Embeds files, by their paths in the new folder and from here.
macro_rules! files {
    ($folder:literal: $($path:literal from $source:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../../", $folder, "/", $source)))),*]
    };
}

/// The files for all languages.
const COMMON: [File; 3] = files!("templates/common":
    "README.md" from "README.md",
    "integration.toml" from "integration.toml",
    "tests/charm.tsx" from "tests/charm.tsx",
);

const RUST: [File; 5] = files!("templates/rust":
    ".gitignore" from "gitignore",
    "Cargo.toml" from "Cargo.toml",
    "src/http.rs" from "src/http.rs",
    "src/lib.rs" from "src/lib.rs",
    "tests/polls.rs" from "tests/polls.rs",
);

const JS: [File; 4] = files!("templates/js":
    ".gitignore" from "gitignore",
    "integration.js" from "integration.js",
    "package.json" from "package.json",
    "tests/polls.test.js" from "tests/polls.test.js",
);

const PYTHON: [File; 5] = files!("templates/python":
    ".gitignore" from "gitignore",
    "http_gate.py" from "http_gate.py",
    "integration.py" from "integration.py",
    "requirements.txt" from "requirements.txt",
    "tests/test_polls.py" from "tests/test_polls.py",
);

/// The contract, without the world of charms.
const WIT: [File; 9] = files!("../../wit":
    "wit/integration.wit" from "integration.wit",
    "wit/values.wit" from "values.wit",
    "wit/deps/cli@0.2.12/cli.wit" from "deps/cli@0.2.12/cli.wit",
    "wit/deps/clocks@0.2.12/clocks.wit" from "deps/clocks@0.2.12/clocks.wit",
    "wit/deps/filesystem@0.2.12/filesystem.wit" from "deps/filesystem@0.2.12/filesystem.wit",
    "wit/deps/http@0.2.12/http.wit" from "deps/http@0.2.12/http.wit",
    "wit/deps/io@0.2.12/io.wit" from "deps/io@0.2.12/io.wit",
    "wit/deps/random@0.2.12/random.wit" from "deps/random@0.2.12/random.wit",
    "wit/deps/sockets@0.2.12/sockets.wit" from "deps/sockets@0.2.12/sockets.wit",
);

/// The language of an integration, and its commands.
struct About {
    files: &'static [File],
    /// The name of the language.
    language: &'static str,
    /// The main source file.
    source: &'static str,
    /// Prerequisites.
    needs: &'static str,
    /// Installs further tools.
    tools: &'static [&'static str],
    build: &'static [&'static str],
    test: &'static str,
}

const fn about(language: Language) -> About {
    match language {
        Language::Rust => About {
            files: &RUST,
            language: "Rust",
            source: "src/lib.rs",
            needs: "[Rust](https://rust-lang.org) 1.95 or newer",
            tools: &["rustup target add wasm32-wasip2"],
            build: &[
                "cargo build --release --target wasm32-wasip2",
                "cp target/wasm32-wasip2/release/integration_{{crate}}.wasm {{name}}.wasm",
            ],
            test: "cargo test",
        },
        Language::Js => About {
            files: &JS,
            language: "JavaScript",
            source: "integration.js",
            needs: "[Node.js](https://nodejs.org) 20 or newer",
            tools: &["npm install"],
            build: &["npm run build"],
            test: "npm test",
        },
        Language::Python => About {
            files: &PYTHON,
            language: "Python",
            source: "integration.py",
            needs: "Python 3.10 or newer",
            tools: &["python3 -m venv .venv", ".venv/bin/pip install -r requirements.txt"],
            build: &[".venv/bin/componentize-py --wit-path wit --world integration componentize integration -o \
                {{name}}.wasm"],
            test: "python3 -m unittest discover tests",
        },
    }
}

/// The commands that inspect a component, and run it.
const RUN: [&str; 2] = ["bg-wasm-host inspect {{name}}.wasm", "bg-wasm-host run --component {{name}}.wasm"];

/// A new integration.
pub(super) struct Template {
    about: About,
    /// The values of the placeholders in the files.
    marks: [(&'static str, String); 9],
}

impl Template {
    pub(super) fn new(name: &IntegrationId, language: Language) -> Self {
        let about = about(language);
        // After `integration-`, every ID is a valid package name, and no other crate's.
        let package = name.as_str().to_ascii_lowercase().replace('.', "-");
        let marks = [
            ("{{language}}", about.language.to_owned()),
            ("{{source}}", about.source.to_owned()),
            ("{{needs}}", about.needs.to_owned()),
            ("{{tools}}", about.tools.join("\n")),
            // The placeholders that follow occur in these values, too.
            ("{{build}}", about.build.join("\n")),
            ("{{test}}", about.test.to_owned()),
            ("{{crate}}", package.replace('-', "_")),
            ("{{package}}", package),
            ("{{name}}", name.to_string()),
        ];
        Self { about, marks }
    }

    /// The files, by their paths in the folder.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, String)> {
        let wit = WIT.iter().map(|&(path, text)| (path, text.to_owned()));
        COMMON.iter().chain(self.about.files).map(|&(path, text)| (path, self.filled(text))).chain(wit)
    }

    /// The commands to type in the folder, in order.
    pub(super) fn commands(&self) -> impl Iterator<Item = String> {
        let About { tools, build, test, .. } = &self.about;
        tools.iter().chain(*build).chain([test]).chain(&RUN).map(|command| self.filled(command))
    }

    fn filled(&self, text: &str) -> String {
        self.marks.iter().fold(text.to_owned(), |text, (mark, value)| text.replace(mark, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use clap::ValueEnum as _;

    use super::*;

    /// The files below a folder of the repository, by relative path.
    fn below(folder: &str) -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut folders = vec![root.clone()];
        let mut found = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.insert(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn every_file_of_the_contract_and_of_the_templates_is_embedded() {
        let mut contract = below("../../wit");
        assert!(contract.remove("README.md") && contract.remove("charm.wit"));
        contract.retain(|path| !path.starts_with("published/"));
        let embedded = |files: &[File]| files.iter().map(|(path, _)| path.replace(".gitignore", "gitignore")).collect();
        assert_eq!(contract.into_iter().map(|path| format!("wit/{path}")).collect::<BTreeSet<_>>(), embedded(&WIT));
        for (folder, files) in [("common", &COMMON[..]), ("rust", &RUST), ("js", &JS), ("python", &PYTHON)] {
            assert_eq!(below(&format!("templates/{folder}")), embedded(files), "{folder}");
        }
    }

    /// In a format string, two braces may precede something else.
    fn has_mark(text: &str) -> bool {
        text.split("{{").skip(1).any(|rest| rest.starts_with(|next: char| next.is_ascii_alphabetic()))
    }

    #[test]
    fn no_placeholder_is_left_and_the_manifest_is_valid() {
        for language in Language::value_variants() {
            let template = Template::new(&"7.My_news".parse().unwrap(), *language);
            for (path, text) in template.files() {
                assert!(!has_mark(&text), "{path}");
                if path == "integration.toml" {
                    let manifest = bg_manifest::Manifest::parse(&text).unwrap();
                    assert_eq!(manifest.integration.id.as_str(), "7.My_news");
                }
            }
            assert!(!template.commands().any(|command| has_mark(&command)));
        }
    }

    #[test]
    fn its_readme_has_the_printed_commands() {
        for language in Language::value_variants() {
            let template = Template::new(&"news".parse().unwrap(), *language);
            let (_, readme) = template.files().find(|(path, _)| *path == "README.md").unwrap();
            let blocks = readme.split("```sh\n").skip(1).flat_map(|rest| rest.split("```").next().unwrap().lines());
            assert!(blocks.eq(template.commands()), "{readme}");
        }
    }
}
