//! Checks of a server that need no signature: whether it responds, its clock, and whether pages may register charms.

use std::time::{Duration, SystemTime};

use bg_charm_api::wire::path;
use bg_server_trust::ServerTrust;
use bg_server_trust::http_client;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, DATE, ORIGIN};
use http::{HeaderMap, StatusCode};
use url::Url;

/// For all checks together.
const TIME: Duration = Duration::from_secs(10);

/// An origin that nobody owns.
const PAGE: &str = "https://page.example";

/// The results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The server's time, to the second; `None` if it sends none.
    pub clock: Option<SystemTime>,
    /// The status of an empty registration that seems to come from a page of another origin: 400, or 403 if only
    /// origins that the operator lists may register.
    pub status: StatusCode,
    /// Whether a page of another origin may read that response.
    pub pages_may_read: bool,
}

impl Probe {
    /// Whether the buttons of all pages work: the endpoint exists, and a page of another origin can read its errors.
    pub fn buttons_work(&self) -> bool {
        self.status == StatusCode::BAD_REQUEST && self.pages_may_read
    }

    /// Whether only the buttons of listed pages work.
    pub fn some_buttons_work(&self) -> bool {
        self.status == StatusCode::FORBIDDEN && self.pages_may_read
    }
}

/// Checks the server at `api_url`, verified by `trust`. The error says why it does not respond.
pub async fn probe(api_url: &Url, trust: &ServerTrust) -> Result<Probe, String> {
    let mut url = api_url.clone();
    url.set_path(&format!("{}{}", api_url.path().trim_end_matches('/'), path::BUTTON));
    let request = http_client::new(TIME, trust).post(url).header(ORIGIN, PAGE).body("{}");
    let response = request.send().await.map_err(|error| http_client::cause(&error))?;
    Ok(read(response.status(), response.headers()))
}

fn read(status: StatusCode, headers: &HeaderMap) -> Probe {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Probe {
        clock: text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()),
        status,
        pages_may_read: text(ACCESS_CONTROL_ALLOW_ORIGIN).is_some_and(|allowed| allowed == "*" || allowed == PAGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_reports_the_time_and_whether_pages_may_read_it() {
        let mut headers = HeaderMap::new();
        assert!(!read(StatusCode::BAD_REQUEST, &headers).buttons_work());
        headers.insert(DATE, "Thu, 01 Jan 1970 00:01:00 GMT".parse().unwrap());
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, "*".parse().unwrap());
        let probe = read(StatusCode::BAD_REQUEST, &headers);
        assert_eq!(probe.clock, Some(SystemTime::UNIX_EPOCH + Duration::from_mins(1)));
        assert!(probe.buttons_work() && !probe.some_buttons_work());
        assert!(read(StatusCode::FORBIDDEN, &headers).some_buttons_work());
        assert!(!read(StatusCode::MISDIRECTED_REQUEST, &headers).buttons_work());
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, "https://other.example".parse().unwrap());
        assert!(!read(StatusCode::BAD_REQUEST, &headers).buttons_work());
    }

    #[tokio::test]
    async fn a_server_that_does_not_respond_is_reported() {
        let error = probe(&"http://127.0.0.1:9".parse().unwrap(), &ServerTrust::default()).await.unwrap_err();
        assert!(error.to_lowercase().contains("refused"), "{error}");
    }
}
