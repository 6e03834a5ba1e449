//! Requests are counted, and permits are always released.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bg_abuse::Attempt;
use bg_egress::{EgressError, Gate, GateClient, Owner, RequestOptions, Wait};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::{Server, Setup, budget, get, get_text, read_request, request, text};

#[tokio::test]
async fn a_call_has_a_limited_number_of_requests_including_refused_ones() {
    let server = Server::ok().await;
    let mut setup = Setup::to(&[&server]);
    setup.limits.requests_per_call = 3;
    let client = setup.client();
    let call = budget(&client);
    let send = |url: String| client.send(request("GET", &url, &[]), &call, RequestOptions::default());
    send(server.origin()).await.unwrap();
    send("https://denied.example/".into()).await.unwrap_err();
    send(server.origin()).await.unwrap();
    for _ in 0..5 {
        let error = send(server.origin()).await.unwrap_err();
        assert_eq!(error.to_string(), "more than 3 requests in one call");
    }
    assert_eq!(call.asked(), 8);
    // Only one record says that there were too many.
    assert_eq!(setup.records.all().len(), 4);
    // The next call has a full budget.
    assert!(get(&client, &server.origin(), &[]).await.is_ok());
}

#[tokio::test]
async fn requests_beyond_the_concurrency_limit_wait_for_another_to_end() {
    let server = Server::ok().await;
    let mut setup = Setup::to(&[&server]);
    setup.limits.concurrent_per_call = 2;
    let client = setup.client();
    let call = budget(&client);
    let send = || client.send(request("GET", &server.origin(), &[]), &call, RequestOptions::default());
    let first = send().await.unwrap();
    let second = send().await.unwrap();
    assert_eq!(call.in_flight(), 2);

    let waiting = tokio::spawn(send());
    while call.asked() < 3 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    // A body that is read to its end releases its permit, and so does one that is dropped.
    assert_eq!(text(first).await.unwrap(), "ok");
    let third = waiting.await.unwrap().unwrap();
    assert_eq!(call.in_flight(), 2);
    drop((second, third));
    assert_eq!(call.in_flight(), 0);
}

#[tokio::test]
async fn an_owner_has_a_limited_number_of_requests_at_a_time_and_other_owners_do_not_wait() {
    let attempt = Attempt::begin("connections", "many calls, each with all the requests it may have at a time");
    let server = Server::raw(|mut stream, _| async move {
        read_request(&mut stream).await.unwrap();
        while !matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_)) {}
    })
    .await;
    let mut setup = Setup::to(&[&server]);
    setup.limits.request_time = Duration::from_millis(500);
    let gate = Gate::new(setup.gate.clone());
    let greedy = setup.client_for(&gate);
    let mut sending = JoinSet::new();
    for _ in 0..256 {
        let call = budget(&greedy);
        for _ in 0..8 {
            sending.spawn(greedy.send(request("GET", &server.origin(), &[]), &call, RequestOptions::default()));
        }
    }
    while server.connections() < setup.limits.concurrent_per_owner {
        tokio::task::yield_now().await;
    }
    setup.owner = Owner::Integration("gcal".parse().unwrap());
    let other = setup.client_for(&gate);
    let call = budget(&other);
    let healthy = tokio::spawn(other.send(request("GET", &server.origin(), &[]), &call, RequestOptions::default()));
    let mut waited = 0;
    while let Some(sent) = sending.join_next().await {
        match sent.unwrap().unwrap_err() {
            EgressError::Timeout { what: Wait::SharedPermit, .. } => waited += 1,
            EgressError::Timeout { .. } => {}
            other => panic!("{other}"),
        }
    }
    // The clock alone decides how many waiting requests got a permit in time.
    assert!(waited > 0);
    let answer = healthy.await.unwrap().unwrap_err();
    assert!(!matches!(answer, EgressError::Timeout { what: Wait::SharedPermit, .. }), "it got its permit: {answer}");
    attempt.ended("Timeout for those that get no permit; others keep theirs");
}

#[tokio::test]
async fn polls_are_sent_although_events_have_all_the_permits_that_they_may_have() {
    let attempt = Attempt::begin("connections", "events whose requests never end, and many more that wait");
    let server = Server::raw(|mut stream, _| async move {
        read_request(&mut stream).await.unwrap();
        while !matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_)) {}
    })
    .await;
    let mut setup = Setup::to(&[&server]);
    setup.limits.concurrent_per_owner = 8;
    setup.limits.request_time = Duration::from_mins(10);
    setup.owner = Owner::Charms;
    let client = setup.client();
    let mut sending = JoinSet::new();
    let mut send_all = |client: &GateClient, calls: usize| {
        for _ in 0..calls {
            let call = budget(client);
            for _ in 0..8 {
                sending.spawn(client.send(request("GET", &server.origin(), &[]), &call, RequestOptions::default()));
            }
        }
    };
    let connected = async |count: usize| {
        while server.connections() < count {
            tokio::task::yield_now().await;
        }
    };
    send_all(&client, 16);
    connected(6).await;
    let polls = client.for_polls();
    send_all(&polls, 1);
    connected(8).await;
    // No event has got one of the permits of polls, and all are taken.
    assert_eq!(server.connections(), 8);
    attempt.ended("they wait for each other, and polls do not wait for them");
}

#[tokio::test]
async fn only_connections_to_hosts_that_the_operator_named_are_kept() {
    let attempt = Attempt::begin("connections", "hosts that the guest invents, under a wildcard");
    let server = Server::ok().await;
    let port = server.address.port();
    let mut setup =
        Setup::new().grant(&format!("http://named.example:{port}/")).grant(&format!("http://*.wild.example:{port}/"));
    for host in ["named.example", "a.wild.example", "b.wild.example"] {
        setup = setup.private(&format!("http://{host}:{port}"));
        setup.dns.answers(host, &[&["127.0.0.1"]]);
    }
    let client = setup.client();
    for (host, connections) in [("named.example", 1), ("a.wild.example", 4), ("b.wild.example", 7)] {
        for _ in 0..3 {
            assert_eq!(get_text(&client, &format!("http://{host}:{port}/")).await.unwrap(), "ok");
        }
        assert_eq!(server.connections(), connections, "{host}");
    }
    // None of these stays open.
    while server.open() > 1 {
        tokio::task::yield_now().await;
    }
    attempt.ended("each is closed after its request");
}

#[tokio::test]
async fn a_body_that_ended_releases_its_permit_even_if_the_guest_keeps_it() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    let call = budget(&client);
    let kept = client.send(request("GET", &server.origin(), &[]), &call, RequestOptions::default()).await.unwrap();
    assert_eq!(call.in_flight(), 0);
    assert_eq!(setup.records.one().error, None);
    drop(kept);
    assert_eq!(setup.records.all().len(), 1);
}

#[tokio::test]
async fn a_cancelled_request_releases_its_permit_and_its_socket() {
    let attempt = Attempt::begin("cancelled", "a request under way");
    let closed = Arc::new(Notify::new());
    let gone = closed.clone();
    let server = Server::raw(move |mut stream, _| {
        let gone = gone.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            // Never answers; waits for the peer to hang up.
            while !matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_)) {}
            gone.notify_one();
        }
    })
    .await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    let call = budget(&client);
    let sending = client.send(request("GET", &server.origin(), &[]), &call, RequestOptions::default());
    let sending = tokio::spawn(sending);
    while server.connections() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(call.in_flight(), 1);
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    closed.notified().await;
    assert_eq!(call.in_flight(), 0);
    assert_eq!(setup.records.one().error.as_deref(), Some("ended early by the guest"));
    attempt.ended("permit and socket are released");
}

#[tokio::test]
async fn a_dropped_body_releases_its_permit_and_its_socket() {
    let attempt = Attempt::begin("cancelled", "a body under way");
    let closed = Arc::new(Notify::new());
    let gone = closed.clone();
    let server = Server::raw(move |mut stream, _| {
        let gone = gone.clone();
        async move {
            use tokio::io::AsyncWriteExt as _;
            read_request(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nsome").await.unwrap();
            while !matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_)) {}
            gone.notify_one();
        }
    })
    .await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    let call = budget(&client);
    let response = client.send(request("GET", &server.origin(), &[]), &call, RequestOptions::default()).await.unwrap();
    assert_eq!(call.in_flight(), 1);
    drop(response);
    closed.notified().await;
    assert_eq!(call.in_flight(), 0);
    assert_eq!(setup.records.one().status.unwrap().as_u16(), 200);
    attempt.ended("permit and socket are released");
}

#[tokio::test]
async fn a_call_that_is_over_sends_nothing() {
    let server = Server::ok().await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    let over = client.budget(Instant::now());
    let sent = client.send(request("GET", &server.origin(), &[]), &over, RequestOptions::default()).await;
    assert!(matches!(sent, Err(EgressError::Timeout { .. })), "{sent:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_call_that_ends_soon_ends_its_requests() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nslow").await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    let call = client.budget(Instant::now() + Duration::from_millis(200));
    let response = client.send(request("GET", &server.origin(), &[]), &call, RequestOptions::default()).await.unwrap();
    let error = text(response).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { what: Wait::Whole, .. }), "{error}");
    assert_eq!(call.in_flight(), 0);
}
