//! The same limits apply if TLS negotiates HTTP/2, as large APIs do.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bg_abuse::Attempt;
use bg_egress::{EgressError, Part, RequestOptions};
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::TlsAcceptor;

use crate::support::{Server, Setup, budget, get, get_text, request, text};
use crate::tls::{Authority, setup};

/// A body that never ends.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1000])))))
    }
}

async fn respond(request: http::Request<Incoming>) -> Result<http::Response<UnsyncBody>, Infallible> {
    let response = match request.uri().path() {
        "/endless" => http::Response::new(Endless.boxed_unsync()),
        "/headers" => {
            let mut response = http::Response::new(Full::default().boxed_unsync());
            for n in 0..90 {
                let name = http::HeaderName::try_from(format!("x-{n}")).unwrap();
                response.headers_mut().insert(name, http::HeaderValue::try_from("x".repeat(1000)).unwrap());
            }
            response
        }
        _ => {
            let version = format!("{:?} {}", request.version(), request.headers().contains_key("host"));
            http::Response::new(Full::from(version).boxed_unsync())
        }
    };
    Ok(response)
}

type UnsyncBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

async fn serving() -> (Server, Setup, String) {
    let authority = Authority::new();
    let mut config = authority.server("dev.example");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::raw(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // Ends with an error when the client disconnects.
            let _ = http.serve_connection(TokioIo::new(stream), service_fn(respond)).await;
        }
    })
    .await;
    let (setup, origin) = setup(&server, Some(authority.root()));
    (server, setup, origin)
}

#[tokio::test]
async fn http2_is_used_and_its_connection_reused() {
    let (server, setup, origin) = serving().await;
    let client = setup.client();
    for _ in 0..3 {
        assert_eq!(get_text(&client, &origin).await.unwrap(), "HTTP/2.0 false");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn limits_apply_and_permits_are_released_over_http2() {
    let attempt = Attempt::begin("responses", "over HTTP/2: a body without an end, 90 kB of headers");
    let (_server, mut setup, origin) = serving().await;
    setup.limits.response_body_bytes = 1_000_000;
    let client = setup.client();
    let call = budget(&client);
    let url = format!("{origin}/endless");
    let send = || client.send(request("GET", &url, &[]), &call, RequestOptions::default());
    let error = text(send().await.unwrap()).await.unwrap_err();
    assert!(matches!(error, EgressError::TooLarge { what: Part::ResponseBody, limit: 1_000_000 }), "{error}");
    drop(send().await.unwrap());
    assert_eq!(call.in_flight(), 0);

    let error = get(&client, &format!("{origin}/headers"), &[]).await.unwrap_err();
    assert!(matches!(error, EgressError::TooLarge { .. } | EgressError::Protocol { .. }), "{error}");
    // The connection can still be used.
    assert_eq!(get_text(&client, &origin).await.unwrap(), "HTTP/2.0 false");
    attempt.ended("TooLarge");
}
