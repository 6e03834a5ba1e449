//! SIGHUP: services reload their configuration file in the same process, or continue with the old one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bg_test_support::{Running, TestHost, request};
use serde_json::json;

use crate::common::{SOON, VALID, cell, component, deploy, fixture, host, register, replace, wait_for_success};
use crate::compiling::children;
use crate::guest::guest;

fn file(host: &TestHost, text: &str) -> PathBuf {
    std::fs::create_dir_all(host.dir().join("etc")).unwrap();
    host.write("etc/service.toml", text).unwrap()
}

fn started(service: &mut Running) {
    service.wait_for_line(|line| line.contains("enabled charms, each every"), SOON).unwrap();
}

/// How many of a process's children have ended and are not waited for.
fn zombies(pid: u32) -> usize {
    let status = |child: &u32| std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
    children(pid).iter().filter(|child| status(child).contains("State:\tZ")).count()
}

#[test]
fn signals_in_quick_succession_end_no_service() {
    let host = host();
    file(&host, "interval = \"1h\"\n");
    let mut service = host.spawn(["run", "--config", "etc/service.toml"]).unwrap();
    started(&mut service);
    // Some of them arrive after one program has ended and before the next has begun.
    for pause in (0..100).map(|number| 5 + number % 17) {
        service.hang_up().unwrap();
        std::thread::sleep(Duration::from_millis(pause));
    }
    service.wait_for_line(|line| line.contains("restarting with the changed configuration"), SOON).unwrap();
    started(&mut service);
    service.terminate().unwrap().success().unwrap();
}

#[test]
fn a_service_reloads_its_configuration_in_the_same_process_and_keeps_polling() {
    let host = host();
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    register(&host, &charm, "mine");
    let config = file(&host, "interval = \"1h\"\n");
    let mut service = host.spawn(["run", "--config", "etc/service.toml"]).unwrap();
    let pid = service.pid();
    started(&mut service);
    wait_for_success(&mut service, &charm);

    // A mistake changes nothing.
    replace(&config, "intervall = 1\n");
    service.hang_up().unwrap();
    let line = service.wait_for_line(|line| line.contains("was not reloaded"), SOON).unwrap();
    assert!(line.contains("stays in effect") && line.contains("etc/service.toml has mistakes"), "{line}");
    service.wait_for_line(|line| line.contains("was not reloaded") || line.contains('^'), SOON).unwrap();

    // A component that did not exist at the start, in the folder of the file, and another interval.
    let made = guest(&host, "mine", &[&charm], None, VALID);
    std::fs::copy(&made, host.dir().join("etc/mine.wasm")).unwrap();
    std::fs::copy(Path::new(&made).with_file_name("integration.toml"), host.dir().join("etc/integration.toml"))
        .unwrap();
    replace(&config, "components = [\"mine.wasm\"]\ninterval = \"300ms\"\n");
    service.hang_up().unwrap();
    let line = service.wait_for_line(|line| line.contains("restarting with the changed configuration"), SOON).unwrap();
    assert!(line.contains("changed: components, interval"), "{line}");
    service.wait_for_line(|line| line.contains("loaded etc/mine.wasm"), SOON).unwrap();
    for _ in 0..3 {
        wait_for_success(&mut service, &charm);
    }
    let holder = host.command(["status", "--json"]).unwrap().success().unwrap().stdout;
    assert!(holder.contains(&format!("\"pid\": {pid}")), "{holder}");

    // Any number of times: the kernel allows 16 nested confinements. A component is still watched after that, too.
    for failures in 1..=20 {
        replace(&config, format!("components = [\"mine.wasm\"]\ninterval = \"300ms\"\nfailures = {failures}\n"));
        service.hang_up().unwrap();
        started(&mut service);
        assert_eq!(zombies(pid), 0);
    }
    let mut changed = std::fs::read(host.dir().join("etc/mine.wasm")).unwrap();
    changed.extend([0, 2, 1, b'x']);
    replace(host.dir().join("etc/mine.wasm"), changed);
    service.wait_for_line(|line| line.contains("goes on with its new component"), SOON).unwrap();
    wait_for_success(&mut service, &charm);

    let ended = service.terminate().unwrap().success().unwrap();
    assert!(!ended.stderr.contains("not confined") || !ended.stderr.contains("confined: this process"), "{ended}");
    let count = cell(&host, &charm, "count").as_u64().unwrap();
    let polls = ended.stderr.matches(&format!("Successfully executed charm {charm}")).count();
    assert_eq!(count, polls as u64, "every poll that was logged is kept, and no other");
}

#[test]
fn a_service_that_listens_at_any_port_keeps_its_port() {
    let host = host();
    let config = file(&host, "failures = 3\n");
    for command in ["serve", "run"] {
        replace(&config, "failures = 3\n");
        let mut service = host.spawn([command, "--config", "etc/service.toml", "--listen", "127.0.0.1:0"]).unwrap();
        let page = |service: &mut Running| {
            let line = service.wait_for_line(|line| line.starts_with("The admin page: "), SOON).unwrap();
            line.split("/admin").next().unwrap().to_owned()
        };
        let before = page(&mut service);
        assert!(!before.ends_with(":0"), "{before}");
        for failures in 4..7 {
            replace(&config, format!("failures = {failures}\n"));
            service.hang_up().unwrap();
            let line = service.wait_for_line(|line| line.contains("restarting with the changed"), SOON).unwrap();
            // `serve` has no such option.
            let changed = if command == "run" { "changed: failures" } else { "changed: no option" };
            assert!(line.trim_end().ends_with(changed), "{command}: {line}");
            assert_eq!(page(&mut service), before, "{command}");
        }
        let at: std::net::SocketAddr = before.trim_start_matches("The admin page: http://").parse().unwrap();
        assert_eq!(request(at, "GET", "/api/health", &[], b"").unwrap().status, 200);
        service.terminate().unwrap().success().unwrap();
    }
}

#[test]
fn a_service_continues_if_there_is_no_file_or_it_cannot_be_read() {
    let host = host();
    let mut service = host.spawn(["run"]).unwrap();
    started(&mut service);
    service.hang_up().unwrap();
    service.wait_for_line(|line| line.contains("there is no configuration file (--config FILE)"), SOON).unwrap();
    service.terminate().unwrap().success().unwrap();

    let config = file(&host, "failures = 3\n");
    std::fs::copy(component("gmail"), host.dir().join("gmail.wasm")).unwrap();
    let mut service = host.spawn(["run", "--config", "etc/service.toml"]).unwrap();
    let confined = service.wait_for_line(|line| line.contains("confined"), SOON).unwrap();
    started(&mut service);
    for (text, why) in [
        ("components = [\"gone.wasm\"]", "cannot read the component etc/gone.wasm"),
        ("components = [\"service.toml\"]", "cannot use the component etc/service.toml"),
        (
            "[sha256]\ngmail = \"0000000000000000000000000000000000000000000000000000000000000000\"",
            "there is no component",
        ),
    ] {
        replace(&config, text);
        service.hang_up().unwrap();
        let line = service.wait_for_line(|line| line.contains("was not reloaded"), SOON).unwrap();
        assert!(line.contains(why), "{why}: {line}");
    }
    if !confined.contains("not confined") {
        // In a folder that the process has had no access to since its start.
        replace(&config, "components = [\"../gmail.wasm\"]");
        service.hang_up().unwrap();
        let line = service.wait_for_line(|line| line.contains("was not reloaded"), SOON).unwrap();
        assert!(line.contains("Permission denied") && line.contains("need a restart"), "{line}");
    }
    // The home directory is not opened up for a file in it.
    let home = crate::common::host();
    home.write("home.toml", "failures = 3\n").unwrap();
    let mut at_home = home.spawn(["run", "--config", "home.toml"]).unwrap();
    at_home.wait_for_line(|line| line.contains("for SIGHUP, put home.toml into a separate folder"), SOON).unwrap();
    started(&mut at_home);
    home.write("home.toml", "failures = 4\n").unwrap();
    at_home.hang_up().unwrap();
    at_home.wait_for_line(|line| line.contains("restarting with the changed configuration"), SOON).unwrap();
    started(&mut at_home);
    at_home.terminate().unwrap().success().unwrap();
    // A stop signal still stops it.
    replace(&config, "failures = 4\n");
    service.hang_up().unwrap();
    service.wait_for_line(|line| line.contains("restarting with the changed configuration"), SOON).unwrap();
    started(&mut service);
    service.terminate().unwrap().success().unwrap();
}

#[test]
fn a_login_survives_a_reload() {
    let host = host();
    // A fixed port for before and after: cookies belong to one port.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = file(&host, &format!("listen = \"{address}\"\n"));
    let mut server = host.spawn(["serve", "--config", "etc/service.toml"]).unwrap();
    let line = server.wait_for_line(|line| line.starts_with("The admin page: "), SOON).unwrap();
    let token = line.split_once("/login#").unwrap().1.trim().to_owned();
    let origin = format!("http://{address}");
    let form = format!("token={token}&next=%2Fadmin");
    let reply = request(
        address,
        "POST",
        "/admin/login",
        &[("Origin", &origin), ("Content-Type", "application/x-www-form-urlencoded")],
        form.as_bytes(),
    );
    let cookie = reply.unwrap().header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let page = |headers: &[(&str, &str)]| request(address, "GET", "/admin/integrations", headers, b"").unwrap().status;
    let bearer = format!("Bearer {token}");
    for keep in 1..=3 {
        assert_eq!((page(&[("Cookie", &cookie)]), page(&[("Authorization", &bearer)])), (200, 200));
        assert_eq!(page(&[("Cookie", &format!("{cookie}x"))]), 401);
        replace(&config, format!("listen = \"{address}\"\nkeep-runs = {keep}\n"));
        server.hang_up().unwrap();
        server.wait_for_line(|line| line.contains("restarting with the changed configuration"), SOON).unwrap();
        // The token is not printed again.
        let line = server.wait_for_line(|line| line.starts_with("The admin page: "), SOON).unwrap();
        assert_eq!(line.trim(), format!("The admin page: {origin}/admin"));
    }
    assert_eq!((page(&[("Cookie", &cookie)]), page(&[("Authorization", &bearer)])), (200, 200));
    // After a logout, the login is gone.
    let out = request(address, "POST", "/admin/logout", &[("Origin", &origin), ("Cookie", &cookie)], b"");
    assert_eq!(out.unwrap().status, 303);
    assert_eq!(page(&[("Cookie", &cookie)]), 401);
    server.terminate().unwrap().success().unwrap();
}

#[test]
fn a_server_reloads_its_configuration_except_its_address() {
    let host = host().env("OPERATOR_PASS", "the operator's own");
    let config = file(&host, "listen = \"127.0.0.1:0\"\n");
    let mut server = host.spawn(["serve", "--config", "etc/service.toml"]).unwrap();
    let pid = server.pid();
    server.wait_for_line(|line| line.contains("listening on"), SOON).unwrap();
    replace(&config, "listen = \"127.0.0.1:1\"\n");
    server.hang_up().unwrap();
    let line = server.wait_for_line(|line| line.contains("was not reloaded"), SOON).unwrap();
    assert!(line.contains("`listen` is now 127.0.0.1:1, which needs a restart"), "{line}");
    replace(&config, "listen = \"127.0.0.1:0\"\nallow-host = [\"charms.example\"]\nkeep-runs = 7\n");
    server.hang_up().unwrap();
    let line = server.wait_for_line(|line| line.contains("restarting with the changed configuration"), SOON).unwrap();
    assert!(line.contains("changed: allow-host, keep-runs"), "{line}");
    server.wait_for_line(|line| line.contains("listening on"), SOON).unwrap();
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let holder = host.command(["status", "--json"]).unwrap().success().unwrap().stdout;
    assert!(holder.contains(&format!("\"pid\": {pid}")), "{holder}");
    server.terminate().unwrap().success().unwrap();
}
