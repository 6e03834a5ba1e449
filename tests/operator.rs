//! What the operator sees: in `doctor`, in help texts, and about a key that others can read.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use crate::common::{SOON, host};

#[test]
fn a_key_file_that_others_can_read_is_reported_once_and_used() {
    let host = host();
    let file = host.dir().join("operator.pem");
    let path = file.to_str().unwrap();
    host.command(["identity", "new", path]).unwrap().success().unwrap();
    let show = |args: &[&str]| {
        let args = ["--identity", path].into_iter().chain(args.iter().copied());
        host.command(args).unwrap().success().unwrap()
    };
    assert!(!show(&["identity", "show"]).stderr.contains("can be read by"));
    for (mode, readers) in [(0o644, "every user of this machine"), (0o640, "its group")] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        for command in [&["identity", "show"][..], &["list"], &["run", "--once"]] {
            let shown = show(command);
            assert_eq!(shown.stderr.matches(&format!("can be read by {readers}")).count(), 1, "{shown}");
            assert!(shown.stderr.contains(&format!("chmod 600 {path}")), "{shown}");
        }
        let doctor = show(&["doctor"]);
        assert!(doctor.stdout.contains("weak   operator's key: did:key:z"), "{doctor}");
    }
}

#[test]
fn doctor_reports_the_state_of_each_check() {
    let host = host();
    let healthy = host.command(["doctor"]).unwrap().success().unwrap();
    for what in
        ["operator's key", "data directory", "cache directory", "runtime's place", "registrations", "charms' engine"]
    {
        assert!(healthy.stdout.contains(&format!("ok     {what}: ")), "{what}: {healthy}");
    }
    // The kernel may lack Landlock.
    assert!(healthy.stdout.contains("  confinement: "), "{healthy}");
    assert_eq!(
        fs::read_dir(host.data_dir())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".doctor"))
            .count(),
        0
    );

    let file = host.write("no-folder", "").unwrap();
    let args = ["--data-dir", file.to_str().unwrap(), "--cache-dir", file.to_str().unwrap(), "doctor"];
    let sick = host.command(args).unwrap().failure().unwrap();
    for part in ["wrong  data directory: ", "--data-dir DIR", "wrong  cache directory: ", "--cache-dir DIR"] {
        assert!(sick.stdout.contains(part), "{part}: {sick}");
    }
    let unreachable = host.command(["--api-url", "http://127.0.0.1:9", "doctor"]).unwrap().failure().unwrap();
    assert!(unreachable.stdout.contains("wrong  registrations: "), "{unreachable}");
}

#[test]
fn a_data_directory_that_others_can_write_to_is_reported() {
    let host = host();
    fs::set_permissions(host.data_dir(), Permissions::from_mode(0o777)).unwrap();
    let run = host.command(["run", "--once"]).unwrap().success().unwrap();
    assert!(run.stderr.contains("others can write to the data directory"), "{run}");
    let doctor = host.command(["doctor"]).unwrap().success().unwrap();
    assert!(doctor.stdout.contains("weak   data directory: others can write"), "{doctor}");
    fs::set_permissions(host.data_dir(), Permissions::from_mode(0o700)).unwrap();
    let run = host.command(["run", "--once"]).unwrap().success().unwrap();
    assert!(!run.stderr.contains("others can write"), "{run}");
}

#[test]
fn a_service_raises_its_limit_of_open_files() {
    let shell = ["sh", "-c", "ulimit -Sn 100 && ulimit -Hn 4096 && exec \"$0\" \"$@\""].map(Into::into);
    let host = host().prefix(shell);
    let mut service = host.spawn(["run"]).unwrap();
    service.wait_for_line(|line| line.contains("polling the charms of"), SOON).unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", service.pid())).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().take(2).collect::<Vec<_>>(), ["4096", "4096"]);
}

#[test]
fn help_separates_common_options_from_a_commands_own() {
    let host = host();
    let help = host.command(["run", "--help"]).unwrap().success().unwrap().stdout;
    let place = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text} is missing: {help}"));
    let own = place("\nOptions:");
    let integrations = place("\nGrants and configuration of integrations:");
    let charms = place("\nCharms and integrations:");
    let common = place("\nOptions of every command:");
    let section = |option: &str| {
        let at = place(&format!("{option} <"));
        [own, integrations, charms, common].into_iter().filter(|start| *start < at).max().unwrap()
    };
    for (option, heading) in [
        ("--interval", own),
        ("--component", own),
        ("--allow-http", integrations),
        ("--set", integrations),
        ("--allow-charm-http", charms),
        ("--egress", charms),
        ("--limit", charms),
        ("--data-dir", common),
        ("--log-format", common),
    ] {
        assert_eq!(section(option), heading, "{option}: {help}");
    }
}
