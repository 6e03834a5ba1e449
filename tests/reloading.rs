//! Components that are replaced while the service runs.

use std::path::Path;

use bg_test_support::{Running, TestHost};
use serde_json::json;

use crate::common::{SOON, VALID, deploy, fixture, host, register, replace, wait_for_success};
use crate::guest::guest;

const TRAP: &str = "unreachable";

/// Two versions of an integration, and the charm that it names: the first works, the second traps for every charm.
struct Versions {
    host: TestHost,
    charm: String,
    file: String,
    second: Vec<u8>,
}

fn versions() -> Versions {
    let (host, elsewhere) = (host(), host());
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    register(&host, &charm, "mine");
    let file = guest(&host, "mine", &[&charm], None, VALID);
    let second = std::fs::read(guest(&elsewhere, "mine", &[&charm], None, TRAP)).unwrap();
    Versions { host, charm, file, second }
}

fn sha256(host: &TestHost, file: &str) -> String {
    let inspected = host.command(["inspect", file, "--json"]).unwrap().success().unwrap();
    let inspected: serde_json::Value = serde_json::from_str(&inspected.stdout).unwrap();
    inspected["sha256"].as_str().unwrap().to_owned()
}

fn run(host: &TestHost, file: &str, more: &[&str]) -> Running {
    host.spawn(["run", "--interval", "300ms", "--component", file].iter().chain(more)).unwrap()
}

#[test]
fn a_changed_component_is_used_without_a_restart_and_an_invalid_one_is_not() {
    let Versions { host, charm, file, second } = versions();
    let mut service = run(&host, &file, &[]);
    wait_for_success(&mut service, &charm);
    replace(&file, b"\0asm, but no component");
    let line =
        service.wait_for_line(|line| line.contains("has changed, but the new version is not used"), SOON).unwrap();
    assert!(line.contains("the loaded one keeps running"), "{line}");
    wait_for_success(&mut service, &charm);
    replace(&file, &second);
    service.wait_for_line(|line| line.contains("The integration mine goes on with its new component"), SOON).unwrap();
    let line = service.wait_for_line(|line| line.contains(&format!("Charm {charm} failed")), SOON).unwrap();
    assert!(line.contains("Trapped"), "{line}");
    service.terminate().unwrap().success().unwrap();
}

#[test]
fn a_pinned_component_changes_only_to_another_pinned_one() {
    let Versions { host, charm, file, second } = versions();
    let other = host.write("other.wasm", &second).unwrap();
    std::fs::copy(Path::new(&file).with_file_name("integration.toml"), host.dir().join("integration.toml")).unwrap();
    let pin = |file: &str| format!("mine={}", sha256(&host, file));
    let (first, second_pin) = (pin(&file), pin(other.to_str().unwrap()));
    let original = std::fs::read(&file).unwrap();
    for (pins, used) in [(vec!["--sha256", &first], false), (vec!["--sha256", &first, "--sha256", &second_pin], true)] {
        replace(&file, &original);
        let mut service = run(&host, &file, &pins);
        wait_for_success(&mut service, &charm);
        replace(&file, &second);
        if used {
            service.wait_for_line(|line| line.contains("goes on with its new component"), SOON).unwrap();
        } else {
            let line = service
                .wait_for_line(|line| line.contains("has changed, but the new version is not used"), SOON)
                .unwrap();
            assert!(line.contains("is not the component that mine is pinned to"), "{line}");
            wait_for_success(&mut service, &charm);
        }
        service.terminate().unwrap().success().unwrap();
    }
}

#[test]
fn a_component_that_asks_for_more_than_the_one_before_does_not_get_it_without_a_restart() {
    let Versions { host, charm, file, .. } = versions();
    // Another digest, and a manifest with requests.
    let mut changed = std::fs::read(&file).unwrap();
    changed.extend([0, 2, 1, b'x']);
    let manifest = Path::new(&file).with_file_name("integration.toml");
    let asked = std::fs::read_to_string(&manifest).unwrap()
        + "[[http]]\nurl = \"https://mail.example/v1/\"\nreason = \"To see.\"\n";
    let mut service = run(&host, &file, &["--grant", "requested"]);
    wait_for_success(&mut service, &charm);
    std::fs::write(manifest, asked).unwrap();
    replace(&file, &changed);
    let line =
        service.wait_for_line(|line| line.contains("mine asks for more than the previous version"), SOON).unwrap();
    assert!(line.contains("https://mail.example/v1/"), "{line}");
    service.wait_for_line(|line| line.contains("goes on with its new component"), SOON).unwrap();
    wait_for_success(&mut service, &charm);
    service.terminate().unwrap().success().unwrap();
}
