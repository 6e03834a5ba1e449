//! Why a request failed.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bg_identity::SECRET_MASK;
use bg_identity::units::Seconds;

use crate::CredentialError;

/// Any error, in the form that guests' bodies use.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a guest's body was not sent completely. hyper carries it as the source of its error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestBodyError {
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    #[error("it is not as long as its content-length header says")]
    Length,
    #[error("it was not there in time")]
    Late,
    #[error("the guest gave it up")]
    Guest(#[source] BoxError),
}

/// Why a request failed, or its response's body ended early. Never contains a credential, a query or a body.
///
/// The texts are for the operator: they name addresses and options. What the guest gets to see is up to the caller.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// Not allowed. No name was looked up, and nothing was sent.
    #[error("{message}{}", Hint(option.as_deref()))]
    Denied {
        /// The rule that denies it.
        rule: Rule,
        /// Who was denied what.
        message: String,
        /// The command-line option that would allow it; two, if its address needs one besides the grant.
        option: Option<String>,
    },
    /// The name is allowed, but it resolves to an address that is not. Nothing was sent.
    #[error("{origin} leads to {address}, which is {what}{}", Hint(option.as_deref()))]
    Address {
        /// The destination.
        origin: String,
        /// The first refused address.
        address: IpAddr,
        /// What is special about the address.
        what: &'static str,
        /// The command-line option that would allow it.
        option: Option<String>,
    },
    /// The request itself is invalid: its URL or a header. No name was looked up, and nothing was sent.
    #[error("{0}")]
    Request(String),
    /// The body that the guest provided failed.
    #[error("the request's body failed: {0}")]
    RequestBody(String),
    /// The name could not be looked up.
    #[error("cannot find {host}: {message}")]
    Dns {
        /// The name.
        host: String,
        /// The system's message.
        message: String,
    },
    /// The connection failed.
    #[error("cannot connect to {origin}: {message}")]
    Connect {
        /// The destination.
        origin: String,
        /// The system's message.
        message: String,
    },
    /// The server could not prove its identity, or does not speak TLS.
    #[error("no trusted connection to {origin}: {message}")]
    Tls {
        /// The destination.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// A step took too long.
    #[error("{what} took longer than {}", Seconds(*after))]
    Timeout {
        /// The step.
        what: Wait,
        /// The time limit.
        after: Duration,
    },
    /// Something exceeds its size limit.
    #[error("{what} over {limit}")]
    TooLarge {
        /// What is too large.
        what: Part,
        /// The limit, in the unit of `what`.
        limit: u64,
    },
    /// The call has used up its requests.
    #[error("more than {limit} requests in one call")]
    Budget {
        /// How many requests a call may make.
        limit: u32,
    },
    /// The request needs a credential that is not available. Nothing was sent.
    #[error("no credential for {origin}: {source}")]
    Credential {
        /// The destination.
        origin: String,
        /// Why.
        source: CredentialError,
    },
    /// The response is not valid HTTP, or ended in the middle.
    #[error("bad response from {origin}: {message}")]
    Protocol {
        /// The server.
        origin: String,
        /// What is wrong with it.
        message: String,
    },
}

impl EgressError {
    /// A short, fixed name of the kind, for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "denied",
            Self::Address { .. } => "address",
            Self::Request(_) => "request",
            Self::RequestBody(_) => "request-body",
            Self::Dns { .. } => "dns",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Timeout { .. } => "timeout",
            Self::TooLarge { .. } => "too-large",
            Self::Budget { .. } => "budget",
            Self::Credential { .. } => "credential",
            Self::Protocol { .. } => "protocol",
        }
    }

    /// Whether the gate refused the request, as opposed to trying and failing.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::Address { .. } | Self::Request(_) | Self::Budget { .. })
    }

    /// The same error, with a mask in place of each text that `hides` selects, and without an option that it selects.
    pub(crate) fn masked(mut self, hides: impl Fn(&str) -> bool) -> Self {
        let (texts, option) = match &mut self {
            Self::Denied { message: text, option, .. } | Self::Address { origin: text, option, .. } => {
                ([Some(text), None], Some(option))
            }
            Self::Request(text) | Self::RequestBody(text) | Self::Credential { origin: text, .. } => {
                ([Some(text), None], None)
            }
            Self::Dns { host: text, message }
            | Self::Connect { origin: text, message }
            | Self::Tls { origin: text, message }
            | Self::Protocol { origin: text, message } => ([Some(text), Some(message)], None),
            Self::Timeout { .. } | Self::TooLarge { .. } | Self::Budget { .. } => ([None, None], None),
        };
        for text in texts.into_iter().flatten() {
            if hides(text.as_str()) {
                SECRET_MASK.clone_into(text);
            }
        }
        if let Some(option) = option
            && option.as_deref().is_some_and(&hides)
        {
            *option = None;
        }
        self
    }

    /// The command-line option that would allow what was refused, if there is one.
    pub fn option(&self) -> Option<&str> {
        match self {
            Self::Denied { option, .. } | Self::Address { option, .. } => option.as_deref(),
            _ => None,
        }
    }
}

/// A rule that denies a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// No grant covers it.
    Grant,
    /// A method that no grant can allow.
    Method,
    /// The port is one of this service's own.
    OwnPort,
    /// A header that a guest may not set.
    Header,
    /// The guest sent its own `Authorization` where the host attaches one.
    OwnAuthorization,
    /// A credential would go over an unencrypted connection.
    PlainCredential,
    /// A secret of the charm would go to an origin that it is not meant for.
    BoundSecret,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grant => "no-grant",
            Self::Method => "method",
            Self::OwnPort => "own-port",
            Self::Header => "header",
            Self::OwnAuthorization => "own-authorization",
            Self::PlainCredential => "plain-credential",
            Self::BoundSecret => "bound-secret",
        })
    }
}

/// The step that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// A permit for another concurrent request of the same call.
    Permit,
    /// A permit for another concurrent request of the same owner, in any of its calls.
    SharedPermit,
    /// Looking up the name.
    Lookup,
    /// Fetching the credential.
    Credential,
    /// Connecting, including TLS.
    Connection,
    /// The head of the response.
    Head,
    /// The next chunk of the response's body.
    Piece,
    /// The whole request.
    Whole,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permit => "waiting for other requests to end",
            Self::SharedPermit => "waiting for requests of other calls to end",
            Self::Lookup => "looking up the name",
            Self::Credential => "fetching the credential",
            Self::Connection => "connecting",
            Self::Head => "waiting for the response",
            Self::Piece => "waiting for more of the response",
            Self::Whole => "the request",
        })
    }
}

/// What is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The URL, in bytes.
    Url,
    /// The number of request headers.
    RequestHeaders,
    /// All names and values of the request headers, in bytes.
    RequestHeaderBytes,
    /// The request's body, in bytes.
    RequestBody,
    /// The head of the response, in bytes; or its number of headers: the HTTP library does not say which of the two.
    ResponseHead,
    /// The number of response headers.
    ResponseHeaders,
    /// All names and values of the response headers, in bytes.
    ResponseHeaderBytes,
    /// The response's body, in bytes.
    ResponseBody,
    /// The number of addresses of a name.
    Addresses,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "a URL's bytes are",
            Self::RequestHeaders => "the number of request headers is",
            Self::RequestHeaderBytes => "the bytes of the request headers are",
            Self::RequestBody => "the bytes of the request's body are",
            Self::ResponseHead => "the bytes of the response's head, or the number of its headers, are",
            Self::ResponseHeaders => "the number of response headers is",
            Self::ResponseHeaderBytes => "the bytes of the response headers are",
            Self::ResponseBody => "the bytes of the response's body are",
            Self::Addresses => "the number of the name's addresses is",
        })
    }
}

struct Hint<'a>(Option<&'a str>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(option) => write!(f, "; {option} would allow it"),
            None => Ok(()),
        }
    }
}
