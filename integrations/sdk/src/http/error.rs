//! Why a request failed.

use std::fmt;

use crate::bindings::wasi::http::types::ErrorCode;

/// Why a request failed. An answer with a status such as 404 is not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The gate refused it: the manifest does not ask for it, the operator has not granted it, or it would have gone to
    /// a blocked address. Other requests to the same destination will be refused, too.
    Denied(String),
    /// Over a limit of the host: too many requests in this call, or too large a request or response.
    Limit(String),
    /// The request timed out.
    Timeout,
    /// The connection failed, or the answer was not HTTP.
    Network(String),
    /// The request is invalid (not an absolute http or https URL, a bad header), or the answer is not the expected
    /// JSON.
    Malformed(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) => write!(f, "the request is not allowed: {reason}"),
            Self::Limit(reason) => write!(f, "over a limit: {reason}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Network(reason) => write!(f, "the connection failed: {reason}"),
            Self::Malformed(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for HttpError {}

impl From<ErrorCode> for HttpError {
    fn from(code: ErrorCode) -> Self {
        use ErrorCode as Code;

        let text = format!("{code:?}");
        match code {
            Code::HttpRequestDenied | Code::DestinationIpProhibited => Self::Denied(text),
            Code::ConnectionLimitReached
            | Code::HttpRequestBodySize(_)
            | Code::HttpRequestUriTooLong
            | Code::HttpRequestHeaderSectionSize(_)
            | Code::HttpRequestHeaderSize(_)
            | Code::HttpResponseHeaderSectionSize(_)
            | Code::HttpResponseHeaderSize(_)
            | Code::HttpResponseBodySize(_) => Self::Limit(text),
            Code::DnsTimeout
            | Code::ConnectionTimeout
            | Code::ConnectionReadTimeout
            | Code::ConnectionWriteTimeout
            | Code::HttpResponseTimeout => Self::Timeout,
            Code::HttpRequestMethodInvalid | Code::HttpRequestUriInvalid => Self::Malformed(text),
            Code::InternalError(Some(reason)) => Self::Network(reason),
            _ => Self::Network(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_and_failures_are_different_errors() {
        for (code, error) in [
            (ErrorCode::HttpRequestDenied, "Denied"),
            (ErrorCode::DestinationIpProhibited, "Denied"),
            (ErrorCode::ConnectionLimitReached, "Limit"),
            (ErrorCode::HttpResponseBodySize(Some(9)), "Limit"),
            (ErrorCode::HttpResponseTimeout, "Timeout"),
            (ErrorCode::ConnectionRefused, "Network"),
            (ErrorCode::InternalError(Some("reset".into())), "Network(\"reset\")"),
        ] {
            let shown = format!("{code:?}");
            assert!(format!("{:?}", HttpError::from(code)).starts_with(error), "{shown}");
        }
    }
}
