//! `wasi:http`, through the gate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bg_egress::{CallBudget, CredentialError, EgressError, GateClient, KnownSecret, Part, Rule, Wait};
use bg_poller::{Blame, CharmRef};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::failure::Refusal;
use crate::text;

/// What a guest may write at once into a request's body. Two such pieces are kept for each body, sent or not.
const CHUNK: usize = 16 * 1024;
/// The longest text about a denied request, bytes.
const DENIED_BYTES: usize = 1024;

/// The way of one call to the network.
pub(crate) struct Outbound {
    client: GateClient,
    budget: CallBudget,
    /// What the gate said of the first request that it refused.
    refused: Arc<Mutex<Option<Refusal>>>,
}

type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl Outbound {
    pub(crate) fn new(
        client: GateClient,
        deadline: Instant,
        charm: Option<&CharmRef>,
        secrets: Vec<KnownSecret>,
    ) -> Self {
        let budget = client.budget(deadline).with_secrets(secrets);
        let budget = match charm {
            // Whatever the guest says: the gate's log is to name the charm whose handler sends.
            Some(charm) => budget.for_charm(charm.clone()),
            None => budget,
        };
        Self { client, budget, refused: Arc::default() }
    }

    /// Whether the gate refused a request of this call, and which.
    pub(crate) fn refused(&self) -> Option<Refusal> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl WasiHttpHooks for Outbound {
    /// The gate and the HTTP client see to it.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Done,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Done), Error>> + Send> {
        let options = options.unwrap_or_default();
        let options = bg_egress::RequestOptions {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
        };
        let sending = self.client.send(request, &self.budget, options);
        let refused = self.refused.clone();
        Box::new(async move {
            let response = sending.await.map_err(|error| {
                if let Some(blame) = to_blame(&error) {
                    let text = text::one_line(&error.to_string(), DENIED_BYTES);
                    let refusal = Refusal { blame, text };
                    refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(refusal);
                }
                for_guest(&error)
            })?;
            let response = response.map(|body| body.map_err(|error| for_guest(&error)).boxed_unsync());
            let done: Done = Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

/// Who can do something about a request that was refused; none if it was not refused, but failed.
fn to_blame(error: &EgressError) -> Option<Blame> {
    match error {
        EgressError::Denied { rule: Rule::Grant, .. }
        | EgressError::Denied { option: Some(_), .. }
        | EgressError::Address { .. }
        | EgressError::Credential { source: CredentialError::Refused(_), .. } => Some(Blame::Configuration),
        // No option helps there: the guest sent what no guest may send.
        EgressError::Denied { .. } => Some(Blame::Charm),
        EgressError::Credential { source: CredentialError::Missing(_), .. } => Some(Blame::Credential),
        EgressError::Credential { source: CredentialError::Unavailable(_), .. } => Some(Blame::Upstream),
        _ => None,
    }
}

/// What the guest is told. Addresses and options are the operator's to know.
fn for_guest(error: &EgressError) -> Error {
    match error {
        // Names what the guest itself sent, and nothing that is the operator's.
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
            Wait::Place => Error::ConnectionLimitReached,
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
        EgressError::Credential { source: CredentialError::Missing(_) | CredentialError::Refused(_), .. } => {
            Error::InternalError(Some("the charm has no such credential".into()))
        }
        EgressError::Credential { source: CredentialError::Unavailable(_), .. } => {
            Error::InternalError(Some("the credential can't be had now".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bg_egress::{AuditRecord, ClientOptions, Gate, GateOptions, Owner};
    use bg_manifest::EffectiveGrant;
    use http_body_util::Empty;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::testing::charm;

    /// Answers one request with `hello`, and hands over what it was sent.
    async fn server() -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
            String::from_utf8(request).unwrap()
        });
        (origin, served)
    }

    fn outbound(origin: &str, records: &Arc<Mutex<Vec<AuditRecord>>>) -> Outbound {
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
        Outbound::new(client, Instant::now() + Duration::from_secs(30), Some(&charm("a")), Vec::new())
    }

    async fn send(outbound: &mut Outbound, url: String) -> Result<String, Error> {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = http::Request::get(url).header("bg-charm", "someone/else").body(body).unwrap();
        let sent = Box::into_pin(outbound.send_request(request, None, Box::new(async { Ok(()) }))).await?;
        let body = sent.0.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn requests_go_through_the_gate_in_the_name_of_their_charm() {
        let (origin, served) = server().await;
        let records = Arc::default();
        let mut outbound = outbound(&origin, &records);
        assert_eq!(send(&mut outbound, format!("{origin}/granted/x")).await.unwrap(), "hello");
        let request = served.await.unwrap();
        assert!(request.starts_with("GET /granted/x HTTP/1.1\r\n"), "{request}");
        assert!(!request.to_lowercase().contains("bg-charm"), "{request}");
        assert_eq!(records.lock().unwrap()[0].charm, Some(charm("a").to_string()));
        assert_eq!(outbound.refused(), None);
    }

    #[tokio::test]
    async fn what_the_gate_denies_is_denied_and_remembered() {
        let (origin, _served) = server().await;
        let mut outbound = outbound(&origin, &Arc::default());
        let error = send(&mut outbound, format!("{origin}/other")).await.unwrap_err();
        assert!(matches!(error, Error::HttpRequestDenied), "{error}");
        let refused = outbound.refused().unwrap();
        assert_eq!(refused.blame, Blame::Configuration);
        assert!(refused.text.contains("/other"), "{refused:?}");
    }

    #[test]
    fn a_refused_request_is_the_fault_of_who_can_do_something_about_it() {
        let denied = |rule, option: Option<&str>| EgressError::Denied {
            rule,
            message: "x".into(),
            option: option.map(str::to_owned),
        };
        let credential = |source| EgressError::Credential { origin: "https://a.example".into(), source };
        let connect = EgressError::Connect { origin: "https://a.example".into(), message: "x".into() };
        let not_its = CredentialError::NotItsCharm { charm: "x".into(), owner: Owner::Charms };
        for (error, blame) in [
            (denied(Rule::Grant, Some("--allow-charm-http https://a.example")), Some(Blame::Configuration)),
            (denied(Rule::Grant, None), Some(Blame::Configuration)),
            (denied(Rule::BoundSecret, Some("--charm-credential x")), Some(Blame::Configuration)),
            (denied(Rule::BoundSecret, None), Some(Blame::Charm)),
            (denied(Rule::Header, None), Some(Blame::Charm)),
            (denied(Rule::OwnAuthorization, None), Some(Blame::Charm)),
            (credential(CredentialError::Missing("no token".into())), Some(Blame::Credential)),
            (credential(CredentialError::Refused("invalid_client".into())), Some(Blame::Configuration)),
            (credential(CredentialError::Unavailable("away".into())), Some(Blame::Upstream)),
            (credential(not_its), None),
            (connect, None),
        ] {
            assert_eq!(to_blame(&error), blame, "{error:?}");
        }
    }
}
