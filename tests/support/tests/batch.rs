//! Gmail's batches, as a client sees them.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

use bg_test_support::{FakeGoogle, HttpReply, request};

const GMAIL: &str = "/gmail/v1/users/me";

/// Sends a batch of these requests, numbered from 0.
fn send(google: &FakeGoogle, token: &str, requests: &[String]) -> HttpReply {
    let parts: Vec<String> = requests
        .iter()
        .enumerate()
        .map(|(at, request)| {
            format!("--x y\r\nContent-Type: application/http\r\nContent-ID: <item{at}>\r\n\r\n{request}\r\n\r\n")
        })
        .collect();
    post(google, token, "multipart/mixed; boundary=\"x y\"", &format!("{}--x y--\r\n", parts.concat()))
}

fn post(google: &FakeGoogle, token: &str, kind: &str, body: &str) -> HttpReply {
    let address = google.base_url().strip_prefix("http://").unwrap().parse().unwrap();
    let headers = [("Authorization", format!("Bearer {token}")), ("Content-Type", kind.to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    request(address, "POST", "/batch/gmail/v1", &headers, body.as_bytes()).unwrap()
}

/// The number, the status and the body of each part of an answer.
fn parts(reply: &HttpReply) -> Vec<(String, u16, String)> {
    let boundary = reply.header("content-type").unwrap().split_once("boundary=").unwrap().1.to_owned();
    let text = reply.text();
    let pieces: Vec<&str> = text.split(&format!("--{boundary}")).collect();
    assert_eq!(pieces.last(), Some(&"--\r\n"), "{text}");
    let part = |piece: &&str| {
        let (head, answer) = piece.split_once("\r\n\r\n").unwrap();
        let (status, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Content-Type: application/http"), "{piece}");
        let id = head.split_once("<response-").unwrap().1.split_once('>').unwrap().0;
        (id.to_owned(), status.split(' ').nth(1).unwrap().parse().unwrap(), body.trim_end().to_owned())
    };
    pieces[1..pieces.len() - 1].iter().map(part).collect()
}

#[test]
fn each_request_of_a_batch_has_its_own_answer() {
    let google = FakeGoogle::start().unwrap();
    let token = google.issue_token();
    let id = google.deliver("Hello", "a@example.com");
    google.refuse_next_parts(1);
    let asked = [
        format!("GET {GMAIL}/messages/{id}?format=metadata"),
        format!("GET {GMAIL}/messages/nothing HTTP/1.1\r\nAccept: application/json"),
        format!("GET {GMAIL}/profile"),
        format!("POST {GMAIL}/profile"),
        "GET /calendar/v3/calendars/primary/events".to_owned(),
    ];
    let reply = send(&google, &token, &asked);
    assert_eq!(reply.status, 200);
    let mut parts = parts(&reply);
    parts.sort();
    let statuses: Vec<(&str, u16)> = parts.iter().map(|(id, status, _)| (id.as_str(), *status)).collect();
    // The last was handled first: Google guarantees no order.
    assert_eq!(statuses, [("item0", 200), ("item1", 404), ("item2", 200), ("item3", 405), ("item4", 429)]);
    assert!(parts[0].2.contains(&format!("\"id\":\"{id}\"")), "{parts:?}");
    assert!(parts[4].2.contains("RESOURCE_EXHAUSTED"), "{parts:?}");
    let seen = google.take_requests();
    assert_eq!(seen[0].parts[1], format!("GET {GMAIL}/messages/nothing 404"));

    // The second time it is looked at, and is not Gmail's.
    let reply = send(&google, &token, &asked[4..]);
    assert_eq!(self::parts(&reply)[0].1, 404);
}

#[test]
fn an_invalid_batch_is_refused_as_a_whole() {
    let google = FakeGoogle::start().unwrap();
    let token = google.issue_token();
    let one = || format!("GET {GMAIL}/profile");
    assert_eq!(send(&google, &token, &vec![one(); 100]).status, 200);
    let refused = send(&google, &token, &vec![one(); 101]);
    assert!(refused.status == 400 && refused.text().contains("100 requests at most"), "{}", refused.text());
    assert_eq!(send(&google, &token, &[]).status, 400);
    assert_eq!(send(&google, "made-up", &[one()]).status, 401);
    for (kind, body) in [
        ("application/json", "{}"),
        ("multipart/mixed", "--x--"),
        (
            "multipart/mixed; boundary=x",
            "--x\r\nContent-Type: application/http\r\n\r\nGET /gmail/v1/users/me/profile\r\n",
        ),
        ("multipart/mixed; boundary=x", "--x\r\nContent-Type: text/plain\r\n\r\nGET /a\r\n--x--"),
        ("multipart/mixed; boundary=x", "--x\r\nContent-Type: application/http\r\n\r\nGET https://a.example/\r\n--x--"),
    ] {
        assert_eq!(post(&google, &token, kind, body).status, 400, "{body}");
    }
}

#[test]
fn requests_beyond_the_limit_are_refused_with_a_time_to_wait() {
    let google = FakeGoogle::start().unwrap();
    let token = google.issue_token();
    google.refuse_next(1, Some(7));
    let refused = send(&google, &token, &[format!("GET {GMAIL}/profile")]);
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("7")));
    assert_eq!(send(&google, &token, &[format!("GET {GMAIL}/profile")]).status, 200);
}

#[test]
fn a_token_within_a_batch_is_detected_and_not_shown() {
    let google = FakeGoogle::start().unwrap();
    let token = google.issue_token();
    send(&google, &token, &[format!("GET {GMAIL}/messages/{token}")]);
    let seen = google.take_requests();
    assert!(seen[0].token_leaked && !format!("{seen:?}").contains(&token), "{seen:?}");
}
