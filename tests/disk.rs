//! A disk that is full, read-only or failing: it is reported, the service survives, and nothing is lost or half done.

use std::path::PathBuf;

use bg_abuse::Attempt;
use bg_test_support::{FailingWrites, Finished, Running, SmallDisk, TestHost, WriteFault, available};
use serde_json::{Value, json};

use crate::common::{SOON, deploy, fixture, host, register, wait_for_success};

/// A host whose data directory is a separate disk; `None` without mount namespaces.
fn host_on_a_small_disk() -> Option<(SmallDisk, TestHost)> {
    let host = host();
    let disk = available(SmallDisk::mount(&host.data_dir(), "4m"))?;
    let prefix = disk.prefix(host.dir());
    Some((disk, host.prefix(prefix)))
}

/// A registered charm with two cells that are equal unless a handler's writes were only partly kept.
fn twins(host: &TestHost) -> String {
    let charm = deploy(host, &fixture("twins.tsx"), "my-space", &json!({}));
    register(host, &charm, "my-test");
    charm
}

fn json_of(host: &TestHost, args: &[&str]) -> Value {
    let printed = host.command(args).unwrap().success().unwrap();
    serde_json::from_str(&printed.stdout).unwrap()
}

/// Waits until the service has logged a line with each of these texts, in any order.
fn wait_for_each(service: &mut Running, texts: &[&str]) {
    let mut left = texts.to_vec();
    while !left.is_empty() {
        let line = service.wait_for_line(|line| left.iter().any(|text| line.contains(text)), SOON);
        let line = line.unwrap_or_else(|error| panic!("{left:?}: {error}"));
        left.retain(|text| !line.contains(text));
    }
}

/// Checks that a command ends with status 1 and these texts.
fn refused(host: &TestHost, args: &[&str], texts: &[&str]) {
    let refused = host.command(args).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(!refused.stderr.contains("panicked"), "{refused}");
    for text in texts {
        assert!(refused.stderr.contains(text), "`{text}` is missing: {refused}");
    }
}

/// Checks that the service's log, the charm's cells and the history agree, and that nothing counts against the charm.
fn assert_nothing_is_lost(host: &TestHost, charm: &str, services: &[Finished]) {
    let successes: usize =
        services.iter().map(|ended| ended.stderr.matches("Successfully executed charm").count()).sum();
    let shown = json_of(host, &["charm", "show", charm]);
    let cells = [&shown["cells"]["first"], &shown["cells"]["second"]].map(Value::as_u64);
    assert_eq!(cells, [Some(u64::try_from(successes).unwrap()); 2], "{shown}");
    let runs = json_of(host, &["runs", charm, "--json", "--limit", "1000"]);
    let runs = runs.as_array().unwrap();
    // A hundred are kept.
    assert_eq!(runs.len(), successes.min(100));
    assert!(runs.iter().all(|run| run["outcome"]["kind"] == "Success"), "{runs:?}");
    let listed = json_of(host, &["list", "--json"]);
    assert_eq!((&listed[0]["disabledAt"], &listed[0]["status"]), (&json!(0), &json!("Success")), "{listed}");
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    for ended in services {
        let failed = ended.stderr.lines().filter(|line| line.contains(" failed: "));
        failed.for_each(|line| assert!(line.contains("outcome=Unavailable failures=0"), "{line}"));
        assert!(!ended.stderr.contains("panicked"), "{ended}");
    }
}

#[test]
fn a_service_whose_disk_becomes_full_says_so_and_continues_when_there_is_room() {
    let Some((disk, host)) = host_on_a_small_disk() else { return };
    let charm = twins(&host);
    let mut service = host.spawn(["run", "--interval", "200ms"]).unwrap();
    wait_for_success(&mut service, &charm);
    let attempt = Attempt::begin("disk", "a disk that becomes full under the service").of_process(service.pid());
    disk.fill().unwrap();
    let full = "runtime.db: database or disk is full; free some space on its disk";
    let failed = format!("Charm {charm} failed: Unavailable: ");
    let kept = "polling goes on, and what is not written is kept in memory and tried again";
    wait_for_each(&mut service, &[full, &failed, kept]);
    // Meanwhile existing data can be read, and writes are refused.
    assert_eq!(json_of(&host, &["list", "--json"])[0]["status"], "Success");
    refused(&host, &["register", &charm, "--integration", "another"], &[full]);
    let counter = fixture("counter.tsx");
    refused(&host, &["charm", "deploy", &counter, "--space", "my-space"], &[full]);
    assert!(service.is_running());

    disk.free().unwrap();
    // The first poll and the first write of the poll state after there is room end in either order.
    wait_for_each(
        &mut service,
        &["The poll state can be written again", &format!("Successfully executed charm {charm}")],
    );
    wait_for_success(&mut service, &charm);
    attempt.ended("Unavailable, counts against nobody; goes on once there is room");
    let ended = service.terminate().unwrap().success().unwrap();
    assert_nothing_is_lost(&host, &charm, &[ended]);
    assert_eq!(json_of(&host, &["list", "--json"])[0]["integration"], "my-test");
}

#[test]
fn a_service_stopped_while_its_disk_is_full_ends_cleanly_and_has_kept_what_it_reported() {
    let Some((disk, host)) = host_on_a_small_disk() else { return };
    let charm = twins(&host);
    let mut service = host.spawn(["run", "--interval", "200ms"]).unwrap();
    wait_for_success(&mut service, &charm);
    let attempt = Attempt::begin("disk", "a service ended while its disk is full").of_process(service.pid());
    disk.fill().unwrap();
    let failed = format!("Charm {charm} failed: Unavailable: ");
    wait_for_each(&mut service, &[&failed]);
    attempt.ended("says what it could not write, ends in order");
    let ended = service.terminate().unwrap().success().unwrap();
    assert!(ended.stderr.contains("The outcomes of the last polls could not be written"), "{ended}");
    disk.free().unwrap();
    let again = host.command(["run", "--once"]).unwrap().success().unwrap();
    assert_nothing_is_lost(&host, &charm, &[ended, again]);
}

/// Checks the commands that must be refused on such a disk, first with an empty data directory, then with one that has
/// a charm and was in use until the service was killed; and what works once the disk is repaired.
fn starts(what: &str, texts: &[&str], spoil: impl Fn(&SmallDisk), repair: impl Fn(&SmallDisk)) {
    let Some((disk, host)) = host_on_a_small_disk() else { return };
    let commands = [&["run"][..], &["run", "--once"], &["serve", "--listen", "127.0.0.1:0"]];
    let attempt = Attempt::begin("disk", format!("{what} at the first start"));
    spoil(&disk);
    for command in commands.into_iter().chain([&["list"][..]]) {
        refused(&host, command, texts);
    }
    repair(&disk);
    attempt.ended("status 1, with what to do");

    let charm = twins(&host);
    let mut service = host.spawn(["run", "--interval", "200ms"]).unwrap();
    wait_for_success(&mut service, &charm);
    service.kill().unwrap();
    let shown = json_of(&host, &["charm", "show", &charm]);
    let attempt = Attempt::begin("disk", format!("{what} at the start after a kill"));
    spoil(&disk);
    for command in commands {
        refused(&host, command, texts);
    }
    repair(&disk);
    attempt.ended("status 1, with what to do");
    assert_eq!(json_of(&host, &["charm", "show", &charm]), shown);
    host.command(["run", "--once"]).unwrap().success().unwrap();
    let count =
        |shown: &Value| [&shown["cells"]["first"], &shown["cells"]["second"]].map(|cell| cell.as_u64().unwrap());
    assert_eq!(count(&json_of(&host, &["charm", "show", &charm])), count(&shown).map(|count| count + 1));
}

#[test]
fn a_full_disk_at_the_start_is_an_error_with_the_fix() {
    let (spoil, repair) = (|disk: &SmallDisk| disk.fill().unwrap(), |disk: &SmallDisk| disk.free().unwrap());
    starts("a full disk", &["/data/runtime.db", "free some space"], spoil, repair);
}

#[test]
fn a_read_only_disk_at_the_start_is_an_error_with_the_fix() {
    let (spoil, repair) =
        (|disk: &SmallDisk| disk.set_read_only(true).unwrap(), |disk: &SmallDisk| disk.set_read_only(false).unwrap());
    starts("a read-only disk", &["/data/runtime.db", "disk"], spoil, repair);
}

#[test]
fn a_disk_that_fails_under_the_service_is_reported_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let Some(writes) = available(FailingWrites::new(folder.path())) else { return };
    let host = writes.env().into_iter().fold(host(), |host, (name, value)| host.env(name, value));
    let charm = twins(&host);
    let mut service = host.spawn(["run", "--interval", "200ms"]).unwrap();
    for (what, fault) in [
        ("a disk that becomes read-only under the service", WriteFault::ReadOnly),
        ("a disk whose every write fails", WriteFault::Io),
    ] {
        wait_for_success(&mut service, &charm);
        let attempt = Attempt::begin("disk", what).of_process(service.pid());
        writes.set(Some(fault)).unwrap();
        let said = "runtime.db: disk I/O error; see whether its disk fails, or has become read-only";
        wait_for_each(&mut service, &[said, "what is not written is kept in memory and tried again"]);
        assert!(service.is_running());
        writes.set(None).unwrap();
        service.wait_for_line(|line| line.contains("The poll state can be written again"), SOON).unwrap();
        wait_for_success(&mut service, &charm);
        attempt.ended("Unavailable, counts against nobody; goes on once it can be written");
    }
    let ended = service.terminate().unwrap().success().unwrap();
    assert_nothing_is_lost(&host, &charm, &[ended]);
}

#[test]
fn a_data_directory_that_is_a_file_is_named() {
    let host = host();
    std::fs::remove_dir(host.data_dir()).unwrap();
    let file: PathBuf = host.write("data", "").unwrap();
    for command in [&["run"][..], &["serve", "--listen", "127.0.0.1:0"], &["list"]] {
        refused(&host, command, &["cannot create the data directory", file.to_str().unwrap(), "--data-dir DIR"]);
    }
}
