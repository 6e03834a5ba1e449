//! A registration whose row in the database is damaged costs its own charm, and the operator sees it everywhere.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::common::{SOON, deploy, fixture, host, register, wait_for_success};
use bg_test_support::request;

const TOKEN: &str = "the-operators-own-token";

#[test]
fn a_damaged_registration_is_seen_wherever_the_operator_looks_and_the_others_are_polled() {
    let host = host().env("BG_WASM_HOST_LOGIN_TOKEN", TOKEN);
    let [damaged, sound] = ["damaged", "sound"].map(|name| {
        let charm = deploy(&host, &fixture("counter.tsx"), name, &json!({}));
        register(&host, &charm, name);
        charm
    });
    let database = Connection::open(host.data_dir().join("runtime.db")).unwrap();
    let changed = database.execute("UPDATE registrations SET interval_ms = -5 WHERE integration = 'damaged'", []);
    assert_eq!(changed.unwrap(), 1);
    drop(database);

    let mut service = host.spawn(["run", "--interval", "300ms", "--listen", "127.0.0.1:0"]).unwrap();
    let line = service.wait_for_line(|line| line.starts_with("The admin page: http://"), SOON).unwrap();
    let at: std::net::SocketAddr =
        line.trim_start_matches("The admin page: http://").split('/').next().unwrap().parse().unwrap();
    for _ in 0..3 {
        wait_for_success(&mut service, &sound);
    }
    let (column, fix) =
        ("column registrations.interval_ms: -5 is out of range", format!("bg-wasm-host remove {damaged}"));
    let list = host.command(["list"]).unwrap().success().unwrap();
    assert!(list.stdout.contains(&sound) && !list.stdout.contains(&damaged), "{list}");
    let status = host.command(["status"]).unwrap().success().unwrap();
    let doctor = host.command(["doctor"]).unwrap();
    let json = host.command(["list", "--json"]).unwrap().success().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&json.stdout).unwrap().as_array().unwrap().len(), 1);
    let show = host.command(["show", &damaged]).unwrap().failure().unwrap();
    for shown in [&list.stderr, &status.stdout, &doctor.stdout, &json.stderr, &show.stderr] {
        assert!(shown.contains(column) && shown.contains(&fix) && shown.contains(&damaged), "{shown}");
    }
    let bearer = format!("Bearer {TOKEN}");
    let page = request(at, "GET", "/admin", &[("Authorization", &bearer)], b"").unwrap();
    let text = page.text();
    assert_eq!(page.status, 200);
    for part in [&damaged, "registrations.interval_ms", "-5 is out of range", &fix] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let metrics = request(at, "GET", "/metrics", &[("Authorization", &bearer)], b"").unwrap().text();
    assert!(metrics.lines().any(|line| line == "bg_wasm_host_damaged_registrations 1"), "{metrics}");

    // What it says fixes it, while the service goes on.
    host.command(["remove", &damaged]).unwrap().success().unwrap();
    register(&host, &damaged, "damaged");
    wait_for_success(&mut service, &damaged);
    assert!(!host.command(["list"]).unwrap().success().unwrap().stderr.contains("damaged registration"));
    let ended = service.terminate().unwrap().success().unwrap();
    assert_eq!(ended.stderr.matches("damaged registration of").count(), 1, "{ended}");
}
