//! The process that checks and compiles components, its cache entries, and pins.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bg_abuse::Attempt;

use crate::bombs::{MANIFEST, slow};
use crate::common::{SOON, component, host};

#[test]
fn a_component_is_refused_unless_it_is_the_pinned_one() {
    let host = host();
    let gmail = component("gmail");
    let inspected = host.command(["inspect", "--json", &gmail]).unwrap().success().unwrap().stdout;
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    let digest = inspected["sha256"].as_str().unwrap();

    let run = |pin: &str| host.command(["run", "--once", "--component", &gmail, "--sha256", pin]).unwrap();
    let wrong = format!("{}{}", &digest[1..], &digest[..1]);
    let refused = run(&format!("gmail={wrong}")).failure().unwrap().stderr;
    for part in [digest, &wrong, "not the component that gmail is pinned to"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let stray = run(&format!("gcal={digest}")).failure().unwrap().stderr;
    assert!(stray.contains("no component of that name"), "{stray}");
    run(&format!("gmail={}", digest.to_ascii_uppercase())).success().unwrap();

    host.write("config.toml", format!("components = ['{gmail}']\n[sha256]\ngmail = '{wrong}'\n")).unwrap();
    let refused = host.command(["run", "--once", "--config", "config.toml"]).unwrap().failure().unwrap().stderr;
    assert!(refused.contains("not the component that gmail is pinned to"), "{refused}");
}

#[test]
fn a_process_that_compiles_ends_with_the_service_that_started_it() {
    let host = host();
    host.write("integration.toml", MANIFEST).unwrap();
    let file = host.write("bomb.wasm", slow()).unwrap();
    let attempt = Attempt::begin("compile", "a service that is killed while it compiles");
    let service = host.spawn(["run", "--polls", "1", "--component", file.to_str().unwrap()]).unwrap();
    let parent = service.pid();
    let child = wait_for(|| children(parent).into_iter().find(|child| is_compiling(*child)));
    service.kill().unwrap();
    wait_for(|| (!Path::new(&format!("/proc/{child}")).exists()).then_some(()));
    attempt.ended("the compiling process ends, too");
}

#[test]
fn a_service_that_gets_a_signal_while_it_compiles_ends() {
    let host = host();
    host.write("integration.toml", MANIFEST).unwrap();
    let file = host.write("bomb.wasm", slow()).unwrap();
    let service = host.spawn(["run", "--component", file.to_str().unwrap()]).unwrap();
    wait_for(|| children(service.pid()).into_iter().find(|child| is_compiling(*child)));
    service.terminate().unwrap().success().unwrap();
}

/// Whether that process compiles, and does not only watch components for changes.
fn is_compiling(process: u32) -> bool {
    fs::read(format!("/proc/{process}/cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).contains("compile-component"))
}

/// The processes with this parent.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let mut all: Vec<u32> = children.split_whitespace().filter_map(|id| id.parse().ok()).collect();
    // A child belongs to the thread that started it.
    for task in fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn wait_for<T>(mut done: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(value) = done() {
            return value;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("this should have come within a minute");
}

/// The numbers of the files that a process has open.
fn open_files(process: u32) -> BTreeSet<String> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_process_that_compiles_has_no_environment_no_files_and_its_limits() {
    // Started like by a service that itself inherited an open file.
    let mut child = Command::new("/bin/sh")
        .args(["-c", "exec 9</etc/passwd; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_bg-wasm-host")])
        .args(["compile-component", "compile", "on-demand", "7", "300000000", "1000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let process = child.id();
    let streams: BTreeSet<String> = ["0", "1", "2"].map(str::to_owned).into();
    wait_for(|| {
        let program = fs::read_link(format!("/proc/{process}/exe")).unwrap();
        (!program.ends_with("sh") && open_files(process) == streams).then_some(())
    });
    let limits = wait_for(|| {
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let of = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
        };
        let all = ["Max cpu time", "Max data size", "Max core file size", "Max open files", "Max file size"].map(of);
        (all[4] == ["0", "0"]).then_some(all)
    });
    assert_eq!(limits, [["7", "12"], ["300000000", "300000000"], ["0", "0"], ["3", "3"], ["0", "0"]]);
    drop(child.stdin.take());
    // Nobody sends it anything.
    assert!(!child.wait().unwrap().success());

    // A process started by the real service.
    let host = host();
    host.write("integration.toml", MANIFEST).unwrap();
    let file = host.write("bomb.wasm", slow()).unwrap();
    let service = host.spawn(["run", "--polls", "1", "--component", file.to_str().unwrap()]).unwrap();
    let service_is_confined = wait_for(|| {
        let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
        children(service.pid()).into_iter().any(is_compiling).then(|| status.contains("NoNewPrivs:\t1"))
    });
    wait_for(|| {
        // The first process, which checks, is soon followed by the one that compiles; either may end while it is
        // inspected. A child that has not executed its program yet still shows the service's environment, folder and
        // command line; the command line distinguishes it.
        let process = children(service.pid()).into_iter().find(|child| is_compiling(*child))?;
        let read = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}"));
        let (environment, status) = (read("environ").ok()?, read("status").ok()?);
        let folder = fs::read_link(format!("/proc/{process}/cwd")).ok()?;
        if status.contains("State:\tZ") || !is_compiling(process) {
            return None;
        }
        assert_eq!((environment.as_str(), folder.as_path()), ("", Path::new("/")));
        (!service_is_confined || status.contains("NoNewPrivs:\t1")).then_some(())
    });
    service.kill().unwrap();
}

#[test]
fn two_services_that_compile_at_once_share_a_cache() {
    let (one, other) = (host(), host());
    let cache = one.dir().join("cache");
    let gmail = component("gmail");
    let start = |host: &bg_test_support::TestHost| {
        host.spawn(["run", "--once", "--component", &gmail, "--cache-dir", cache.to_str().unwrap()]).unwrap()
    };
    let (first, second) = (start(&one), start(&other));
    let [first, second] = [first, second].map(|service| service.wait_for_exit(SOON).unwrap().success().unwrap());
    assert!(first.stderr.contains("compiled_ms=") || second.stderr.contains("compiled_ms="), "{first}{second}");
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    let files = || -> Vec<String> {
        let names = fs::read_dir(&cache).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        names.collect()
    };
    let kept = files();
    // The integration and the engine of charms.
    assert_eq!(
        kept.iter().filter(|name| Path::new(name).extension().is_some_and(|end| end == "cwasm")).count(),
        2,
        "{kept:?}"
    );
    assert_eq!(kept.len(), 2, "{kept:?}");
    let again = start(&one).wait_for_exit(SOON).unwrap().success().unwrap();
    assert!(again.stderr.contains("loaded") && !again.stderr.contains("compiled_ms"), "{again}");
    assert_eq!(files().len(), 2);
}

#[test]
fn everything_works_without_a_cache() {
    let host = host();
    let run = ["run", "--once", "--component", &component("gmail"), "--cache-dir", "/proc/cache"];
    let finished = host.command(run).unwrap().success().unwrap();
    assert!(finished.stderr.contains("no cache of compiled components"), "{finished}");
}

#[test]
fn inspect_says_which_world_a_component_fits_or_why_it_fits_none() {
    let host = host();
    let inspect = |file: &str| host.command(["inspect", file]).unwrap().success().unwrap().stdout;
    for (name, world) in [("gmail", "integration"), ("script", "charm")] {
        let inspected = inspect(&component(name));
        assert!(inspected.contains(&format!("world     {world}")), "{inspected}");
    }
    let neither = wat::parse_str(r#"(component (import "acme:rockets/launch@1.0.0" (instance)))"#).unwrap();
    let neither = host.write("neither.wasm", neither).unwrap();
    let inspected = inspect(neither.to_str().unwrap());
    for part in ["cannot run here", "missing export: `fetch-charms`", "missing export: `handle`", "acme:rockets/launch"]
    {
        assert!(inspected.contains(part), "{part}: {inspected}");
    }
}
