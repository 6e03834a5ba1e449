//! Batches: several requests in the body of one, as Google documents them.

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::Google;
use super::answer::{Answer, Failure, Refusal};

/// Where Gmail takes them.
pub(crate) const PATH: &str = "/batch/gmail/v1";

/// How many requests one may hold.
const MOST: usize = 100;

/// Google advises no more than that; requests beyond it are likely to be refused, and here they are.
const ADVISED: usize = 50;

/// The separator between the parts of an answer.
const BOUNDARY: &str = "batch_dFaKe0123456789";

/// One request of a batch.
struct Part {
    /// As it was sent, without its brackets.
    content_id: Option<String>,
    method: Method,
    uri: Uri,
}

impl Google {
    /// Answers each request of a batch separately. Also returns what was requested, such as `GET /a 200`.
    pub(crate) fn batch(&mut self, headers: &HeaderMap, body: &[u8]) -> (Response, Vec<String>) {
        let parts = match parts(headers, body) {
            Ok(parts) => parts,
            Err(failure) => return (failure.into_response(), Vec::new()),
        };
        let (mut pieces, mut asked) = (Vec::new(), Vec::new());
        // Google guarantees no order.
        for (place, part) in parts.iter().enumerate().rev() {
            let answer = if place < ADVISED { self.part(part) } else { Err(Refusal::TooManyRequests.failure()) };
            let (status, mut body) = match &answer {
                Ok(value) => (StatusCode::OK, value.to_string()),
                Err(failure) => (failure.status(), failure.json().to_string()),
            };
            if self.mailbox.is_garbled(part.uri.path().rsplit('/').next().unwrap_or_default()) {
                "<html>Service Unavailable</html>".clone_into(&mut body);
            }
            asked.push(format!("{} {} {}", part.method, part.uri, status.as_u16()));
            let id = part.content_id.as_ref().map(|id| format!("Content-ID: <response-{id}>\r\n")).unwrap_or_default();
            pieces.push(format!(
                "--{BOUNDARY}\r\nContent-Type: application/http\r\n{id}\r\nHTTP/1.1 {status}\r\nContent-Type: \
                 application/json; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}\r\n",
                body.len()
            ));
        }
        asked.reverse();
        pieces.push(format!("--{BOUNDARY}--\r\n"));
        let kind = format!("multipart/mixed; boundary={BOUNDARY}");
        ((StatusCode::OK, [(header::CONTENT_TYPE, kind)], pieces.concat()).into_response(), asked)
    }

    fn part(&mut self, part: &Part) -> Answer {
        let (left, refusal) = self.refused_parts;
        if left > 0 {
            self.refused_parts.0 -= 1;
            return Err(refusal.failure());
        }
        if !part.uri.path().starts_with("/gmail/v1/") {
            return Err(Failure::not_found());
        }
        self.api(&part.method, &part.uri)
    }
}

fn parts(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Part>, Failure> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = kind
        .strip_prefix("multipart/mixed")
        .and_then(|parameters| parameters.split_once("boundary="))
        .map(|(_, boundary)| boundary.split(';').next().unwrap_or_default().trim().trim_matches('"'))
        .filter(|boundary| !boundary.is_empty())
        .ok_or_else(|| Failure::invalid("A batch is multipart/mixed, with a boundary"))?;
    let body = std::str::from_utf8(body).map_err(|_| Failure::invalid("This batch is not text"))?;
    // A boundary begins a line.
    let body = format!("\r\n{body}");
    let delimiter = format!("\r\n--{boundary}");
    let mut pieces = body.split(&delimiter).skip(1);
    let mut parts = Vec::new();
    loop {
        match pieces.next() {
            None => return Err(Failure::invalid("This batch has no end")),
            Some(end) if end.starts_with("--") => break,
            Some(piece) => parts.push(part(piece)?),
        }
    }
    match parts.len() {
        0 => Err(Failure::invalid("This batch is empty")),
        1..=MOST => Ok(parts),
        more => Err(Failure::invalid(&format!("A batch holds {MOST} requests at most, and this one {more}"))),
    }
}

fn part(piece: &str) -> Result<Part, Failure> {
    let bad = |why: &str| Failure::invalid(&format!("A part of this batch {why}"));
    let (head, request) = piece.split_once("\r\n\r\n").ok_or_else(|| bad("has no request"))?;
    let field = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    if field("content-type").as_deref() != Some("application/http") {
        return Err(bad("is not application/http"));
    }
    let mut line = request.lines().next().unwrap_or_default().split(' ');
    let method = line.next().and_then(|method| method.parse().ok()).ok_or_else(|| bad("has no method"))?;
    let uri = line.next().filter(|path| path.starts_with('/')).and_then(|path| path.parse().ok());
    let content_id = field("content-id").map(|id| id.trim_start_matches('<').trim_end_matches('>').to_owned());
    Ok(Part { content_id, method, uri: uri.ok_or_else(|| bad("has no path"))? })
}
