//! Servers of other versions, and other servers: refused clearly, and nothing signed for them.

use bg_toolshed::{Error, Session};

use crate::fake::{FakeServer, Nature, Odd};
use crate::peers::{config, did, space};

/// Opens a session with a server that answers hello with this.
async fn hello(answer: &str) -> Error {
    let server = FakeServer::start(Nature::default()).await;
    let answer = answer.to_owned();
    server.be_odd(move |_| Some(Odd::Send(answer.clone())));
    let error = Session::open(&config(server.address), did(&space())).await.unwrap_err();
    assert!(server.seen("session.open").is_empty(), "nothing is signed for a server that is not understood");
    error
}

#[tokio::test]
async fn another_version_is_refused_and_both_are_named() {
    let auth = r#""sessionOpen":{"audience":"did:key:z6MksHnZGdHxNoCqcC3kPvBSo2goCzLSWheQ8LrVpAtQwgwW","challenge":{"value":"c","expiresAt":1}}"#;
    let cases = [
        (r#"fvj2:{"type":"hello.ok"}"#.to_owned(), "format fvj2"),
        (r#"{"type":"hello.ok"}"#.to_owned(), "its messages start with"),
        (format!(r#"fvj1:{{"type":"hello.ok","protocol":"memory/v3","flags":{{}},{auth}}}"#), r#""memory/v3""#),
        (
            format!(r#"fvj1:{{"type":"hello.ok","protocol":"memory","flags":{{"modernCellRep":true}},{auth}}}"#),
            "modernCellRep",
        ),
        (r#"fvj1:{"type":"hello.ok","protocol":"memory","flags":{}}"#.to_owned(), "without challenges"),
        (
            r#"fvj1:{"type":"response","requestId":"handshake","error":{"name":"UnsupportedProtocol","message":"Unsupported protocol: memory"}}"#.to_owned(),
            "Unsupported protocol: memory",
        ),
        (
            r#"fvj1:{"type":"response","requestId":"handshake","error":{"name":"ProtocolError","message":"memory flag mismatch"}}"#.to_owned(),
            "flag mismatch",
        ),
        (r#"fvj1:{"type":"welcome"}"#.to_owned(), r#"answered hello with "welcome""#),
    ];
    for (answer, theirs) in cases {
        let error = hello(&answer).await;
        assert!(matches!(error, Error::Version { .. }) && !error.is_transient(), "{answer}: {error:?}");
        let message = error.to_string();
        assert!(message.contains(theirs), "{message} names theirs");
        assert!(message.contains("\"memory\" with values in format fvj1"), "{message} names ours");
    }
}

#[tokio::test]
async fn what_is_no_such_server_is_said_to_be_none() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for status in ["404 Not Found", "302 Found\r\nlocation: http://127.0.0.1:9/"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    for status in [404, 302] {
        let error = Session::open(&config(address), did(&space())).await.unwrap_err();
        assert!(matches!(&error, Error::NoWebSocket { status: found, .. } if *found == status), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_must_be_another_gets_no_signature() {
    let server = FakeServer::start(Nature::default()).await;
    let mut config = config(server.address);
    config.audience = Some(bg_identity::Identity::from_passphrase("another server").did());
    let error = Session::open(&config, did(&space())).await.unwrap_err();
    assert!(matches!(error, Error::AnotherServer { .. }), "{error}");
    assert!(server.seen("session.open").is_empty());
}

#[tokio::test]
async fn a_server_that_becomes_another_gets_no_signature() {
    let server = FakeServer::start(Nature::default()).await;
    let session = Session::open(&config(server.address), did(&space())).await.unwrap();
    server.be_odd(|message| {
        (message.get("type") == Some(&"hello".into())).then(|| {
            Odd::Send(r#"fvj1:{"type":"hello.ok","protocol":"memory","flags":{},"sessionOpen":{"audience":"did:key:z6MksHnZGdHxNoCqcC3kPvBSo2goCzLSWheQ8LrVpAtQwgwW","challenge":{"value":"c","expiresAt":1}}}"#.to_owned())
        })
    });
    server.tell(r#"fvj1:{"type":"response","requestId":"1","error":{"name":"SessionError","message":"x"}}"#);
    server.be_odd({
        let mut hung = false;
        move |message| match message.get("type").and_then(bg_toolshed::Value::as_str) {
            Some("graph.query") if !std::mem::replace(&mut hung, true) => Some(Odd::Hangup),
            Some("hello") => Some(Odd::Send(r#"fvj1:{"type":"hello.ok","protocol":"memory","flags":{},"sessionOpen":{"audience":"did:key:z6MksHnZGdHxNoCqcC3kPvBSo2goCzLSWheQ8LrVpAtQwgwW","challenge":{"value":"c","expiresAt":1}}}"#.to_owned())),
            _ => None,
        }
    });
    let error = session.query([bg_toolshed::Root::only(crate::id("a"))]).await.unwrap_err();
    assert!(matches!(error, Error::AnotherServer { .. }), "{error}");
    assert_eq!(server.seen("session.open").len(), 1, "the one before");
}
