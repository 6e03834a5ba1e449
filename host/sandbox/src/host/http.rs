//! `wasi:http`, through the gate.

use std::time::Instant;

use bg_egress::{CallBudget, CredentialError, EgressError, GateClient, KnownSecret, Part, Rule, Wait};
use bg_poller::{CharmRef, RuntimeError};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::failures::{Failures, Server};
use super::sent::{Answer, Sent};
use crate::credentials::of_runtime;

/// How much a guest may write at a time to a request's body. Two such chunks are kept for each body, sent or not.
const CHUNK: usize = 16 * 1024;

/// One call's access to the network.
pub(crate) struct Outbound {
    client: GateClient,
    budget: CallBudget,
    /// How many requests it has sent.
    sent: u32,
    failures: Failures,
}

type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl Outbound {
    pub(crate) fn new(
        client: GateClient,
        deadline: Instant,
        charm: Option<&CharmRef>,
        secrets: Vec<KnownSecret>,
        says_causes: bool,
    ) -> Self {
        let budget = client.budget(deadline).with_secrets(secrets);
        let budget = match charm {
            // The gate's log must name the charm whose handler sends, whatever the guest says.
            Some(charm) => budget.for_charm(charm.clone()),
            None => budget,
        };
        Self { client, budget, sent: 0, failures: Failures::new(says_causes, deadline) }
    }

    /// The server that a request is for. A host name ignores case, so that masking in the outcome would not find a
    /// secret in it.
    fn server(&self, uri: &http::Uri) -> Server {
        let host = uri.host().unwrap_or_default();
        let shown = self.budget.masked(host);
        let port = uri.port_u16().or_else(|| (uri.scheme_str() == Some("http")).then_some(80)).unwrap_or(443);
        let origin = (shown == host)
            .then(|| format!("{}://{}:{port}", uri.scheme_str().unwrap_or_default(), host.to_ascii_lowercase()).into());
        Server { host: shown.into(), origin }
    }

    /// The requests of this call that failed.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }
}

impl WasiHttpHooks for Outbound {
    /// The gate and the HTTP client set it.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Done,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Done), Error>> + Send> {
        let options = options.unwrap_or_default();
        let options = bg_egress::RequestOptions {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
        };
        self.sent = self.sent.saturating_add(1);
        let sent = Sent::new(self.sent, self.server(request.uri()), self.failures.clone());
        request.extensions_mut().insert(sent.progress());
        let sending = self.client.send(request, &self.budget, options);
        Box::new(async move {
            let response = sending.await.map_err(|error| {
                sent.failed(&error);
                for_guest(&error)
            })?;
            sent.answered(&response);
            let response = response.map(|body| Answer { body, sent }.map_err(|error| for_guest(&error)).boxed_unsync());
            let done: Done = Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

/// The error that the guest sees. Addresses and options are only for the operator.
fn for_guest(error: &EgressError) -> Error {
    match error {
        // Contains only what the guest itself sent, and nothing about the operator.
        EgressError::Denied { rule: Rule::Header, message, .. } => Error::InternalError(Some(message.clone())),
        EgressError::Denied { .. } | EgressError::Credential { source: CredentialError::NotItsCharm { .. }, .. } => {
            Error::HttpRequestDenied
        }
        EgressError::Address { .. } => Error::DestinationIpProhibited,
        EgressError::Request(_) | EgressError::RequestBody(_) | EgressError::Protocol { .. } => {
            Error::HttpProtocolError
        }
        EgressError::Dns { .. } => Error::DnsError { rcode: None, info_code: None },
        EgressError::Connect { .. } => Error::DestinationUnavailable,
        EgressError::Tls { .. } => Error::TlsProtocolError,
        EgressError::Timeout { what, .. } => match what {
            Wait::Permit | Wait::SharedPermit => Error::ConnectionLimitReached,
            Wait::Lookup => Error::DnsTimeout,
            Wait::Connection => Error::ConnectionTimeout,
            Wait::Piece => Error::ConnectionReadTimeout,
            Wait::Credential | Wait::Head | Wait::Whole => Error::HttpResponseTimeout,
        },
        EgressError::TooLarge { what, limit } => match what {
            Part::Addresses => Error::DnsError { rcode: None, info_code: None },
            Part::Url => Error::HttpRequestUriTooLong,
            Part::RequestHeaders | Part::RequestHeaderBytes => Error::HttpRequestHeaderSectionSize(None),
            Part::RequestBody => Error::HttpRequestBodySize(Some(*limit)),
            Part::ResponseHead | Part::ResponseHeaders | Part::ResponseHeaderBytes => {
                Error::HttpResponseHeaderSectionSize(None)
            }
            Part::ResponseBody => Error::HttpResponseBodySize(Some(*limit)),
        },
        EgressError::Budget { .. } => Error::ConnectionLimitReached,
        EgressError::Credential { source, .. } => {
            let is_late = matches!(source, CredentialError::Failed(_))
                && of_runtime(source).is_none_or(RuntimeError::is_unavailable);
            let text = if is_late { "the credential is not available now" } else { "the charm has no such credential" };
            Error::InternalError(Some(text.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use bg_egress::{AuditRecord, ClientOptions, Gate, GateOptions, Owner};
    use bg_identity::Secret;
    use bg_manifest::EffectiveGrant;
    use http_body_util::Empty;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use bg_poller::Cause;

    use super::*;
    use crate::failure::Explanation;
    use crate::testing::charm;

    /// Answers one request with `hello`, and returns what it received.
    async fn server() -> (String, tokio::task::JoinHandle<String>) {
        server_that_says("200 OK").await
    }

    /// The same with that status.
    async fn server_that_says(status: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 5\r\n\r\nhello");
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        });
        (origin, served)
    }

    fn outbound(origin: &str, records: &Arc<Mutex<Vec<AuditRecord>>>) -> Outbound {
        outbound_with(origin, records, Vec::new())
    }

    fn outbound_with(origin: &str, records: &Arc<Mutex<Vec<AuditRecord>>>, secrets: Vec<KnownSecret>) -> Outbound {
        let records = records.clone();
        let gate = Gate::new(GateOptions {
            allow_private: vec![origin.parse().unwrap()],
            audit: Some(Arc::new(move |record: &AuditRecord| records.lock().unwrap().push(record.clone()))),
            ..GateOptions::default()
        });
        let grant = format!("{origin}/granted/").parse().unwrap();
        let client = gate
            .client(ClientOptions {
                grants: vec![EffectiveGrant { grant, credential: None }],
                ..ClientOptions::new(Owner::Charms)
            })
            .unwrap();
        Outbound::new(client, Instant::now() + Duration::from_secs(30), Some(&charm("a")), secrets, true)
    }

    async fn send(outbound: &mut Outbound, url: String) -> Result<String, Error> {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = http::Request::get(url).header("bg-charm", "someone/else").body(body).unwrap();
        let sent = Box::into_pin(outbound.send_request(request, None, Box::new(async { Ok(()) }))).await?;
        let body = sent.0.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn requests_go_through_the_gate_with_the_name_of_their_charm() {
        let (origin, served) = server().await;
        let records = Arc::default();
        let mut outbound = outbound(&origin, &records);
        assert_eq!(send(&mut outbound, format!("{origin}/granted/x")).await.unwrap(), "hello");
        let request = served.await.unwrap();
        assert!(request.starts_with("GET /granted/x HTTP/1.1\r\n"), "{request}");
        assert!(!request.to_lowercase().contains("bg-charm"), "{request}");
        assert_eq!(records.lock().unwrap()[0].charm, Some(charm("a").to_string()));
        assert_eq!(outbound.failures().explain(), Explanation::None);
    }

    #[tokio::test]
    async fn a_request_that_the_gate_denies_fails_and_is_remembered() {
        let (origin, _served) = server().await;
        let mut outbound = outbound(&origin, &Arc::default());
        let error = send(&mut outbound, format!("{origin}/other")).await.unwrap_err();
        assert!(matches!(error, Error::HttpRequestDenied), "{error}");
        assert!(matches!(outbound.failures().explain(), Explanation::Before(text) if text.contains("/other")));
        outbound.failures().name(1);
        let Explanation::Cause(refused) = outbound.failures().explain() else { panic!("it is named") };
        assert_eq!(refused.cause, Cause::NotGranted);
        assert!(refused.text.contains("/other"), "{refused:?}");
    }

    #[tokio::test]
    async fn the_text_of_an_answer_does_not_show_a_secret_that_is_its_host_whatever_its_case() {
        let attempt =
            bg_abuse::Attempt::begin("secrets", "a host name that is a secret in lower case, which answers 503");
        let (origin, served) = server_that_says("503 Service Unavailable").await;
        let origin = origin.replace("127.0.0.1", "localhost");
        let secret = KnownSecret { path: "token".to_owned(), text: Secret::new("LocalHost".to_owned()), origins: None };
        let mut outbound = outbound_with(&origin, &Arc::default(), vec![secret]);
        assert_eq!(send(&mut outbound, format!("{origin}/granted/x")).await.unwrap(), "hello");
        served.await.unwrap();
        outbound.failures().name(1);
        let Explanation::Cause(answered) = outbound.failures().explain() else { panic!("it is named") };
        assert_eq!(answered.text, "(secret) answered 503 Service Unavailable");
        assert_eq!(answered.cause, Cause::ServerFails);
        attempt.ended("the host is masked");
    }
}
