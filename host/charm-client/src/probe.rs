//! What can be told of a server before anything is signed: whether it answers, what time it has, and whether pages may register charms.

use std::time::{Duration, SystemTime};

use bg_charm_api::wire::path;
use bg_server_trust::ServerTrust;
use bg_server_trust::http_client;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, DATE, ORIGIN};
use http::{HeaderMap, StatusCode};
use url::Url;

/// For all of it: a server that takes longer is no help to anybody.
const TIME: Duration = Duration::from_secs(10);

/// An origin that is nobody's.
const PAGE: &str = "https://page.example";

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What time it has, to the second; none if it does not say.
    pub clock: Option<SystemTime>,
    /// Its status for a registration with nothing in it, sent as by a page of another origin: 400, or 403 if only origins that the operator
    /// names may register.
    pub status: StatusCode,
    /// Whether a page of another origin may read that answer.
    pub pages_may_read: bool,
}

impl Probe {
    /// Whether the buttons of every page work: the endpoint is there, and tells a page of another origin what is wrong with what it sent.
    pub fn buttons_work(&self) -> bool {
        self.status == StatusCode::BAD_REQUEST && self.pages_may_read
    }

    /// Whether the buttons of some pages work: any other is told that it may not.
    pub fn some_buttons_work(&self) -> bool {
        self.status == StatusCode::FORBIDDEN && self.pages_may_read
    }
}

/// Asks a server at `api_url`, known by `trust`. An error is why it does not answer.
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
    fn an_answer_tells_the_time_and_whether_pages_may_read_it() {
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
    async fn who_does_not_answer_is_told() {
        let error = probe(&"http://127.0.0.1:9".parse().unwrap(), &ServerTrust::default()).await.unwrap_err();
        assert!(error.to_lowercase().contains("refused"), "{error}");
    }
}
