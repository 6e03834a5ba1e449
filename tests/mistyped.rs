//! An unknown name, folder or option: reported, and nothing is changed or created.

use std::path::Path;

use bg_test_support::TestHost;
use serde_json::json;

use crate::common::{deploy, fixture, host, register};
use crate::guest::guest;

/// Two charms for `gmail`, in separate spaces, both disabled by hand, and one that runs for `gcal`.
fn three(host: &TestHost) -> [String; 3] {
    [("one", "gmail"), ("two", "gmail"), ("three", "gcal")].map(|(space, integration)| {
        let charm = deploy(host, &fixture("counter.tsx"), space, &json!({}));
        register(host, &charm, integration);
        if integration == "gmail" {
            host.command(["disable", &charm]).unwrap().success().unwrap();
        }
        charm
    })
}

fn refused(host: &TestHost, args: &[&str], said: &[&str]) {
    let failed = host.command(args).unwrap().failure().unwrap();
    assert!(said.iter().all(|part| failed.stderr.contains(part)), "{args:?}: {failed}");
}

#[test]
fn an_unknown_name_is_an_error_with_a_suggestion() {
    let host = host();
    let [one, two, three] = three(&host);
    // One letter differs.
    let (start, end) = one.split_at(one.len() - 10);
    let other = format!("{start}{}{}", if end.starts_with('a') { 'b' } else { 'a' }, &end[1..]);
    let unknown = ["no charm is registered for the integration gmial", "did you mean gmail?"];
    refused(&host, &["enable", "--integration", "gmial"], &unknown);
    // The others are not changed, either.
    let by_hand = ["--state", "disabled-by-hand"];
    refused(&host, &["enable", "--integration", "gmail", "--integration", "gmial", by_hand[0], by_hand[1]], &unknown);
    assert!(host.command(["show", &one]).unwrap().success().unwrap().stdout.contains("disabled by hand"));
    refused(&host, &["enable", "--space", "onne"], &["no charm in the space onne (did:key:", ") is registered"]);
    refused(&host, &["run", "--once", "--integration", "gmial"], &unknown);
    refused(&host, &["run", "--once", "--charms", &other], &[&other, "is not registered", "did you mean"]);
    for command in [&["show"][..], &["disable"], &["enable"], &["remove"], &["runs"], &["interval"]] {
        let mut args: Vec<&str> = command.to_vec();
        args.push(&other);
        args.extend((command == ["interval"]).then_some("5m"));
        refused(&host, &args, &[&format!("{other} is not registered; did you mean {one}?")]);
    }

    // A known one next to an unknown one: the known one is polled.
    let ended = host.command(["run", "--once", "--integration", "gcal", "--integration", "gmial"]).unwrap();
    let ended = ended.success().unwrap().stderr;
    assert!(ended.contains(unknown[0]) && ended.contains(&format!("Successfully executed charm {three}")), "{ended}");
    // A component may have no charms yet.
    let file = guest(&host, "mine", &[], None, "(i32.const 48)");
    host.command(["run", "--once", "--component", &file, "--integration", "mine"]).unwrap().success().unwrap();

    let idle = host.command(["enable", "--integration", "gcal"]).unwrap().success().unwrap();
    assert!(idle.stdout.starts_with("0 registrations enabled") && idle.stderr.contains("nothing to enable"), "{idle}");
    // A repeated option matches any of its values.
    let enabled =
        host.command(["enable", "--space", "one", "--space", "two", by_hand[0], by_hand[1], "--state", "waiting"]);
    assert!(enabled.unwrap().success().unwrap().stdout.starts_with("2 registrations enabled"));
    for charm in [&one, &two] {
        assert!(host.command(["show", charm]).unwrap().success().unwrap().stdout.contains("running"));
    }
    let runs = host.command(["runs", &one]).unwrap().success().unwrap();
    assert!(runs.stderr.contains("was not polled yet"), "{runs}");
    let logs = host.command(["charm", "logs", &one]).unwrap().success().unwrap();
    assert!(logs.stderr.contains("has no log lines"), "{logs}");
}

#[test]
fn a_command_that_fails_leaves_no_data_directory_behind() {
    let host = host();
    let charm = "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo/baedreiew6ioyvfnvp2bdyfsylltqnevcclj35ihsqnjqatgl4zbrq5c5ve";
    let counter = fixture("counter.tsx");
    let wrong = host.write("wrong.tsx", "export default 7;").unwrap();
    let wrong = wrong.to_str().unwrap();
    for args in [
        &["register", charm, "--integration", "gmail"][..],
        &["charm", "deploy", &counter, "--update", charm],
        &["charm", "deploy", wrong, "--space", "mine"],
        &["charm", "deploy", "none.tsx", "--space", "mine"],
        &["run", "--config", "none.toml"],
        &["run", "--component", "none.wasm"],
        &["serve", "--config", "none.toml"],
    ] {
        let typo = host.dir().join("typo/deep");
        refused(&host, &[&["--data-dir", typo.to_str().unwrap()], args].concat(), &[]);
        assert!(!Path::new(&host.dir().join("typo")).exists(), "{args:?} made it");
    }
    // Existing files stay, and so do those of others.
    let mine = host.dir().join("mine");
    std::fs::create_dir(&mine).unwrap();
    let dir = ["--data-dir", mine.to_str().unwrap()];
    refused(&host, &[&dir[..], &["charm", "deploy", wrong, "--space", "mine"]].concat(), &[]);
    assert!(mine.is_dir());
    host.command(dir.iter().chain(&["charm", "deploy", &counter, "--space", "mine"])).unwrap().success().unwrap();
    refused(&host, &[&dir[..], &["charm", "deploy", wrong, "--space", "mine"]].concat(), &[]);
    assert!(mine.join("runtime.db").is_file());
}
