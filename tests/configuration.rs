//! The configuration file: what `config check` reports about it, and that both services read it.

use std::path::{Path, PathBuf};

use bg_test_support::{Finished, TestHost};

use crate::common::{SOON, component, host};

pub(crate) fn docs(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).join(name)
}

/// A host with `gmail.wasm` in its folder.
fn host_with_gmail() -> TestHost {
    let host = host();
    std::fs::copy(component("gmail"), host.dir().join("gmail.wasm")).unwrap();
    host
}

fn check(host: &TestHost, text: &str) -> Finished {
    host.write("service.toml", text).unwrap();
    host.command(["config", "check", "service.toml"]).unwrap()
}

#[test]
fn the_documented_file_is_valid_with_and_without_its_commented_keys_and_has_every_key() {
    let host = host_with_gmail();
    let example = std::fs::read_to_string(docs("config.toml")).unwrap().replace("/usr/share/bg-wasm-host/", "");
    let shown = check(&host, &example).success().unwrap().stdout;
    for part in [
        "service.toml has no problems",
        "gmail.wasm: gmail 0.1.0, sha256 ",
        "  granted: GET https://gmail.googleapis.com/gmail/v1/",
        "  listen             127.0.0.1:8000",
        "  allow-host         none",
        "  per-integration    max-concurrent",
        "  egress             enforce",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let pin = shown.split("sha256 ").nth(1).unwrap().split_whitespace().next().unwrap();
    let suggests = |line: &&str| {
        line.strip_prefix("# ").and_then(|line| line.split_once(" = ")).is_some_and(|(key, _)| !key.contains(' '))
    };
    let suggested = example.lines().filter(suggests).count();
    let all: Vec<&str> =
        example.lines().map(|line| if suggests(&line) { line.trim_start_matches("# ") } else { line }).collect();
    let shown = check(&host, &all.join("\n").replace('…', pin)).success().unwrap().stdout;
    for part in [
        "allow-host         charms.example",
        "grant              requested",
        &format!("sha256             gmail={pin}"),
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(suggested > 15, "{suggested}");
    for key in keys(&host) {
        let starts = [format!("{key} = "), format!("[{key}]"), format!("[{key}.")];
        let is_there = all.iter().any(|line| starts.iter().any(|start| line.starts_with(start)));
        assert!(is_there, "docs/config.toml does not say {key}");
    }
}

/// All known keys, as listed in the error about an unrecognizable one.
pub(crate) fn keys(host: &TestHost) -> Vec<String> {
    let refused = check(host, "zzzzzz = 1").failure().unwrap().stderr;
    let keys: Vec<String> = refused.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(keys.len() > 20, "{refused}");
    keys
}

#[test]
fn all_mistakes_are_reported_at_once_each_with_its_line() {
    let host = host_with_gmail();
    let wrong = check(
        &host,
        "components = [\"gmail.wasm\"]\n\
         intervall = 5\n\
         failures = \"many\"\n\
         allow-http = [\"https://a.example/\", \"nonsense\"]\n\
         [limits]\n\
         charm-tiem = 5\n\
         [sha256]\n\
         gmail = \"12\"\n",
    );
    let wrong = wrong.failure().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    for part in [
        "the configuration file service.toml has mistakes:",
        "line 2: unknown field `intervall`; did you mean `interval`?",
        "line 3: invalid type: string \"many\"",
        "line 4: `nonsense`: ",
        "line 6: there is no limit `charm-tiem`; did you mean `charm-time`?",
        "line 8: a SHA-256 has 64 hexadecimal digits",
        "2 | intervall = 5\n  | ^^^^^^^^^",
    ] {
        assert!(wrong.stderr.contains(part), "{part}: {wrong}");
    }
    assert_eq!(wrong.stdout, "");
}

#[test]
fn settings_for_components_are_checked_against_the_components() {
    let host = host_with_gmail();
    host.write("none.wasm", "no component").unwrap();
    let pin = "0".repeat(64);
    let wrong = check(
        &host,
        &format!(
            "components = [\"gmail.wasm\"]\n\
             allow-http = [\n  \"gmail=https://gmail.googleapis.com/\",\n  \"gcal=https://a.example/\",\n  \"https://b.example/\",\n]\n\
             [set.gmial]\napi-base-url = \"x\"\n[sha256]\ngmail = \"{pin}\"\ngcal = \"{pin}\"\n"
        ),
    );
    let wrong = wrong.failure().unwrap().stderr;
    for part in [
        "line 4: there is no component of the integration `gcal`; there are: gmail",
        "line 5: no component asks for anything there",
        "line 7: there is no component of the integration `gmial`; did you mean `gmail`?",
        "line 10: gmail.wasm is not the component that gmail is pinned to",
        "line 11: there is no component of the integration `gcal`",
    ] {
        assert!(wrong.contains(part), "{part}: {wrong}");
    }
    for (text, part) in [
        ("\ncomponents = [\"gmail.wasm\",\n \"gone.wasm\"]", "line 3: cannot read the component gone.wasm"),
        ("components = [\"none.wasm\"]", "line 1: cannot inspect none.wasm"),
        ("components = [\"gmail.wasm\", \"gmail.wasm\"]", "line 1: this is the integration gmail, as gmail.wasm is"),
        ("components = [\"gmail.wasm\"]\n[set.gmail]\nbase = \"x\"", "line 2: the configuration of gmail"),
        (
            "[sha256]\ngmail = \"0000000000000000000000000000000000000000000000000000000000000000\"",
            "`components` names none",
        ),
    ] {
        let wrong = check(&host, text).failure().unwrap().stderr;
        assert!(wrong.contains(part), "{part}: {wrong}");
    }
    let missing = host.command(["config", "check", "gone.toml"]).unwrap().failure().unwrap();
    assert!(missing.stderr.contains("cannot read the configuration file gone.toml"), "{missing}");
}

#[test]
fn one_file_is_for_run_and_serve() {
    // Other machines reach a server of that name, where the public passphrase gives no rights.
    let host = host_with_gmail().env("OPERATOR_PASS", "the operator's own");
    let text = "components = [\"gmail.wasm\"]\ngrant = \"requested\"\nlisten = \"127.0.0.1:0\"\n\
                allow-host = [\"charms.example\"]\nfailures = 3\n";
    check(&host, text).success().unwrap();
    let mut serve = host.spawn(["serve", "--config", "service.toml"]).unwrap();
    let line = serve.wait_for_line(|line| line.contains("listening on http://127.0.0.1:"), SOON).unwrap();
    assert!(!line.contains(":8000"), "{line}");
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let run = host.command(["run", "--once", "--config", "service.toml"]).unwrap().success().unwrap();
    assert!(run.stderr.contains("loaded") && run.stderr.contains("the charm runtime at http://127.0.0.1:"), "{run}");
    serve.terminate().unwrap().success().unwrap();
    host.write("service.toml", "listne = 1\n").unwrap();
    for command in ["run", "serve"] {
        let wrong = host.command([command, "--config", "service.toml"]).unwrap().failure().unwrap();
        assert!(wrong.stderr.contains("line 1: unknown field `listne`; did you mean `listen`?"), "{wrong}");
    }
}
