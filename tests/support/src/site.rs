//! A small web site.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;

/// How often it is seen whether a request has come.
const LOOK: Duration = Duration::from_millis(5);

/// A request as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteRequest {
    /// `GET`, …
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: HashMap<String, String>,
    /// The status of the answer; 0 if the client did not wait for it.
    pub status: u16,
}

/// The content of a path.
#[derive(Clone)]
enum Page {
    Document { kind: &'static str, body: Vec<u8>, version: u64 },
    Status(u16),
    Redirect(String),
    Silence,
    Begun(String),
}

#[derive(Default)]
struct Site {
    pages: HashMap<String, Page>,
    versions: u64,
    /// The paths of which a request has come, finished or not.
    begun: HashSet<String>,
    requests: Vec<SiteRequest>,
}

type Shared = Arc<Mutex<Site>>;

/// A web site on loopback. Its documents have an `ETag` and a `Last-Modified` time, and are only sent to clients that
/// do not have this version. It serves on a separate thread until dropped.
pub struct FakeSite {
    address: SocketAddr,
    site: Shared,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl FakeSite {
    /// Starts one on a free port of 127.0.0.1, without any documents.
    pub fn start() -> anyhow::Result<Self> {
        let site = Shared::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no port for the web site")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = CancellationToken::new();
        let (stopped, state) = (stop.clone(), site.clone());
        let thread = std::thread::Builder::new().name("fake-site".into()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let serve = axum::serve(listener, Router::new().fallback(answer).with_state(state));
                tokio::select! {
                    () = stopped.cancelled() => {}
                    _ = serve => {}
                }
            });
        })?;
        Ok(Self { address, site, stop, thread: Some(thread) })
    }

    /// `http://127.0.0.1:<port>`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url())
    }

    /// Puts a document at a path, or a new version of it.
    pub fn put(&self, path: &str, kind: &'static str, body: &str) {
        self.put_bytes(path, kind, body.as_bytes());
    }

    /// Puts a document that need not be UTF-8 at a path, or a new version of it.
    pub fn put_bytes(&self, path: &str, kind: &'static str, body: &[u8]) {
        let mut site = lock(&self.site);
        site.versions += 1;
        let page = Page::Document { kind, body: body.to_owned(), version: site.versions };
        site.pages.insert(path.to_owned(), page);
    }

    /// From now on the path is answered with a status and no document.
    pub fn set_status(&self, path: &str, status: u16) {
        lock(&self.site).pages.insert(path.to_owned(), Page::Status(status));
    }

    /// From now on the path redirects permanently.
    pub fn redirect(&self, path: &str, to: &str) {
        lock(&self.site).pages.insert(path.to_owned(), Page::Redirect(to.to_owned()));
    }

    /// From now on requests of the path are never answered.
    pub fn be_silent(&self, path: &str) {
        lock(&self.site).pages.insert(path.to_owned(), Page::Silence);
    }

    /// From now on the path is answered, without a document, once a request of `other` has come.
    pub fn answer_after(&self, path: &str, other: &str) {
        lock(&self.site).pages.insert(path.to_owned(), Page::Begun(other.to_owned()));
    }

    /// All finished requests, in order; clears the log.
    pub fn take_requests(&self) -> Vec<SiteRequest> {
        std::mem::take(&mut lock(&self.site).requests)
    }
}

impl std::fmt::Debug for FakeSite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeSite").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for FakeSite {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of the server thread was visible in the answers; a second one in a drop would hide it.
            let _ = thread.join();
        }
    }
}

fn lock(site: &Mutex<Site>) -> MutexGuard<'_, Site> {
    site.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records a request when it is finished, or when the connection ends before the answer.
struct Noted {
    site: Shared,
    request: SiteRequest,
}

impl Drop for Noted {
    fn drop(&mut self) {
        lock(&self.site).requests.push(self.request.clone());
    }
}

async fn answer(State(site): State<Shared>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let page = {
        let mut site = lock(&site);
        site.begun.insert(uri.path().to_owned());
        site.pages.get(uri.path()).cloned()
    };
    let seen = headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
    let path = uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let request = SiteRequest { method: method.to_string(), path, headers: seen.collect(), status: 0 };
    let mut noted = Noted { site: site.clone(), request };
    let response = match page {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(Page::Status(status)) => StatusCode::from_u16(status).unwrap_or_default().into_response(),
        Some(Page::Redirect(to)) => (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, to)]).into_response(),
        Some(Page::Silence) => std::future::pending().await,
        Some(Page::Begun(other)) => {
            while !lock(&site).begun.contains(&other) {
                tokio::time::sleep(LOOK).await;
            }
            StatusCode::NO_CONTENT.into_response()
        }
        Some(Page::Document { kind, body, version }) => document(&noted.request, kind, body, version),
    };
    noted.request.status = response.status().as_u16();
    response
}

/// The document, or 304 if the client has this version. By the HTTP standard, the `ETag` takes precedence.
fn document(request: &SiteRequest, kind: &'static str, body: Vec<u8>, version: u64) -> Response {
    let etag = format!("\"v{version}\"");
    // Each version has a different day.
    let modified = format!("Thu, {:02} Jan 1970 00:00:00 GMT", version % 28 + 1);
    let known = match (request.headers.get("if-none-match"), request.headers.get("if-modified-since")) {
        (Some(tag), _) => *tag == etag,
        (None, Some(since)) => *since == modified,
        (None, None) => false,
    };
    let validators = [(header::ETAG, etag), (header::LAST_MODIFIED, modified)];
    if known {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    (validators, [(header::CONTENT_TYPE, kind)], body).into_response()
}
