//! Finds the charms that have something new by querying the service behind them.
//!
//! An integration that can check cheaply (one small request per charm) implements [`Source`] and returns
//! [`charms_with_news`] from `fetch_charms`. A charm is skipped only if the service said that there is nothing new; if
//! that is unknown, the charm is polled.
//!
//! A status 304 means "nothing new". A query made [`if_changed`](crate::http::Request::if_changed) is sent with the
//! `ETag` and the `Last-Modified` of the last answer after which a poll of that charm succeeded. So a change that a
//! poll failed to fetch is announced again.
//!
//! Rate limits of a service are respected: `Retry-After` and `X-Poll-Interval` apply to the queried charm, for at most
//! an hour, or five minutes after a status 503. Charms are skipped for that time, and queried afterwards. If an origin
//! answers 503 with a `Retry-After` to the queries of charms of two spaces or more in a list, and answers none well, it
//! is down, and no charm is queried there for the shortest of these times; the log says so. One charm alone, whose URL
//! may be its owner's to choose, changes nothing for the others.
//!
//! A charm whose credential is not accepted (401) is polled without a query until a poll succeeds, its `auth` changes, or
//! an hour is over.

mod memory;
mod retry;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::charms::{Lookup, Polls};
use crate::http::{HttpError, Request, Response, send_all};
use crate::time::{self, Instant};
use crate::{CharmRef, CharmView, Error, charms, state, warn};

use self::memory::Memory;

/// How many charms are queried in one call. The host allows 64 requests, and some may be renewed or repeated. If there
/// are more charms, the next call continues there, and those not queried are polled.
const ASKED: usize = 48;
/// How many queries may be repeated for a next page.
const ASKED_AGAIN: usize = 12;
/// How many concurrent requests; the host allows 8.
const AT_ONCE: usize = 6;
/// No query is waited for longer than this after the start of the call. The host ends the call after 5 s, and then all
/// results are lost.
const PATIENCE: Duration = Duration::from_millis(3500);
/// One slow answer must not use up the time of the others.
const PATIENCE_FOR_ONE: Duration = Duration::from_secs(2);
/// How many spaces there are whose charms' queries are refused, and none answered, before the rest of a list is spared.
/// One owner's account over its quota says nothing of the others'.
const REFUSED_SPACES: usize = 3;
/// The key for the last queried charm.
const CURSOR: &str = "asked-up-to";

/// A service that can be asked what is new.
pub trait Source {
    /// The query for a charm; `None` if the charm has nothing to base it on yet.
    fn query(&self, charm: &impl CharmView) -> Option<Request>;

    /// What an answer with status 200 means.
    fn news(&self, response: &Response) -> News;

    /// The token of the next page, if an answer with status 200 has no entries but announces another page. The query is
    /// repeated with it, as `pageToken`.
    fn next_page(&self, _response: &Response) -> Option<String> {
        None
    }
}

/// What is known about one charm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// There is something new.
    Some,
    /// There is nothing new.
    None,
    /// Unknown.
    Unknown,
}

/// The registered charms that have something new, and those for which that is unknown.
pub fn charms_with_news(source: &impl Source) -> Result<Vec<CharmRef>, Error> {
    let until = Instant::now() + PATIENCE;
    let polls = charms::registered_with_polls()?;
    // Without the cursor the rotation starts from the beginning: some charms are queried more often than others, but
    // none is missed.
    let before = state::get(CURSOR).unwrap_or_else(|error| {
        warn!("{error}");
        None
    });
    let mut memory = Memory::load(&polls, time::unix_millis());
    let registered = polls.into_iter().map(|Polls { charm, .. }| charm).collect();
    let decision = decide(registered, before.as_ref(), ASKED, |charms| ask(source, charms, until, &mut memory));
    if decision.cursor != before
        && let Err(error) = decision.cursor.as_ref().map_or_else(|| state::delete(CURSOR), |at| state::set(CURSOR, at))
    {
        warn!("{error}");
    }
    memory.note_origins_that_are_down();
    memory.save();
    Ok(decision.named)
}

/// Which charms to poll.
#[derive(Debug, PartialEq, Eq)]
struct Decision {
    named: Vec<CharmRef>,
    /// The last queried charm, if there were more.
    cursor: Option<CharmRef>,
}

/// Decides for all registered charms, after querying at most `budget` of them, those after `cursor` first. `ask`
/// answers for as many of them as it could query, from the first on.
fn decide(
    mut registered: Vec<CharmRef>,
    cursor: Option<&CharmRef>,
    budget: usize,
    ask: impl FnOnce(&[CharmRef]) -> Vec<News>,
) -> Decision {
    registered.sort();
    registered.dedup();
    let start = cursor.map_or(0, |cursor| registered.partition_point(|charm| charm <= cursor));
    registered.rotate_left(start);
    let news = ask(&registered[..registered.len().min(budget)]);
    let cursor = if news.len() < registered.len() {
        news.len().checked_sub(1).map(|last| registered[last].clone())
    } else {
        None
    };
    let is_quiet = |place: usize| news.get(place) == Some(&News::None);
    let named = registered.into_iter().enumerate().filter(|(place, _)| !is_quiet(*place)).map(|(_, charm)| charm);
    Decision { named: named.collect(), cursor }
}

/// Queries charms in turn until all are done, the time is up, or further queries are pointless.
fn ask(source: &impl Source, charms: &[CharmRef], until: Instant, memory: &mut Memory) -> Vec<News> {
    let asking = Asking {
        source,
        charms,
        until,
        memory: RefCell::new(memory),
        news: RefCell::new(vec![News::Unknown; charms.len()]),
        refusals: RefCell::default(),
    };
    let reached = Cell::new(0);
    let queries = (0..charms.len()).filter_map(|place| {
        if until.has_passed() {
            return None;
        }
        reached.set(place + 1);
        asking.query(place, None)
    });
    let mut pages = asking.round(queries);
    // A charm that is not queried again, because the requests are used up, stays unknown.
    let mut left = ASKED_AGAIN;
    while !pages.is_empty() && left > 0 {
        let asked = pages.into_iter().take(left).collect::<Vec<_>>();
        left -= asked.len();
        pages = asking.round(asked.into_iter().filter_map(|(place, token)| asking.query(place, Some(&token))));
    }
    let mut news = asking.news.into_inner();
    news.truncate(reached.get());
    news
}

/// The queries of one call.
struct Asking<'a, S> {
    source: &'a S,
    charms: &'a [CharmRef],
    until: Instant,
    memory: RefCell<&'a mut Memory>,
    news: RefCell<Vec<News>>,
    refusals: RefCell<Refusals>,
}

/// Whether further queries of a list would be refused, too.
#[derive(Default)]
struct Refusals {
    /// The spaces of the charms whose queries were.
    spaces: BTreeSet<String>,
    is_any_answered: bool,
}

impl Refusals {
    fn note(&mut self, charm: &CharmRef, sense: Sense) -> ControlFlow<()> {
        match sense {
            Sense::Answer => self.is_any_answered = true,
            Sense::Refusal => drop(self.spaces.insert(charm.space.clone())),
            Sense::Nothing => {}
            Sense::End => return ControlFlow::Break(()),
        }
        let all = !self.is_any_answered && self.spaces.len() >= REFUSED_SPACES;
        if all { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// The query for the charm at an index.
struct Query {
    place: usize,
    url: String,
    /// Whether it requests a page after the first.
    is_next: bool,
}

impl<S: Source> Asking<'_, S> {
    /// The query for a charm, for the page with this token; `None` if there is none, or it must wait.
    fn query(&self, place: usize, page: Option<&str>) -> Option<(Query, Request)> {
        let charm = &self.charms[place];
        // A charm that cannot be opened now is polled, and the poll reports why.
        let mut request = self.source.query(&charms::open(charm).ok()?)?;
        if self.memory.borrow().must_wait(charm, request.url()) {
            self.news.borrow_mut()[place] = News::None;
            return None;
        }
        // It would be refused again; the poll reports why.
        if self.memory.borrow().is_unauthorized(charm, || sign_in(charm)) {
            return None;
        }
        if let Some(token) = page {
            request = request.query("pageToken", token);
        }
        let url = request.url().to_owned();
        let request = self.memory.borrow().conditional(charm, request);
        let query = Query { place, url, is_next: page.is_some() };
        Some((query, request.charm(charm).timeout(PATIENCE_FOR_ONE)))
    }

    /// Sends some queries and records what their answers mean. Returns the tokens of next pages; none if further
    /// queries are pointless.
    fn round(&self, queries: impl Iterator<Item = (Query, Request)>) -> Vec<(usize, String)> {
        let mut pages = Vec::new();
        send_all(queries, AT_ONCE, self.until, |query, answer| {
            let Query { place, url, is_next } = query;
            let charm = &self.charms[place];
            let waits = answer.as_ref().is_ok_and(|answer| self.memory.borrow_mut().heed(charm, &url, answer));
            let (verdict, sense) = judge(self.source, &answer);
            // If the service must not be queried now, a poll should not do so either.
            let (verdict, sense) = if waits { (News::None, Sense::Nothing) } else { (verdict, sense) };
            let flow = self.refusals.borrow_mut().note(charm, sense);
            if let Ok(response) = &answer {
                if response.status == 401 {
                    self.memory.borrow_mut().unauthorized(charm, sign_in(charm));
                }
                // Only the first page's validators belong to the query.
                if !is_next {
                    self.memory.borrow_mut().answered(charm, &url, response, verdict);
                }
                let next = (response.status == 200).then(|| self.source.next_page(response)).flatten();
                pages.extend(next.map(|token| (place, token)));
            }
            self.news.borrow_mut()[place] = verdict;
            if flow.is_break() {
                pages.clear();
            }
            flow
        });
        pages
    }
}

/// What the outcome of a query says of further ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sense {
    /// The service answers.
    Answer,
    /// Refused. More would be refused as well, if it is not for this charm's sake.
    Refusal,
    /// Nothing.
    Nothing,
    /// The call may send no more.
    End,
}

/// What the outcome of a query means for its charm, and for further queries.
fn judge(source: &impl Source, answer: &Result<Response, HttpError>) -> (News, Sense) {
    match answer {
        Ok(response) if response.status == 200 => (source.news(response), Sense::Answer),
        Ok(response) if response.status == 304 => (News::None, Sense::Answer),
        Ok(response) if is_rate_limit(response) => (News::Unknown, Sense::Refusal),
        Err(error @ HttpError::Denied(_)) => {
            crate::debug!("a query is denied: {error}");
            (News::Unknown, Sense::Refusal)
        }
        Err(error @ HttpError::Limit(_)) => {
            crate::debug!("no more queries in this call: {error}");
            (News::Unknown, Sense::End)
        }
        Ok(_) | Err(_) => (News::Unknown, Sense::Nothing),
    }
}

/// What can be seen of a charm's sign-in: a renewal, or another sign-in, changes it.
fn sign_in(charm: &CharmRef) -> Option<String> {
    match CharmView::get(&charms::open(charm).ok()?, &["auth"]).ok()? {
        Lookup::Value(auth) => Some(auth),
        Lookup::Secret | Lookup::Absent => None,
    }
}

/// Whether the service wants fewer requests. Google also uses 403 with one of these reasons.
fn is_rate_limit(response: &Response) -> bool {
    const REASONS: [&str; 5] =
        ["rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "dailyLimitExceeded", "quotaExceeded"];
    let has_reason = || {
        let body = String::from_utf8_lossy(&response.body);
        REASONS.iter().any(|reason| body.contains(&format!("\"{reason}\"")))
    };
    response.status == 429 || response.status == 403 && has_reason()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charms(names: &str) -> Vec<CharmRef> {
        names.chars().map(|name| CharmRef { space: "did:key:z6Mk".into(), charm_id: name.into() }).collect()
    }

    fn names(charms: &[CharmRef]) -> String {
        charms.iter().map(|charm| charm.charm_id.as_str()).collect()
    }

    #[test]
    fn only_a_charm_known_to_be_quiet_is_skipped_and_the_rest_take_turns() {
        // (registered, cursor, budget, answers: + new, - quiet, ? unknown; queried, named, next cursor)
        for (registered, cursor, budget, answers, asked, named, next) in [
            ("", None, 3, "", "", "", None),
            ("abc", None, 3, "+-?", "abc", "ac", None),
            ("cab", None, 3, "---", "abc", "", None),
            ("aab", None, 3, "-+", "ab", "b", None),
            // Nothing was queried: everything is polled, and the rotation stays.
            ("abc", None, 3, "", "abc", "abc", None),
            // Time ran out after the second.
            ("abcd", None, 4, "--", "abcd", "cd", Some('b')),
            // More charms than queries.
            ("abcde", None, 2, "--", "ab", "cde", Some('b')),
            ("abcde", Some('b'), 2, "--", "cd", "eab", Some('d')),
            ("abcde", Some('d'), 2, "-+", "ea", "abcd", Some('a')),
            // The charm of the cursor was removed, and the last one was the cursor.
            ("acde", Some('b'), 2, "--", "cd", "ea", Some('d')),
            ("abc", Some('c'), 2, "--", "ab", "c", Some('b')),
            // There are fewer charms now.
            ("ab", Some('a'), 2, "--", "ba", "", None),
        ] {
            let cursor = cursor.map(|name| charms(&String::from(name)).remove(0));
            let mut seen = String::new();
            let decision = decide(charms(registered), cursor.as_ref(), budget, |charms| {
                seen = names(charms);
                answers
                    .chars()
                    .map(|answer| match answer {
                        '+' => News::Some,
                        '-' => News::None,
                        _ => News::Unknown,
                    })
                    .collect()
            });
            let case = format!("{registered} after {cursor:?}, {answers}");
            assert_eq!(seen, asked, "{case}");
            assert_eq!(names(&decision.named), named, "{case}");
            assert_eq!(decision.cursor.map(|at| at.charm_id), next.map(String::from), "{case}");
        }
    }

    struct AlwaysQuiet;

    impl Source for AlwaysQuiet {
        fn query(&self, _: &impl CharmView) -> Option<Request> {
            None
        }

        fn news(&self, _: &Response) -> News {
            News::None
        }
    }

    #[test]
    fn only_a_success_is_news_and_each_outcome_says_something_of_further_queries() {
        use Sense::{Answer, End, Nothing, Refusal};
        let status = |status| Ok(Response { status, ..Response::default() });
        let forbidden = |reason: &str| {
            let body = format!(
                r#"{{"error": {{"code": 403, "errors": [{{"domain": "usageLimits", "reason": "{reason}"}}]}}}}"#
            );
            Ok(Response { status: 403, body: body.into(), ..Response::default() })
        };
        for (answer, news, sense) in [
            (status(200), News::None, Answer),
            (status(204), News::Unknown, Nothing),
            (status(304), News::None, Answer),
            (status(401), News::Unknown, Nothing),
            (status(404), News::Unknown, Nothing),
            (status(410), News::Unknown, Nothing),
            (status(503), News::Unknown, Nothing),
            (status(429), News::Unknown, Refusal),
            (status(403), News::Unknown, Nothing),
            (forbidden("accessNotConfigured"), News::Unknown, Nothing),
            (forbidden("rateLimitExceeded"), News::Unknown, Refusal),
            (forbidden("userRateLimitExceeded"), News::Unknown, Refusal),
            (forbidden("dailyLimitExceeded"), News::Unknown, Refusal),
            (forbidden("quotaExceeded"), News::Unknown, Refusal),
            (Err(HttpError::Timeout), News::Unknown, Nothing),
            (Err(HttpError::Network("reset".into())), News::Unknown, Nothing),
            (Err(HttpError::Malformed("url".into())), News::Unknown, Nothing),
            (Err(HttpError::Denied("no grant".into())), News::Unknown, Refusal),
            (Err(HttpError::Limit("64".into())), News::Unknown, End),
        ] {
            assert_eq!(judge(&AlwaysQuiet, &answer), (news, sense), "{answer:?}");
        }
    }

    #[test]
    fn the_queries_end_once_those_of_three_spaces_are_refused_and_none_is_answered() {
        use Sense::{Answer, End, Nothing, Refusal};
        let ends_after = |senses: &[(&str, Sense)]| {
            let mut refusals = Refusals::default();
            let charm = |space: &str| CharmRef { space: space.into(), charm_id: "a".into() };
            senses.iter().position(|(space, sense)| refusals.note(&charm(space), *sense).is_break())
        };
        assert_eq!(ends_after(&[("a", Refusal), ("b", Refusal), ("c", Refusal)]), Some(2));
        // However many charms of one space there are, they end no other's queries.
        assert_eq!(ends_after(&[("a", Refusal); 48]), None);
        assert_eq!(ends_after(&[("a", Refusal), ("b", Nothing), ("c", Refusal), ("d", Nothing)]), None);
        assert_eq!(ends_after(&[("x", Answer), ("a", Refusal), ("b", Refusal), ("c", Refusal)]), None);
        assert_eq!(ends_after(&[("x", Answer), ("a", End)]), Some(1), "no request is left");
    }
}
