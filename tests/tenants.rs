//! Access rights on a server that others reach, spaces with their own keys, and deleted charms: by commands.

use std::path::Path;

use bg_abuse::Attempt;
use bg_test_support::{Finished, Running, TestHost};
use serde_json::{Value, json};

use crate::common::{self, SOON, deploy, fixture, host, register, wait_for_success};

/// Counts its polls in the clear, and logs them.
const TELLER: &str = r#"import { Cell, Default, handler, pattern, Secret } from "commontools";
// source-of-the-teller
const poll = handler<unknown, { text: Cell<string>; polls: Cell<number> }>((_event, { text, polls }) => {
  polls.set(polls.get() + 1);
  text.set(`set-in-the-clear-${polls.get()}-${"x".repeat(polls.get() * 900)}`);
  console.log(`logged-in-the-clear-${polls.get()}`);
});
export default pattern<{ text: Default<string, "">; polls: Default<number, 0>; auth: { token: Secret<string> } }>(
  ({ text, polls, auth }) => ({ text, polls, auth, bgUpdater: poll({ text, polls }) }));
"#;

/// Starts a server, and returns it with its URL.
fn serve(host: &TestHost, options: &[&str]) -> (Running, String) {
    let (server, address) = common::serve(host, "127.0.0.1:0", options);
    (server, format!("http://{address}"))
}

/// Another person, on another machine, with the key of that passphrase.
fn stranger(url: &str, passphrase: &str) -> TestHost {
    host().env("API_URL", url).env("OPERATOR_PASS", passphrase)
}

fn ok(host: &TestHost, args: &[&str]) -> Finished {
    host.command(args).unwrap().success().unwrap()
}

/// Checks that a command fails with this text.
fn refused(host: &TestHost, args: &[&str], text: &str) {
    let refused = host.command(args).unwrap().failure().unwrap();
    assert!(refused.stderr.contains(text), "{text}: {refused}");
}

fn space_did(host: &TestHost, name: &str) -> String {
    ok(host, &["space-did", name]).stdout.trim().to_owned()
}

#[test]
fn on_a_server_that_others_reach_a_space_belongs_to_its_creator_and_the_service() {
    let host = host().env("OPERATOR_PASS", "the operator's own");
    let open = deploy(&host, &fixture("counter.tsx"), "made-before", &json!({}));
    let (mut server, url) = serve(&host, &["--behind-proxy"]);
    let line = server.wait_for_line(|line| line.contains("others reach this server"), SOON).unwrap();
    assert!(line.contains("new spaces belong to their owner and the service only"), "{line}");
    let made_before = space_did(&host, "made-before");
    let line = server.wait_for_line(|line| line.contains("anybody who signs requests"), SOON).unwrap();
    let fix = format!("bg-wasm-host charm acl {made_before} --revoke '*'");
    assert!(
        line.contains(&format!(
            "one space lets anybody who signs requests write, with any key: {made_before}; to close it: {fix}"
        )),
        "{line}"
    );
    let found = host.command(["doctor"]).unwrap().stdout;
    assert!(
        found.contains("weak   strangers: one space lets anybody who signs requests write") && found.contains(&fix),
        "{found}"
    );

    let (ann, eve) = (stranger(&url, "ann"), stranger(&url, "eve"));
    let attempt = Attempt::begin("tenants", "a deployment into the space of a name, before the victim's");
    let first = ["charm", "deploy", &fixture("counter.tsx"), "--space", "anns"];
    refused(&eve, &first, "`bg-wasm-host space new NAME` makes one");
    attempt.ended("AuthorizationError");
    refused(&ann, &first, "`bg-wasm-host space new NAME` makes one");
    let anns = ok(&ann, &["space", "new", "anns"]).stdout.trim().to_owned();
    // By name as well as by DID.
    let id = ok(&ann, &first).stdout.trim().to_owned();
    let charm = format!("{anns}/{id}");
    let attempt = Attempt::begin("tenants", "commands of a stranger in another's space, of which it knows the DID");
    refused(&eve, &["charm", "list", "--space", &anns], "has no access");
    refused(&eve, &["charm", "show", &charm], "has no access");
    refused(&eve, &["charm", "delete", &charm, "--yes"], "has no access");
    refused(&eve, &["charm", "deploy", &fixture("counter.tsx"), "--space", &anns], "has no access");
    refused(&eve, &["add-admin-charm"], "has no access");
    attempt.ended("AuthorizationError");
    // The operator has access by role, and may also be added to the list.
    assert!(ok(&host, &["add-admin-charm"]).stdout.contains("now has access"));
    // The service polls it, here as another process.
    register(&ann, &charm, "my-test");
    let polled = ok(&host, &["run", "--once"]);
    assert!(polled.stderr.contains(&format!("Successfully executed charm {charm}")), "{polled}");

    // The operator closes the open space with the command that the server printed.
    ok(&eve, &["charm", "show", &open]);
    ok(&host, &["charm", "acl", &made_before, "--revoke", "*"]);
    refused(&eve, &["charm", "show", &open], "has no access");
    let found = host.command(["doctor"]).unwrap().stdout;
    assert!(found.contains("ok     strangers: no space lets anybody write in it"), "{found}");
    // A key cannot exceed its quota; the error names the option that raises it.
    server.terminate().unwrap().success().unwrap();
    let (server, url) = serve(&host, &["--allow-host", "charms.example", "--max-spaces", "1"]);
    let ann = stranger(&url, "ann");
    refused(&ann, &["space", "new", "second"], "--max-spaces");
    server.terminate().unwrap().success().unwrap();

    // The server's rule for new spaces applies to commands that use its database without it, too.
    let later = deploy(&host, &fixture("counter.tsx"), "made-later", &json!({}));
    let listed: Value = serde_json::from_str(&ok(&host, &["space", "list", "--json"]).stdout).unwrap();
    let of =
        listed.as_array().unwrap().iter().find(|space| later.starts_with(space["space"].as_str().unwrap())).unwrap();
    assert_eq!((&of["anyone"], &of["charms"]), (&Value::Null, &json!(1)));
}

#[test]
fn on_a_server_that_others_reach_the_public_passphrase_has_no_rights_and_spaces_can_be_opened() {
    let host = host();
    let (mut server, url) = serve(&host, &["--behind-proxy", "--open-spaces"]);
    server
        .wait_for_line(|line| line.contains("the operator's key is derived from the public passphrase"), SOON)
        .unwrap();
    let line = server.wait_for_line(|line| line.contains("others reach this server"), SOON).unwrap();
    assert!(line.contains("--open-spaces"), "{line}");
    refused(&host, &["list"], "bg-wasm-host identity new FILE");
    let charm = deploy(&stranger(&url, "ann"), &fixture("counter.tsx"), "anns", &json!({}));
    ok(&stranger(&url, "eve"), &["charm", "show", &charm]);
    server.terminate().unwrap().success().unwrap();
}

#[test]
fn a_space_with_its_own_key_is_found_by_its_name() {
    let host = host();
    let made = ok(&host, &["space", "new", "notes"]);
    let did = made.stdout.trim().to_owned();
    assert_ne!(did, space_did(&host, "notes"));
    assert!(made.stderr.contains(&format!("charm deploy FILE --space {did}")), "{made}");
    refused(&host, &["space", "new", "notes"], &did);
    let id = ok(&host, &["charm", "deploy", &fixture("counter.tsx"), "--space", "notes"]).stdout.trim().to_owned();
    for space in ["notes", &did] {
        let listed = ok(&host, &["charm", "list", "--space", space]);
        assert!(listed.stdout.contains(&format!("{did}/{id}")), "{listed}");
    }
    // The same over HTTP, with the operator's key; for another caller the name means the original's space.
    let (server, url) = serve(&host, &[]);
    assert!(ok(&host, &["charm", "list", "--space", "notes"]).stdout.contains(&did));
    let ann = stranger(&url, "ann");
    ok(&ann, &["charm", "deploy", &fixture("counter.tsx"), "--space", "notes"]);
    assert!(ok(&ann, &["charm", "list", "--space", "notes"]).stdout.contains(&space_did(&host, "notes")));
    server.terminate().unwrap().success().unwrap();
    let listed = ok(&host, &["space", "list"]);
    assert!(listed.stdout.contains(&did) && listed.stdout.contains("notes"), "{listed}");
}

/// How often a text occurs in the files of the data directory.
fn found(folder: &Path, text: &str) -> usize {
    let files = std::fs::read_dir(folder).unwrap();
    let count = |bytes: Vec<u8>| bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
    files.map(|file| count(std::fs::read(file.unwrap().path()).unwrap())).sum()
}

#[test]
fn a_charm_deleted_while_services_use_the_database_leaves_nothing_behind() {
    let host = host();
    let source = host.write("teller.tsx", TELLER).unwrap();
    let inputs = json!({"auth": {"token": "tok-SECRET-1"}});
    let charm = deploy(&host, source.to_str().unwrap(), "my-space", &inputs);
    let stays = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    for charm in [&charm, &stays] {
        register(&host, charm, "my-test");
    }
    let mut service = host.spawn(["run", "--interval", "100ms"]).unwrap();
    for _ in 0..5 {
        wait_for_success(&mut service, &charm);
    }
    let texts = ["set-in-the-clear", "logged-in-the-clear", "source-of-the-teller"];
    assert!(texts.iter().all(|text| found(&host.data_dir(), text) > 0));
    refused(&host, &["charm", "delete", &charm], "nothing is deleted without confirmation: add --yes");
    let attempt = Attempt::begin("deleted", "a charm that is deleted while a service polls it");
    let said = ok(&host, &["charm", "delete", &charm, "--yes"]);
    assert!(said.stdout.contains("is deleted"), "{said}");
    // Its neighbour is still polled. Once a concurrent poll of the deleted charm is over, nothing of it is left, and
    // nothing comes back.
    for _ in 0..5 {
        wait_for_success(&mut service, &stays);
    }
    refused(&host, &["charm", "show", &charm], "no charm");
    refused(&host, &["charm", "delete", &charm, "--yes"], "no charm");
    assert!(!ok(&host, &["list"]).stdout.contains(&charm));
    service.terminate().unwrap().success().unwrap();
    for text in texts {
        assert_eq!(found(&host.data_dir(), text), 0, "{text}");
    }
    attempt.ended("nothing of it stays");

    let (server, _) = serve(&host, &[]);
    ok(&host, &["charm", "delete", &stays, "--yes"]);
    refused(&host, &["charm", "show", &stays], "no charm");
    server.terminate().unwrap().success().unwrap();
}
