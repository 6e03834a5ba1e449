//! The error codes of `wasi:http` as charms read them: their names in the interface, and what text they carry.

use super::bindings::wasi::http::types::ErrorCode;

/// `HTTP-request-denied`, or `internal-error: why`.
pub(super) fn text(code: &ErrorCode) -> String {
    let (name, more) = match code {
        ErrorCode::DnsTimeout => ("DNS-timeout", None),
        ErrorCode::DnsError(payload) => ("DNS-error", payload.rcode.clone()),
        ErrorCode::DestinationNotFound => ("destination-not-found", None),
        ErrorCode::DestinationUnavailable => ("destination-unavailable", None),
        ErrorCode::DestinationIpProhibited => ("destination-IP-prohibited", None),
        ErrorCode::DestinationIpUnroutable => ("destination-IP-unroutable", None),
        ErrorCode::ConnectionRefused => ("connection-refused", None),
        ErrorCode::ConnectionTerminated => ("connection-terminated", None),
        ErrorCode::ConnectionTimeout => ("connection-timeout", None),
        ErrorCode::ConnectionReadTimeout => ("connection-read-timeout", None),
        ErrorCode::ConnectionWriteTimeout => ("connection-write-timeout", None),
        ErrorCode::ConnectionLimitReached => ("connection-limit-reached", None),
        ErrorCode::TlsProtocolError => ("TLS-protocol-error", None),
        ErrorCode::TlsCertificateError => ("TLS-certificate-error", None),
        ErrorCode::TlsAlertReceived(payload) => ("TLS-alert-received", payload.alert_message.clone()),
        ErrorCode::HttpRequestDenied => ("HTTP-request-denied", None),
        ErrorCode::HttpRequestLengthRequired => ("HTTP-request-length-required", None),
        ErrorCode::HttpRequestBodySize(_) => ("HTTP-request-body-size", None),
        ErrorCode::HttpRequestMethodInvalid => ("HTTP-request-method-invalid", None),
        ErrorCode::HttpRequestUriInvalid => ("HTTP-request-URI-invalid", None),
        ErrorCode::HttpRequestUriTooLong => ("HTTP-request-URI-too-long", None),
        ErrorCode::HttpRequestHeaderSectionSize(_) => ("HTTP-request-header-section-size", None),
        ErrorCode::HttpRequestHeaderSize(_) => ("HTTP-request-header-size", None),
        ErrorCode::HttpRequestTrailerSectionSize(_) => ("HTTP-request-trailer-section-size", None),
        ErrorCode::HttpRequestTrailerSize(_) => ("HTTP-request-trailer-size", None),
        ErrorCode::HttpResponseIncomplete => ("HTTP-response-incomplete", None),
        ErrorCode::HttpResponseHeaderSectionSize(_) => ("HTTP-response-header-section-size", None),
        ErrorCode::HttpResponseHeaderSize(_) => ("HTTP-response-header-size", None),
        ErrorCode::HttpResponseBodySize(_) => ("HTTP-response-body-size", None),
        ErrorCode::HttpResponseTrailerSectionSize(_) => ("HTTP-response-trailer-section-size", None),
        ErrorCode::HttpResponseTrailerSize(_) => ("HTTP-response-trailer-size", None),
        ErrorCode::HttpResponseTransferCoding(coding) => ("HTTP-response-transfer-coding", coding.clone()),
        ErrorCode::HttpResponseContentCoding(coding) => ("HTTP-response-content-coding", coding.clone()),
        ErrorCode::HttpResponseTimeout => ("HTTP-response-timeout", None),
        ErrorCode::HttpUpgradeFailed => ("HTTP-upgrade-failed", None),
        ErrorCode::HttpProtocolError => ("HTTP-protocol-error", None),
        ErrorCode::LoopDetected => ("loop-detected", None),
        ErrorCode::ConfigurationError => ("configuration-error", None),
        ErrorCode::InternalError(why) => ("internal-error", why.clone()),
    };
    more.map_or_else(|| name.to_owned(), |more| format!("{name}: {more}"))
}
