//! Malformed answers that real servers send, and how browsers read them.

use bg_egress::{EgressError, RequestOptions};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Server, Setup, budget, get, get_text, read_request, request};

/// Answers the first request of each connection with these bytes, and closes the connection.
async fn once(answer: impl Into<Vec<u8>>) -> Server {
    let answer = std::sync::Arc::new(answer.into());
    Server::raw(move |mut stream, seen| {
        let answer = answer.clone();
        async move {
            let Some(request) = read_request(&mut stream).await else { return };
            seen.lock().unwrap().push(request);
            stream.write_all(&answer).await.unwrap();
        }
    })
    .await
}

/// Status, headers and body of an answer, or its error.
async fn answer(method: &str, bytes: &[u8]) -> Result<(u16, http::HeaderMap, Bytes), EgressError> {
    let server = once(bytes).await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    let response =
        client.send(request(method, &server.origin(), &[]), &budget(&client), RequestOptions::default()).await?;
    let (parts, body) = response.into_parts();
    Ok((parts.status.as_u16(), parts.headers, body.collect().await?.to_bytes()))
}

#[tokio::test]
async fn a_folded_header_is_joined_with_a_space() {
    for (sent, read) in
        [("x: a\r\n b", "a b"), ("x: a\r\n\tb", "a b"), ("x: a\r\n  b\r\n \t c", "a b c"), ("x:\r\n a", "a")]
    {
        let (status, headers, body) =
            answer("GET", format!("HTTP/1.1 200 OK\r\n{sent}\r\ncontent-length: 2\r\n\r\nok").as_bytes())
                .await
                .unwrap_or_else(|error| panic!("{sent:?}: {error}"));
        assert_eq!((status, &body[..]), (200, &b"ok"[..]));
        assert_eq!(headers["x"].to_str().unwrap(), read, "{sent:?}");
    }
    // It does not become two headers, or another length.
    for folded in
        ["content-length: 1\r\n 0", "content-length: 2\r\n\tcontent-length: 3", "transfer-encoding: chun\r\n ked"]
    {
        let bytes = format!("HTTP/1.1 200 OK\r\n{folded}\r\n\r\nok");
        let read = answer("GET", bytes.as_bytes()).await;
        assert!(matches!(read, Err(EgressError::Protocol { .. })) || folded.contains("chun"), "{folded:?}: {read:?}");
    }
    // Folded lines count towards the limit of headers.
    let long = format!("HTTP/1.1 200 OK\r\nx: a{}\r\ncontent-length: 2\r\n\r\nok", "\r\n b".repeat(40_000));
    assert!(matches!(answer("GET", long.as_bytes()).await, Err(EgressError::TooLarge { .. })));
}

#[tokio::test]
async fn answers_before_the_final_one_are_skipped() {
    for (before, count) in
        [("100 Continue", 1), ("102 Processing", 3), ("103 Early Hints\r\nlink: </x>; rel=preload", 2)]
    {
        let before = format!("HTTP/1.1 {before}\r\n\r\n").repeat(count);
        let (status, headers, body) =
            answer("GET", format!("{before}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").as_bytes()).await.unwrap();
        assert_eq!((status, &body[..], headers.contains_key("link")), (200, &b"ok"[..], false));
    }
}

#[tokio::test]
async fn answers_that_cannot_have_a_body_have_none_with_any_headers() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 404)] {
        for header in ["content-length: 10", "transfer-encoding: chunked", "x: y"] {
            let server = Server::answering(format!("HTTP/1.1 {status} X\r\n{header}\r\n\r\n")).await;
            let setup = Setup::to(&[&server]);
            let client = setup.client();
            for _ in 0..2 {
                let response = client
                    .send(request(method, &server.origin(), &[]), &budget(&client), RequestOptions::default())
                    .await
                    .unwrap_or_else(|error| panic!("{method} {status} {header}: {error}"));
                assert_eq!(response.status().as_u16(), status);
                assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
            }
            assert_eq!(server.seen().len(), 2);
        }
    }
}

#[tokio::test]
async fn the_length_of_an_answer_is_unambiguous() {
    let ok = |head: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}");
    let chunked = "2\r\nok\r\n0\r\n\r\n";
    for (bytes, expected) in [
        // RFC 9112, section 6.3: the chunks take precedence over the length.
        (ok("content-length: 5\r\ntransfer-encoding: chunked\r\n", chunked), Some("ok")),
        (ok("transfer-encoding: chunked\r\ncontent-length: 5\r\n", chunked), Some("ok")),
        (ok("content-length: 2\r\ncontent-length: 2\r\n", "ok"), Some("ok")),
        (ok("content-length: 2, 2\r\n", "ok"), Some("ok")),
        (ok("content-length: 2\r\ncontent-length: 3\r\n", "ok!"), None),
        (ok("content-length: +2\r\n", "ok"), None),
        (ok("content-length: 0x2\r\n", "ok"), None),
        (ok("content-length: 2\r\n", "ok and more"), Some("ok")),
        // Without either, the body ends with the connection.
        (ok("", "ok"), Some("ok")),
        (ok("connection: keep-alive\r\n", ""), Some("")),
        ("HTTP/1.0 200 OK\r\n\r\nok".to_owned(), Some("ok")),
        // Too short.
        (ok("content-length: 3\r\n", "ok"), None),
        (ok("transfer-encoding: chunked\r\n", "2\r\nok\r\n"), None),
    ] {
        let read = answer("GET", bytes.as_bytes()).await;
        match (&read, expected) {
            (Ok((200, _, body)), Some(expected)) => assert_eq!(body, expected, "{bytes:?}"),
            (Err(EgressError::Protocol { .. }), None) => {}
            _ => panic!("{bytes:?}: {read:?}"),
        }
    }
}

#[tokio::test]
async fn bytes_after_an_answer_are_not_taken_for_the_next_one() {
    let forged = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    let server = Server::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok{forged}")).await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    for _ in 0..3 {
        assert_eq!(get_text(&client, &server.origin()).await.unwrap(), "ok");
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn lines_are_parsed_as_leniently_as_in_browsers() {
    for bytes in [
        "HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
        "HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 caf\u{e9} ol\u{e9}\r\ncontent-length: 2\r\n\r\nok",
        "\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nCONTENT-LENGTH:2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: \t 2 \t\r\nempty:\r\n\r\nok",
    ] {
        let (status, _, body) =
            answer("GET", bytes.as_bytes()).await.unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
        assert_eq!((status, &body[..]), (200, &b"ok"[..]), "{bytes:?}");
    }
}

#[tokio::test]
async fn bytes_of_headers_arrive_unchanged() {
    let (_, headers, _) =
        answer("GET", b"HTTP/1.1 302 Found\r\nlocation: /land\xc3\xa9d\r\nx: caf\xe9\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
    assert_eq!(headers["location"].as_bytes(), b"/land\xc3\xa9d");
    assert_eq!(headers["x"].as_bytes(), b"caf\xe9");
}

#[tokio::test]
async fn defaults_are_those_of_a_browser_and_a_guest_may_override_them() {
    let server = Server::ok().await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    get(&client, &server.origin(), &[]).await.unwrap();
    get(
        &client,
        &server.origin(),
        &[("accept", "a/b"), ("user-agent", "me"), ("accept-language", "de"), ("accept-encoding", "gzip")],
    )
    .await
    .unwrap();
    let seen = server.seen();
    let expected = ["accept: */*", &format!("host: {}", server.address), "user-agent: bg-wasm-host/0.1.0"];
    let mut lines: Vec<&str> = seen[0].trim_end().lines().skip(1).collect();
    lines.sort_unstable();
    assert_eq!(lines, expected);
    for line in ["accept: a/b", "user-agent: me", "accept-language: de", "accept-encoding: gzip"] {
        assert!(seen[1].contains(&format!("{line}\r\n")), "{}", seen[1]);
    }
}
