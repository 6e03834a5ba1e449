//! When a grant is added, all charms that wait for it continue as fast as the limit of concurrent polls allows, and do
//! not stay synchronized.

use std::time::{Duration, Instant};

use bg_identity::{CharmId, space_did};
use bg_test_support::{RawAnswer, RawServer, Running, TestHost};
use rusqlite::Connection;
use serde_json::json;

use crate::common::{SOON, deploy, fixture, host, register, wait_for_success};
use crate::failing::READER;

/// Makes registered copies of a charm, in a hundred spaces, whose last polls were denied.
fn copies(host: &TestHost, charm: &str, many: u32) {
    let (space, id) = charm.split_once('/').unwrap();
    let mut database = Connection::open(host.data_dir().join("runtime.db")).unwrap();
    let tx = database.transaction().unwrap();
    let model: i64 =
        tx.query_row("SELECT row FROM charms WHERE space = ?1 AND id = ?2", [space, id], |row| row.get(0)).unwrap();
    for number in 0..100.min(many) {
        let space = space_did(&format!("space {number}"));
        tx.execute("INSERT INTO spaces (did, created_at) VALUES (?1, 1)", [space.as_str()]).unwrap();
    }
    for number in 0..many {
        let space = space_did(&format!("space {}", number % 100));
        tx.execute(
            "INSERT INTO charms (space, id, file_name, source, module, name, streams, secrets, further_sources, further_modules, \
             created_at, updated_at) SELECT ?1, ?2, file_name, source, module, name, streams, secrets, further_sources, \
             further_modules, created_at, updated_at FROM charms WHERE row = ?3",
            (space.as_str(), CharmId::for_content(&number.to_be_bytes()).as_str(), model),
        )
        .unwrap();
        let row = tx.last_insert_rowid();
        tx.execute(
            "INSERT INTO cells (charm, name, sealed, document) SELECT ?1, name, sealed, document FROM cells WHERE charm = ?2",
            (row, model),
        )
        .unwrap();
        tx.execute(
            "INSERT INTO registrations (charm, integration, created_at, updated_at, last_run, status, last_kind, last_blame) \
             VALUES (?1, 'mine', 1, 1, 2, 'Denied: not granted', 'Denied', 'configuration')",
            [row],
        )
        .unwrap();
    }
    tx.commit().unwrap();
}

/// When each of `many` lines with that text was logged, from `began` on.
fn times(service: &mut Running, text: &str, many: u32, began: Instant) -> Vec<Duration> {
    let time = |_| {
        service.wait_for_line(|line| line.contains(text), SOON).unwrap();
        began.elapsed()
    };
    (0..many).map(time).collect()
}

/// A service with that interval for `many` charms whose requests were denied; then the grant is added. Returns the
/// service, and when each charm was polled successfully.
fn granted(host: &TestHost, many: u32, interval: &str) -> (RawServer, Running, Vec<Duration>) {
    let server = RawServer::start(|_| RawAnswer::new("200 OK", "", "hello")).unwrap();
    let origin = format!("http://{}", server.address());
    std::fs::create_dir_all(host.dir().join("etc")).unwrap();
    let source = host.write("reader.tsx", READER).unwrap();
    let charm = deploy(host, source.to_str().unwrap(), "my-space", &json!({"url": format!("{origin}/x")}));
    copies(host, &charm, many);
    let config = format!("interval = \"{interval}\"\nallow-private = [\"{origin}\"]\n");
    let file = host.write("etc/service.toml", &config).unwrap();
    let mut service = host.spawn(["run", "--config", "etc/service.toml"]).unwrap();
    times(&mut service, "it waits until that is fixed", many, Instant::now());
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{config}allow-charm-http = [\"{origin}\"]\n")).unwrap();
    std::fs::rename(new, &file).unwrap();
    let began = Instant::now();
    service.hang_up().unwrap();
    let times = times(&mut service, "Successfully executed charm", many, began);
    (server, service, times)
}

#[test]
fn all_charms_that_wait_for_a_grant_continue_when_it_is_added_and_not_by_their_interval() {
    let host = host();
    // Spread over the interval, the second one would come after more than half a minute.
    let (_server, service, times) = granted(&host, 150, "1h");
    assert_eq!(times.len(), 150);
    service.terminate().unwrap().success().unwrap();
}

/// Its answer names no cause, like that of the original's server to any error.
#[test]
fn a_charm_whose_token_went_to_the_wrong_service_continues_after_a_new_url_or_sign_in() {
    let answers = |status: &'static str, body: &'static str| {
        RawServer::start(move |_| RawAnswer::new(status, "Content-Type: application/json\r\n", body)).unwrap()
    };
    let wrong = answers("400 Bad Request", r#"{"error": "Failed to refresh token"}"#);
    let right = answers("200 OK", r#"{"tokenInfo": {"token": "a-new-token", "expiresIn": 3600}}"#);
    let [wrong_at, right_at] =
        [&wrong, &right].map(|server| format!("oauth-refresh-url = \"http://{}/\"\n", server.address()));
    let host = host();
    std::fs::create_dir_all(host.dir().join("etc")).unwrap();
    let file = host.write("etc/service.toml", format!("interval = \"1h\"\n{wrong_at}")).unwrap();
    let mut service = host.spawn(["run", "--config", "etc/service.toml"]).unwrap();
    service.wait_for_line(|line| line.contains("Polling 0 enabled charms"), SOON).unwrap();
    let auth = json!({"auth": {"token": "an-old-token", "refreshToken": "a-refresh-token", "expiresAt": 1}});
    let [renewed, signed_in] = ["renewed", "signed-in"].map(|space| {
        let charm = deploy(&host, &fixture("mailbox.tsx"), space, &auth);
        register(&host, &charm, "mine");
        charm
    });
    let until = Instant::now() + SOON;
    for charm in [&renewed, &signed_in] {
        while !host.command(["show", charm]).unwrap().stdout.contains("without a reason") {
            assert!(Instant::now() < until, "{charm}");
        }
    }
    let new = r#"{"token": "a-newer-token", "refreshToken": "another", "expiresAt": 99999999999999}"#;
    host.command(["charm", "set", &signed_in, "auth", new]).unwrap().success().unwrap();
    wait_for_success(&mut service, &signed_in);
    let new = file.with_extension("new");
    std::fs::write(&new, format!("interval = \"1h\"\n{right_at}")).unwrap();
    std::fs::rename(new, &file).unwrap();
    service.hang_up().unwrap();
    // By its interval it would take two hours.
    wait_for_success(&mut service, &renewed);
    service.terminate().unwrap().success().unwrap();
}

#[test]
#[ignore = "measures for three minutes: cargo test --test end_to_end -- --ignored --nocapture ten_thousand"]
fn ten_thousand_charms_that_wait_for_a_grant_continue_after_it() {
    const MANY: u32 = 10_000;
    let host = host();
    let (_server, mut service, times) = granted(&host, MANY, "60s");
    for (what, place) in [("the first", 0), ("100", 99), ("1,000", 999), ("5,000", 4_999), ("all", times.len() - 1)] {
        println!(
            "{MANY} charms that waited for a grant: {what} polled {:.2} s after SIGHUP",
            times[place].as_secs_f64()
        );
    }
    // Their distribution over the two following intervals.
    let (began, mut polls) = (Instant::now(), vec![0_u32; 122]);
    while let Some(left) = Duration::from_mins(2).checked_sub(began.elapsed()) {
        let polled = service.wait_for_line(|line| line.contains("Successfully executed charm"), left);
        if polled.is_err() {
            break;
        }
        polls[usize::try_from(began.elapsed().as_secs()).unwrap()] += 1;
    }
    println!("polls in each second after that: {polls:?}");
    service.terminate().unwrap().success().unwrap();
}
