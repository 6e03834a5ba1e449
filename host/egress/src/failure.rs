//! Maps errors of the HTTP stack to [`EgressError`].
//!
//! Only the innermost error is shown: its wrappers may contain URLs or other data of the request.

use std::error::Error;
use std::io;

use hyper_util::client::legacy;

use crate::connect::ConnectTimeout;
use crate::error::{EgressError, Part, RequestBodyError, Wait};
use crate::limits::HttpLimits;

/// Maps an error from sending a request, or from a response's body.
pub(crate) fn of(error: &(dyn Error + 'static), origin: &str, limits: &HttpLimits) -> EgressError {
    let causes = causes(error);
    for cause in &causes {
        if let Some(body) = cause.downcast_ref::<RequestBodyError>() {
            return of_request_body(body);
        }
        if let Some(ConnectTimeout(after)) = cause.downcast_ref() {
            return EgressError::Timeout { what: Wait::Connection, after: *after };
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return EgressError::Tls { origin: origin.to_owned(), message: of_tls(tls) };
        }
        if let Some(hyper) = cause.downcast_ref::<hyper::Error>()
            && hyper.is_parse_too_large()
        {
            return EgressError::TooLarge { what: Part::ResponseHead, limit: limits.response_header_bytes as u64 };
        }
    }
    let message = causes
        .iter()
        .rev()
        .find(|cause| !cause.is::<legacy::Error>())
        .map_or_else(|| "it failed".to_owned(), ToString::to_string);
    let origin = origin.to_owned();
    if error.downcast_ref().is_some_and(legacy::Error::is_connect) {
        EgressError::Connect { origin, message }
    } else {
        EgressError::Protocol { origin, message }
    }
}

/// The error and its sources, outermost first. An I/O error omits the error that it wraps from its `source`.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut found: Vec<&(dyn Error + 'static)> = vec![error];
    let mut next = error.source();
    while let Some(cause) = next {
        found.push(cause);
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    found
}

/// The error of a guest's body that cannot be sent.
pub(crate) fn of_request_body(error: &RequestBodyError) -> EgressError {
    match error {
        RequestBodyError::TooLarge(limit) => EgressError::TooLarge { what: Part::RequestBody, limit: *limit },
        RequestBodyError::Length | RequestBodyError::Late | RequestBodyError::Guest(_) => {
            EgressError::RequestBody(error.to_string())
        }
    }
}

fn of_tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS there".to_owned(),
        other => other.to_string(),
    }
}
