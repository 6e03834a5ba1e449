//! The harness, around a shell.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use bg_test_support::TestHost;

const LONG: Duration = Duration::from_mins(1);

fn shell() -> TestHost {
    TestHost::new("/bin/sh").unwrap()
}

#[test]
fn a_command_runs_in_a_clean_environment() {
    let host = shell().env("GIVEN", "yes");
    let done = host.command(["-c", "env; pwd"]).unwrap().success().unwrap();
    let mut names: Vec<&str> =
        done.stdout.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["BG_WASM_HOST_DATA", "GIVEN", "HOME", "PATH", "TMPDIR"]);
    let dir = host.dir().canonicalize().unwrap();
    assert_eq!(done.stdout.lines().last(), dir.to_str());
}

#[test]
fn status_and_both_outputs_are_captured() {
    let host = shell();
    let done = host.command(["-c", "echo out; echo err >&2; exit 3"]).unwrap();
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(done.status.code(), Some(3));
    assert!(done.clone().success().unwrap_err().to_string().contains("err"));
    assert!(done.failure().is_ok());
}

#[test]
fn a_command_that_takes_too_long_is_killed_and_its_output_shown() {
    let host = shell().timeout(Duration::from_millis(300));
    let error = host.command(["-c", "echo before; exec sleep 600"]).unwrap_err().to_string();
    assert!(error.contains("not done"), "{error}");
}

#[test]
fn lines_are_awaited_one_after_the_other() {
    let host = shell();
    let mut running = host.spawn(["-c", "echo one; echo two; echo one again; exec sleep 600"]).unwrap();
    let one = |line: &str| line.contains("one");
    assert_eq!(running.wait_for_line(one, LONG).unwrap(), "one");
    assert_eq!(running.wait_for_line(one, LONG).unwrap(), "one again");
    let error = running.wait_for_line(one, Duration::from_millis(20)).unwrap_err().to_string();
    assert!(error.contains("two"), "{error}");
    assert!(running.is_running());
}

#[test]
fn waiting_ends_when_the_process_does() {
    let host = shell();
    let mut running = host.spawn(["-c", "echo last words"]).unwrap();
    let error = running.wait_for_line(|_| false, LONG).unwrap_err().to_string();
    assert!(error.contains("closed its outputs") && error.contains("last words"), "{error}");
}

#[test]
fn a_process_can_be_terminated_or_killed() {
    let host = shell();
    let script = "trap 'echo bye; exit 0' TERM INT; echo ready; while :; do sleep 0.01; done";
    let ready = |line: &str| line == "ready";
    let mut running = host.spawn(["-c", script]).unwrap();
    running.wait_for_line(ready, LONG).unwrap();
    assert!(running.terminate().unwrap().success().unwrap().stdout.ends_with("bye\n"));

    let mut running = host.spawn(["-c", script]).unwrap();
    running.wait_for_line(ready, LONG).unwrap();
    assert!(running.interrupt().unwrap().success().unwrap().stdout.ends_with("bye\n"));

    let mut running = host.spawn(["-c", script]).unwrap();
    running.wait_for_line(ready, LONG).unwrap();
    assert_eq!(running.kill().unwrap().status.signal(), Some(9));
}
