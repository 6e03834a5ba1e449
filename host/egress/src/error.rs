//! Why a request came to nothing.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bg_identity::SECRET_MASK;
use bg_identity::units::Seconds;

use crate::CredentialError;

/// Any error, as the bodies of guests have them.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a guest's body was not sent to its end. Travels through hyper as the cause of its error.
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

/// Why a request came to nothing, or its response's body ended early. Never holds a credential, a query or a body.
///
/// The texts are for the operator: they name addresses and options. What a guest is told is the caller's choice.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// Not allowed. Nothing was looked up or sent.
    #[error("{message}{}", Hint(option.as_deref()))]
    Denied {
        /// Which rule says so.
        rule: Rule,
        /// What was denied to whom.
        message: String,
        /// The command-line option that would allow it; two, where its address needs one beside the grant.
        option: Option<String>,
    },
    /// Allowed by name, but one of its addresses may not be reached. Nothing was sent.
    #[error("{origin} leads to {address}, which is {what}{}", Hint(option.as_deref()))]
    Address {
        /// Where it wanted to go.
        origin: String,
        /// The first refused address.
        address: IpAddr,
        /// What is special about it.
        what: &'static str,
        /// The command-line option that would allow it.
        option: Option<String>,
    },
    /// The request itself is not acceptable: its URL or a header. Nothing was looked up or sent.
    #[error("{0}")]
    Request(String),
    /// The body that the guest gave failed.
    #[error("the request's body failed: {0}")]
    RequestBody(String),
    /// The name could not be looked up.
    #[error("cannot find {host}: {message}")]
    Dns {
        /// Which name.
        host: String,
        /// What the system said.
        message: String,
    },
    /// No connection.
    #[error("cannot connect to {origin}: {message}")]
    Connect {
        /// Where to.
        origin: String,
        /// What the system said.
        message: String,
    },
    /// The server could not prove who it is, or does not speak TLS.
    #[error("no trusted connection to {origin}: {message}")]
    Tls {
        /// Where to.
        origin: String,
        /// What is wrong with it.
        message: String,
    },
    /// Too slow.
    #[error("{what} took longer than {}", Seconds(*after))]
    Timeout {
        /// What was waited for.
        what: Wait,
        /// For how long.
        after: Duration,
    },
    /// Too large.
    #[error("{what} over {limit}")]
    TooLarge {
        /// What it is that is too large.
        what: Part,
        /// What is allowed, in the unit of `what`.
        limit: u64,
    },
    /// The call has used up its requests.
    #[error("more than {limit} requests in one call")]
    Budget {
        /// How many a call may make.
        limit: u32,
    },
    /// The credential that belongs to the request could not be had. Nothing was sent.
    #[error("no credential for {origin}: {source}")]
    Credential {
        /// For where.
        origin: String,
        /// Why.
        source: CredentialError,
    },
    /// What came back is no proper HTTP, or stopped in the middle.
    #[error("bad response from {origin}: {message}")]
    Protocol {
        /// From where.
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

    /// Whether the gate refused it, as against: tried it and failed.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::Address { .. } | Self::Request(_) | Self::Budget { .. })
    }

    /// The same, with a mask in place of its texts that are to be hidden, and without an option that is.
    pub(crate) fn veiled(mut self, hides: impl Fn(&str) -> bool) -> Self {
        let (texts, option) = match &mut self {
            Self::Denied { message: text, option, .. } | Self::Address { origin: text, option, .. } => {
                ([Some(text), None], Some(option))
            }
            Self::Request(text) | Self::RequestBody(text) | Self::Credential { origin: text, .. } => {
                ([Some(text), None], None)
            }
            Self::Dns { host: place, message }
            | Self::Connect { origin: place, message }
            | Self::Tls { origin: place, message }
            | Self::Protocol { origin: place, message } => ([Some(place), Some(message)], None),
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

    /// The command-line option that would allow what was refused, if one would.
    pub fn option(&self) -> Option<&str> {
        match self {
            Self::Denied { option, .. } | Self::Address { option, .. } => option.as_deref(),
            _ => None,
        }
    }
}

/// Which rule denies a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// No grant covers it.
    Grant,
    /// A method that no grant can allow.
    Method,
    /// One of the host's own ports.
    OwnPort,
    /// A header that a guest may not set.
    Header,
    /// The guest sent its own `Authorization` where the host attaches one.
    OwnAuthorization,
    /// A credential would go over an unprotected connection.
    PlainCredential,
    /// A secret of the charm's would go to an origin that it is not for.
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

/// What was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// One of the places for requests at once of the same call.
    Place,
    /// One of the places for requests at once of all calls.
    SharedPlace,
    /// The name's addresses.
    Lookup,
    /// The credential.
    Credential,
    /// The connection, TLS included.
    Connection,
    /// The response's head.
    Head,
    /// The next piece of the response's body.
    Piece,
    /// The whole request.
    Whole,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Place => "waiting for other requests to end",
            Self::SharedPlace => "waiting for requests of other calls to end",
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
    /// The response's head, in bytes; or it has too many headers. Which of the two, the HTTP library does not say.
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
