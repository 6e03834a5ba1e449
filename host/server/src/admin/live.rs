//! Live pages: server-sent events with the parts that have changed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bg_poller::RuntimeError;
use futures_util::{StreamExt as _, stream};
use http::HeaderMap;

use crate::app::App;

/// How often to check for changes.
const EVERY: Duration = Duration::from_secs(1);
/// A check takes at most this fraction of the time.
const REST: u32 = 10;
/// Keeps the connection alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A part of a page: an element with an ID.
#[derive(Debug)]
pub(super) struct Part {
    id: String,
    html: String,
    /// What decides whether it has changed, if not the HTML.
    by: Option<String>,
    /// The enclosing part, which includes it when sent.
    within: Option<&'static str>,
}

impl Part {
    pub(super) fn new(id: &str, html: String) -> Self {
        Self { id: id.to_owned(), html, by: None, within: None }
    }

    /// A part with nested parts; it has changed if `by` has.
    pub(super) fn of_parts(id: &str, by: String, html: String) -> Self {
        Self { id: id.to_owned(), html, by: Some(by), within: None }
    }

    /// A part within a part, which precedes it.
    pub(super) fn within(outer: &'static str, id: String, html: String) -> Self {
        Self { id, html, by: None, within: Some(outer) }
    }
}

/// The state of a page: a fingerprint of each part.
#[derive(Default)]
struct Shown {
    hasher: RandomState,
    parts: HashMap<String, u64>,
}

impl Shown {
    /// The HTML of those that have changed.
    fn update(&mut self, parts: Vec<Part>) -> Vec<String> {
        let (mut changed, mut whole, mut now) = (Vec::new(), Vec::new(), HashMap::with_capacity(parts.len()));
        for Part { id, html, by, within } in parts {
            let fingerprint = self.hasher.hash_one(by.as_ref().unwrap_or(&html));
            let is_new = self.parts.get(&id) != Some(&fingerprint);
            if is_new && !within.is_some_and(|outer| whole.iter().any(|id| id == outer)) {
                changed.push(html);
                whole.push(id.clone());
            }
            now.insert(id, fingerprint);
        }
        self.parts = now;
        changed
    }
}

struct Watch<F> {
    app: Arc<App>,
    headers: HeaderMap,
    look: F,
    shown: Shown,
    next: Instant,
}

/// Sends the parts that `look` returns, and then the parts that change, until the session or the server ends. If the
/// subject of the page no longer exists, the browser reloads.
pub(super) fn events<F, L>(app: Arc<App>, headers: HeaderMap, look: F) -> Response
where
    F: Fn() -> L + Send + 'static,
    L: Future<Output = Result<Option<Vec<Part>>, RuntimeError>> + Send,
{
    let watch = Watch { app, headers, look, shown: Shown::default(), next: Instant::now() };
    let events = stream::unfold(Some(watch), async |watch| {
        let mut watch = watch?;
        let (events, goes_on) = watch.step().await?;
        Some((stream::iter(events.into_iter().map(Ok::<_, Infallible>)), goes_on.then_some(watch)))
    });
    Sse::new(events.flatten()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

impl<F, L> Watch<F>
where
    F: Fn() -> L,
    L: Future<Output = Result<Option<Vec<Part>>, RuntimeError>>,
{
    /// Waits for the next check, and looks. `None` at the end.
    async fn step(&mut self) -> Option<(Vec<Event>, bool)> {
        tokio::select! {
            () = self.app.shutdown.cancelled() => return None,
            () = tokio::time::sleep_until(self.next.into()) => {}
        }
        // An open page keeps its session alive.
        let now = Instant::now();
        self.app.logins.of(&self.headers, now)?;
        let found = (self.look)().await;
        self.next = Instant::now() + EVERY.max(now.elapsed() * REST);
        Some(match found {
            Ok(Some(parts)) => {
                let event = |html| Event::default().event("part").data(html);
                (self.shown.update(parts).into_iter().map(event).collect(), true)
            }
            Ok(None) => (vec![Event::default().event("gone").data("")], false),
            Err(error) => {
                tracing::debug!(%error, "a page could not be kept up to date");
                (Vec::new(), true)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, &str)]) -> Vec<Part> {
        let all: String = rows.iter().map(|(_, html)| *html).collect();
        let keys: Vec<&str> = rows.iter().map(|(key, _)| *key).collect();
        let single = rows.iter().map(|(key, html)| Part::within("rows", (*key).to_owned(), (*html).to_owned()));
        [Part::of_parts("rows", keys.join(" "), format!("<{all}>"))].into_iter().chain(single).collect()
    }

    #[test]
    fn each_change_is_sent_once_in_the_smallest_part() {
        let mut shown = Shown::default();
        for (given, sent) in [
            (&[("a", "1"), ("b", "2")][..], &["<12>"][..]),
            (&[("a", "1"), ("b", "2")], &[]),
            (&[("a", "1"), ("b", "3")], &["3"]),
            (&[("b", "3"), ("a", "1")], &["<31>"]),
            (&[("b", "3")], &["<3>"]),
            (&[], &["<>"]),
            (&[("b", "3")], &["<3>"]),
        ] {
            assert_eq!(shown.update(rows(given)), sent, "{given:?}");
        }
    }
}
