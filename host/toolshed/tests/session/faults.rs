//! What a server may do wrong: each ends soon, as an error of its kind, and takes no more than its limit.

use std::time::Duration;

use bg_toolshed::{Commit, Error, Limits, Root, Session, State, Value};
use tokio::net::TcpListener;

use crate::fake::{FakeServer, Nature, Odd};
use crate::peers::{config, did, space};
use crate::{document, id};

fn is(message: &Value, kind: &str) -> bool {
    message.get("type") == Some(&kind.into())
}

/// The error of a query whose answer is this text, and of the session after it.
async fn answered(limits: Limits, answer: impl Fn(&str) -> String + Send + 'static) -> (Error, State) {
    let server = FakeServer::start(Nature::default()).await;
    let mut config = config(server.address);
    config.limits = limits;
    let session = Session::open(&config, did(&space())).await.unwrap();
    server.be_odd(move |message| {
        let id = message.get("requestId").and_then(Value::as_str).unwrap_or_default();
        is(message, "graph.query").then(|| Odd::Send(answer(id)))
    });
    let error = session.query([Root::only(id("a"))]).await.unwrap_err();
    (error, session.state())
}

#[tokio::test]
async fn messages_that_are_none_end_the_session() {
    for garbage in [
        "fvj1:",
        "fvj1:{",
        "fvj1:[]",
        "fvj1:null",
        r#"fvj1:{"type":1}"#,
        r#"fvj1:{"type":"response","requestId":"1","ok":{"entities":1}}"#,
        r#"fvj1:{"type":"response","requestId":"1","ok":{"entities":[{"id":"of:x","seq":-1}]}}"#,
        r#"fvj1:{"type":"response","requestId":"1"}"#,
        r#"fvj1:{"type":"session/effect","space":"x","sessionId":"y"}"#,
        r#"fvj1:{"type":"session/effect","effect":{"toSeq":"1","upserts":[],"removes":[]}}"#,
    ] {
        let (error, state) = answered(Limits::default(), move |_| garbage.to_owned()).await;
        assert!(matches!(error, Error::Malformed { .. }), "{garbage}: {error:?}");
        assert_eq!(state, State::Ended(error), "{garbage}");
    }
    let (error, _) = answered(Limits::default(), |_| format!("fvj1:{}", "[".repeat(100_000))).await;
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_message_above_the_limit_ends_the_session() {
    let limits = Limits { message_bytes: 10_000, ..Limits::default() };
    let (error, state) = answered(limits, |_| format!("fvj1:\"{}\"", "x".repeat(10_000))).await;
    assert!(matches!(error, Error::TooLarge(_)), "{error:?}");
    assert!(matches!(state, State::Ended(Error::TooLarge(_))));
}

#[tokio::test]
async fn a_message_of_our_own_above_the_limit_is_not_sent_and_the_session_goes_on() {
    let server = FakeServer::start(Nature::default()).await;
    let mut config = config(server.address);
    config.limits.message_bytes = 10_000;
    let session = Session::open(&config, did(&space())).await.unwrap();
    let large = Commit::new().set(&id("a"), document("x".repeat(20_000)));
    assert!(matches!(session.commit(large).await, Err(Error::TooLarge(_))));
    session.commit(Commit::new().set(&id("a"), document("x"))).await.unwrap();
}

#[tokio::test]
async fn watches_bring_no_more_documents_and_bytes_than_their_limits() {
    for limits in [Limits { documents: 9, ..Limits::default() }, Limits { document_bytes: 1_000, ..Limits::default() }]
    {
        let server = FakeServer::start(Nature::default()).await;
        let mut config = config(server.address);
        config.limits = limits;
        let session = Session::open(&config, did(&space())).await.unwrap();
        let ids: Vec<_> = (0..10).map(|number| id(&number.to_string())).collect();
        let commit = ids.iter().fold(Commit::new(), |commit, id| commit.set(id, document("x".repeat(200))));
        session.commit(commit).await.unwrap();
        let error = session.watch("all", ids.into_iter().map(Root::only)).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge(_)), "{error:?}");
        assert!(matches!(session.state(), State::Ended(Error::TooLarge(_))));
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    // Connected, but no WebSocket; a WebSocket, but no hello; hello, but no session.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut silent = config(listener.local_addr().unwrap());
    silent.limits.connect = Duration::from_millis(100);
    assert!(matches!(Session::open(&silent, did(&space())).await, Err(Error::Unreachable { .. })));
    for kind in ["hello", "session.open"] {
        let server = FakeServer::start(Nature::default()).await;
        server.be_odd(move |message| is(message, kind).then_some(Odd::Silence));
        let mut config = config(server.address);
        config.limits.connect = Duration::from_millis(100);
        let error = Session::open(&config, did(&space())).await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable { problem, .. } if problem.contains("no session")), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_a_timeout_and_of_a_commit_an_unknown_end() {
    let server = FakeServer::start(Nature::default()).await;
    let mut config = config(server.address);
    config.limits.answer = Duration::from_millis(100);
    let session = Session::open(&config, did(&space())).await.unwrap();
    server.be_odd(|message| (is(message, "graph.query") || is(message, "transact")).then_some(Odd::Silence));
    assert!(matches!(session.query([Root::only(id("a"))]).await, Err(Error::Timeout(_))));
    let commit = Commit::new().set(&id("a"), document(1));
    assert!(matches!(session.commit(commit).await, Err(Error::Unknown(_))));
}

#[tokio::test]
async fn requests_without_answers_are_limited_and_those_given_up_do_not_count() {
    let server = FakeServer::start(Nature::default()).await;
    let mut config = config(server.address);
    (config.limits.requests, config.limits.answer) = (4, Duration::from_millis(200));
    let session = Session::open(&config, did(&space())).await.unwrap();
    server.be_odd(|message| is(message, "graph.query").then_some(Odd::Silence));
    for _ in 0..3 {
        let queries = (0..20).map(|_| session.query([Root::only(id("a"))]));
        let errors: Vec<_> =
            futures_util::future::join_all(queries).await.into_iter().map(Result::unwrap_err).collect();
        let busy = errors.iter().filter(|error| matches!(error, Error::Busy(4))).count();
        let late = errors.iter().filter(|error| matches!(error, Error::Timeout(_))).count();
        assert_eq!((busy + late, late >= 4 && busy >= 12), (20, true), "{errors:?}");
    }
}

#[tokio::test]
async fn a_silent_connection_is_lost_and_made_again() {
    use crate::peers::Proxy;
    let server = FakeServer::start(Nature::default()).await;
    let proxy = Proxy::to(server.address).await;
    let mut config = config(proxy.address);
    config.limits.silence = Duration::from_millis(100);
    let session = Session::open(&config, did(&space())).await.unwrap();
    // The server answers a ping, so a quiet connection stays.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((proxy.count(), session.state()), (1, State::Live));
    drop(session);

    // One that accepts and then never reads again answers none.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    config.endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let target = server.address;
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
            let copy = tokio::io::copy_bidirectional(&mut client, &mut server);
            let _ = tokio::time::timeout(Duration::from_millis(50), copy).await;
            kept.push((client, server));
        }
    });
    let session = Session::open(&config, did(&space())).await.unwrap();
    while session.state() == State::Live {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        matches!(session.state(), State::Reconnecting(Error::Unreachable { problem, .. }) if problem.contains("sign of life"))
    );
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_opened_again_and_one_that_is_taken_is_over() {
    let server = FakeServer::start(Nature::default()).await;
    let session = Session::open(&config(server.address), did(&space())).await.unwrap();
    server.forget_sessions();
    session.commit(Commit::new().set(&id("a"), document(1))).await.unwrap();
    server.tell(r#"fvj1:{"type":"session/revoked","space":"s","sessionId":"i","reason":"taken-over"}"#);
    let ended = session.changed(u64::MAX).await.unwrap_err();
    assert!(matches!(ended, Error::Revoked(_)), "{ended}");
    assert!(matches!(session.commit(Commit::new().delete(&id("a"))).await, Err(Error::Revoked(_))));
}

#[tokio::test]
async fn a_lost_answer_to_the_opening_does_not_lock_the_session_out() {
    let server = FakeServer::start(Nature::default()).await;
    let session = Session::open(&config(server.address), did(&space())).await.unwrap();
    session.watch("a", [Root::only(id("a"))]).await.unwrap();
    let mut times = 0;
    server.be_odd(move |message| {
        times += 1;
        // The query ends the connection; the server then gives out a token that never arrives.
        match message.get("type").and_then(Value::as_str) {
            Some("graph.query") if times < 3 => Some(Odd::Hangup),
            Some("session.open") if times < 6 => Some(Odd::DoAndHangup),
            _ => None,
        }
    });
    session.query([Root::only(id("a"))]).await.unwrap();
    session.commit(Commit::new().set(&id("a"), document("after"))).await.unwrap();
    assert_eq!(session.document(&id("a")).unwrap().value(), Some(&"after".into()));
    let opened = server.seen("session.open");
    let names: std::collections::BTreeSet<_> =
        opened.iter().map(|open| open.at(["session", "sessionId"]).and_then(Value::as_str).unwrap()).collect();
    assert!(names.len() >= 2, "it went on as another session");
}

#[tokio::test]
async fn texts_of_a_server_are_shown_short_and_without_hidden_characters() {
    let (error, _) = answered(Limits::default(), |id| {
        let message = format!("\\u001b[31m{}\\u202e", "x".repeat(5_000));
        format!(
            r#"fvj1:{{"type":"response","requestId":"{id}","error":{{"name":"QueryError","message":"{message}"}}}}"#
        )
    })
    .await;
    let shown = error.to_string();
    assert!(matches!(error, Error::Refused { .. }) && shown.len() < 500, "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{202e}']));
}
