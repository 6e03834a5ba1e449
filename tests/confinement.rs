//! What the service's own process may open.

use crate::common::{SOON, host};

#[test]
fn the_service_says_that_it_is_confined_and_is() {
    let host = host();
    let mut service = host.spawn(["run"]).unwrap();
    let line = service.wait_for_line(|line| line.contains("confined"), SOON).unwrap();
    if line.contains("not confined") {
        // Then it must say why.
        assert!(line.contains("Landlock"), "{line}");
        return;
    }
    // Landlock is only for who cannot gain rights any more, neither here nor in any other thread.
    for task in std::fs::read_dir(format!("/proc/{}/task", service.pid())).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    }
}

#[test]
fn data_directories_that_are_links_or_not_there_yet_work_confined() {
    let host = host();
    std::fs::create_dir(host.dir().join("real")).unwrap();
    std::os::unix::fs::symlink(host.dir().join("real"), host.dir().join("link")).unwrap();
    for place in ["link", "new/deep/er", "./relative"] {
        host.command(["add-admin-charm", "--data-dir", place]).unwrap().success().unwrap();
        let run = host.command(["run", "--once", "--data-dir", place]).unwrap();
        run.success().unwrap_or_else(|error| panic!("{place}: {error}"));
    }
    assert!(host.dir().join("real/runtime.db").is_file());
}
