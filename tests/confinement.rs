//! Which files the service's own process may open.

use bg_test_support::available;

use crate::common::{SOON, component, host};
use crate::compiling::children;

#[test]
fn the_service_says_that_it_is_confined_and_is() {
    let host = host();
    let mut service = host.spawn(["run"]).unwrap();
    let line = service.wait_for_line(|line| line.contains("confined"), SOON).unwrap();
    if line.contains("not confined") {
        // Then it must say why.
        assert!(line.contains("Landlock"), "{line}");
        available::<()>(Err(line));
        return;
    }
    // Landlock requires that a process cannot gain privileges any more, in any of its threads.
    for task in std::fs::read_dir(format!("/proc/{}/task", service.pid())).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    }
}

#[test]
fn data_directories_that_are_links_or_do_not_exist_yet_work_when_confined() {
    let host = host();
    std::fs::create_dir(host.dir().join("real")).unwrap();
    std::os::unix::fs::symlink(host.dir().join("real"), host.dir().join("link")).unwrap();
    for place in ["link", "new/deep/er", "./relative"] {
        host.command(["run", "--once", "--data-dir", place]).unwrap().success().unwrap();
        host.command(["add-admin-charm", "--data-dir", place]).unwrap().success().unwrap();
        let run = host.command(["run", "--once", "--data-dir", place]).unwrap();
        run.success().unwrap_or_else(|error| panic!("{place}: {error}"));
    }
    assert!(host.dir().join("real/runtime.db").is_file());
}

#[test]
fn the_process_that_watches_components_is_confined_and_isolated_and_ends_with_the_service() {
    let host = host().env("OPERATOR_PASS", "its own passphrase");
    let mut service = host.spawn(["run", "--component", &component("gmail")]).unwrap();
    service.wait_for_line(|line| line.contains("polling the charms of"), SOON).unwrap();
    let log = service.lines();
    let watchers: Vec<u32> = children(service.pid())
        .into_iter()
        .filter(|child| {
            let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("watch-components")
        })
        .collect();
    let [watcher] = watchers[..] else { panic!("{watchers:?}") };
    assert_eq!(std::fs::read(format!("/proc/{watcher}/environ")).unwrap(), b"");
    if !log.iter().any(|line| line.text.contains("not confined")) {
        for task in std::fs::read_dir(format!("/proc/{watcher}/task")).unwrap() {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        }
    }
    service.kill().unwrap();
    for _ in 0..600 {
        // An ended process that nobody waits for is still listed, as a zombie, if there is no init.
        let status = std::fs::read_to_string(format!("/proc/{watcher}/status")).unwrap_or_default();
        if status.is_empty() || status.contains("State:\tZ") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the watcher goes on");
}
