//! The commands of the README and the guides are those that other tests run, their examples are those that are built,
//! and the tests that SECURITY.md names exist.

use std::path::Path;

use crate::common::{fixture, host};

/// The commands of the README, each with the test that runs it, or CI.
const COMMANDS: [(&str, &str); 14] = [
    ("cargo demo", "CI runs it with --polls 3"),
    ("cargo verify", "CI runs it"),
    ("cargo build && cargo guests && export PATH=\"$PWD/target/debug:$PATH\"", "what `common::host` does"),
    ("bg-wasm-host serve", "walkthrough"),
    ("bg-wasm-host charm deploy examples/charms/counter.tsx --space my-space", "walkthrough"),
    ("bg-wasm-host run", "walkthrough"),
    ("bg-wasm-host add-admin-charm", "walkthrough"),
    ("curl -X POST http://localhost:8000/api/integrations/bg -H 'Content-Type: application/json' \\", "walkthrough"),
    (
        "  -d '{\"charmId\": \"baedrei…\", \"space\": \"did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo\", \"integration\": \"my-test\"}'",
        "walkthrough",
    ),
    ("bg-wasm-host charm test examples/charms/counter.tsx --polls 2", "developer"),
    ("bg-wasm-host charm deploy examples/charms/counter.tsx --space my-space --watch --trigger", "developer"),
    ("bg-wasm-host inspect dist/gmail.wasm", "inspect"),
    ("bg-wasm-host run --component dist/gmail.wasm", "walkthrough"),
    ("bg-wasm-host run --component dist/gmail.wasm --listen 127.0.0.1:8000", "admin, on another port"),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn readme() -> String {
    document("README.md")
}

/// The texts of all blocks in that language.
fn blocks(readme: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    readme.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn its_commands_are_the_tested_ones() {
    let shown: Vec<String> =
        blocks(&readme(), "sh").iter().flat_map(|block| block.lines()).map(str::to_owned).collect();
    let tested: Vec<&str> = COMMANDS.iter().map(|(command, _)| *command).collect();
    assert_eq!(shown, tested);
}

/// `SECURITY.md` names tests as `file`: `test`, `test`.
#[test]
fn every_test_that_security_md_names_exists() {
    let text = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let mut named = 0;
    let mut file = String::new();
    for code in text.split('`').skip(1).step_by(2) {
        if Path::new(code).extension().is_some_and(|end| end == "rs") {
            file = std::fs::read_to_string(root().join(code)).unwrap_or_else(|error| panic!("{code}: {error}"));
        } else if code.len() > 20
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte))
        {
            assert!(file.contains(&format!("fn {code}(")), "{code} is not in the file that is named before it");
            named += 1;
        }
    }
    assert!(named > 40, "{named} tests are named");
}

#[test]
fn the_charm_of_the_guide_and_its_test_are_the_examples() {
    let examples = ["counter.tsx", "counter.test.tsx"];
    let examples = examples.map(|name| std::fs::read_to_string(fixture(name)).unwrap());
    assert_eq!(blocks(&document("docs/charms.md"), "tsx"), examples);
}

#[test]
fn the_integration_of_the_guide_is_the_documented_example_of_the_sdk() {
    let sdk = std::fs::read_to_string(root().join("integrations/sdk/src/lib.rs")).unwrap();
    let [example] = &blocks(&document("docs/integrations.md"), "rust")[..] else { panic!("one example") };
    for line in example.lines().filter(|line| !line.is_empty()) {
        assert!(sdk.contains(&format!("//! {line}\n")), "{line}");
    }
}

#[test]
fn the_configuration_file_of_the_guide_is_read() {
    let toml = blocks(&document("docs/operating.md"), "toml");
    let [config] = toml.as_slice() else { panic!("one TOML block: {toml:?}") };
    let host = host();
    std::fs::copy(crate::common::component("gmail"), host.dir().join("gmail.wasm")).unwrap();
    host.write("service.toml", config).unwrap();
    let run = host.command(["run", "--once", "--config", "service.toml"]).unwrap().success().unwrap();
    assert!(run.stderr.contains("loaded") && !run.stderr.contains("not granted"), "{run}");
}

#[test]
fn the_options_of_the_readme_and_the_guides_are_those_of_the_program() {
    let host = host();
    let charm = ["deploy", "show", "list", "logs", "trigger", "set", "test", "acl", "delete"]
        .map(|command| vec!["charm", command]);
    let single = ["run", "serve", "list", "new", "register", "runs", "status", "enable", "doctor", "inspect"];
    let two = [
        ["egress", "check"],
        ["config", "check"],
        ["space", "new"],
        ["identity", "new"],
        ["oauth", "login"],
        ["setup", "gmail"],
    ];
    let two = two.map(|two| two.to_vec()).into_iter().chain([vec!["oauth", "client", "set"]]);
    let commands = single.map(|command| vec![command]).into_iter().chain(two).chain(charm);
    let help: String = commands
        .map(|command| host.command([&command[..], &["--help"]].concat()).unwrap().success().unwrap().stdout)
        .collect();
    // Options of cargo, systemctl and tests.
    let foreign = ["--list", "--release", "--target", "--bin", "--package", "--test", "--now", "--nocapture"];
    for name in ["README.md", "docs/charms.md", "docs/operating.md", "docs/polling.md", "docs/signing-in.md"] {
        let text = document(name).replace("<!--", "").replace("-->", "");
        let options = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .filter(|word| word.starts_with("--") && !word.starts_with("---"));
        for option in options.filter(|option| !foreign.contains(option)) {
            assert!(help.contains(option), "{name}: {option}");
        }
    }
    for command in [
        "list",
        "show",
        "enable",
        "disable",
        "remove",
        "runs",
        "doctor",
        "space-did",
        "trigger",
        "backup",
        "status",
        "config",
        "completions",
        "man",
    ] {
        host.command([command, "--help"]).unwrap().success().unwrap();
    }
}
