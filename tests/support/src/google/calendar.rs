//! Calendar API v3: the list of events, with paging, time windows, recurrence, and sync tokens that are bound to the
//! parameters.

use serde_json::{Value, json};

use super::answer::{Answer, Failure};
use super::{Query, USER, clock};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// How far ahead Google expands an endless series: to 2040, as observed.
const EXPANSION_END_MS: u64 = 2_209_032_000_000;

/// When an event takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// One hour from that time, written with an offset from UTC.
    At {
        /// Unix milliseconds.
        start_ms: u64,
        /// Minutes.
        offset: i64,
    },
    /// All day, for this many days, starting with the day of this time.
    Days {
        /// Unix milliseconds.
        start_ms: u64,
        /// One or more.
        days: u64,
    },
}

/// How an event recurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrence {
    /// In days.
    pub every: u64,
    /// How often; `None` for endless.
    pub count: Option<u64>,
}

struct Event {
    /// Its calendar.
    calendar: String,
    id: String,
    summary: String,
    when: When,
    recurrence: Option<Recurrence>,
    created: u64,
    updated: u64,
    cancelled: bool,
    /// The number of its last change.
    change: u64,
}

/// What a sync token was issued for.
#[derive(Clone, PartialEq, Eq)]
struct Asked {
    calendar: String,
    single_events: bool,
    with_deleted: bool,
}

pub(crate) struct Calendar {
    names: Vec<String>,
    events: Vec<Event>,
    /// Counts the changes; a sync token stands for one.
    changes: u64,
    /// Sync tokens of changes below this are too old.
    oldest_sync: u64,
    added: u64,
    /// The request for which each sync token was issued, and the change it stands for.
    syncs: Vec<(Asked, u64)>,
}

/// Parameters that cannot be combined with a sync token.
const NOT_WITH_SYNC: [&str; 8] = [
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
];

/// One entry of an answer: an event, or an instance of a series. Sorted by its last change first, so that an event that
/// changes during paging moves to a later page.
struct Line<'a> {
    event: &'a Event,
    /// The index within the series.
    instance: u64,
    when: When,
}

impl Line<'_> {
    fn place(&self) -> (u64, &str, u64) {
        (self.event.change, &self.event.id, self.instance)
    }
}

impl Calendar {
    pub(crate) fn new() -> Self {
        let names = vec![USER.to_owned()];
        Self { names, events: Vec::new(), changes: 1, oldest_sync: 1, added: 0, syncs: Vec::new() }
    }

    pub(crate) fn add_calendar(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    pub(crate) fn add(&mut self, name: &str, summary: &str, when: When, recurrence: Option<Recurrence>) -> String {
        self.added += 1;
        self.changes += 1;
        let id = format!("event{:08}", self.added);
        let now = clock::now_ms();
        self.events.push(Event {
            calendar: name.to_owned(),
            id: id.clone(),
            summary: summary.to_owned(),
            when,
            recurrence,
            created: now,
            updated: now,
            cancelled: false,
            change: self.changes,
        });
        id
    }

    pub(crate) fn rename(&mut self, id: &str, summary: &str) -> bool {
        self.change(id, |event| summary.clone_into(&mut event.summary))
    }

    pub(crate) fn cancel(&mut self, id: &str) -> bool {
        self.change(id, |event| event.cancelled = true)
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Event)) -> bool {
        let Some(event) = self.events.iter_mut().find(|event| event.id == id && !event.cancelled) else {
            return false;
        };
        self.changes += 1;
        event.updated = clock::now_ms();
        event.change = self.changes;
        change(event);
        true
    }

    pub(crate) fn expire_sync_tokens(&mut self) {
        self.changes += 1;
        self.oldest_sync = self.changes;
    }

    /// The change that a sync token stands for.
    fn since(&self, token: &str, asked: &Asked, query: &Query) -> Result<u64, Failure> {
        if let Some(name) = NOT_WITH_SYNC.into_iter().find(|name| query.get(name).is_some()) {
            return Err(Failure::invalid(&format!("Sync token cannot be used with {name}.")));
        }
        let place = token.strip_prefix("sync").and_then(|number| number.parse::<usize>().ok());
        match place.and_then(|place| self.syncs.get(place)) {
            Some((theirs, _)) if theirs != asked => Err(Failure::sync_token_mismatch()),
            Some((_, since)) if *since < self.oldest_sync => Err(Failure::sync_token_expired()),
            Some((_, since)) => Ok(*since),
            None => Err(Failure::sync_token_mismatch()),
        }
    }

    /// `events.list`.
    pub(crate) fn event_list(&mut self, calendar: &str, query: &Query) -> Answer {
        let calendar = if calendar == "primary" { USER } else { calendar };
        if !self.names.iter().any(|name| name == calendar) {
            return Err(Failure::not_found());
        }
        let on = |name| query.get(name) == Some("true");
        let (single_events, with_deleted) = (on("singleEvents"), on("showDeleted"));
        let asked = Asked { calendar: calendar.to_owned(), single_events, with_deleted };
        let since = query.get("syncToken").map(|token| self.since(token, &asked, query)).transpose()?;
        let moment = |name: &str| match query.get(name) {
            None => Ok(None),
            Some(text) => {
                clock::parse_rfc3339(text).map(Some).ok_or_else(|| Failure::invalid(&format!("Bad Request: {name}")))
            }
        };
        let (from, to) = (moment("timeMin")?, moment("timeMax")?);
        let after: Option<(u64, String, u64)> = match query.get("pageToken") {
            None => None,
            Some(token) => Some(place(token).ok_or_else(|| Failure::invalid("Invalid page token value."))?),
        };
        let size = query.page_size(250, 2_500)?;

        // An incremental list always shows what was cancelled.
        let with_cancelled = since.is_some() || with_deleted;
        let mut lines = Vec::new();
        let ours = self.events.iter().filter(|event| event.calendar == calendar && event.change > since.unwrap_or(0));
        for event in ours.filter(|event| with_cancelled || !event.cancelled) {
            lines.extend(event.lines(single_events, to.unwrap_or(EXPANSION_END_MS)));
        }
        lines.retain(|line| {
            from.is_none_or(|from| line.when.end() > from) && to.is_none_or(|to| line.when.start() < to)
        });
        lines.sort_by(|a, b| a.place().cmp(&b.place()));
        if let Some((change, id, instance)) = &after {
            lines.retain(|line| line.place() > (*change, id.as_str(), *instance));
        }
        let page = &lines[..lines.len().min(size)];

        let mut answer = json!({
            "kind": "calendar#events",
            "etag": format!("\"{}\"", self.changes),
            "summary": calendar,
            "description": "",
            "updated": clock::rfc3339(self.events.iter().map(|event| event.updated).max().unwrap_or(0)),
            "timeZone": "UTC",
            "accessRole": "owner",
            "defaultReminders": [],
            "items": page.iter().map(|line| line.json(single_events)).collect::<Vec<Value>>(),
        });
        match page.last().map(Line::place) {
            Some((change, id, instance)) if page.len() < lines.len() => {
                answer["nextPageToken"] = format!("{change}.{id}.{instance}").into();
            }
            // With an order or a search, there is no sync token.
            _ if ["orderBy", "q"].iter().any(|name| query.get(name).is_some()) => {}
            _ => {
                answer["nextSyncToken"] = format!("sync{}", self.syncs.len()).into();
                self.syncs.push((asked, self.changes));
            }
        }
        Ok(answer)
    }
}

/// Where a page token says that a page begins.
fn place(token: &str) -> Option<(u64, String, u64)> {
    let mut parts = token.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.to_owned(), parts.next()?.parse().ok()?))
}

impl When {
    fn start(self) -> u64 {
        match self {
            Self::At { start_ms, .. } => start_ms,
            Self::Days { start_ms, .. } => start_ms / DAY_MS * DAY_MS,
        }
    }

    fn end(self) -> u64 {
        match self {
            Self::At { start_ms, .. } => start_ms + HOUR_MS,
            Self::Days { days, .. } => self.start() + days * DAY_MS,
        }
    }

    fn later(self, by: u64) -> Self {
        match self {
            Self::At { start_ms, offset } => Self::At { start_ms: start_ms + by, offset },
            Self::Days { start_ms, days } => Self::Days { start_ms: start_ms + by, days },
        }
    }

    fn json(self, moment: u64) -> Value {
        match self {
            Self::At { offset, .. } => json!({ "dateTime": clock::rfc3339_at(moment, offset), "timeZone": "UTC" }),
            Self::Days { .. } => json!({ "date": clock::day(moment) }),
        }
    }
}

impl Event {
    /// The event itself, or the instances of its series that begin before `until`.
    fn lines(&self, single_events: bool, until: u64) -> Vec<Line<'_>> {
        let line = |instance, when| Line { event: self, instance, when };
        match self.recurrence {
            Some(Recurrence { every, count }) if single_events => {
                let instances = (0..count.unwrap_or(u64::MAX)).map(|n| line(n, self.when.later(n * every * DAY_MS)));
                instances.take_while(|line| line.when.start() < until).collect()
            }
            _ => vec![line(0, self.when)],
        }
    }
}

impl Line<'_> {
    fn json(&self, single_events: bool) -> Value {
        let event = self.event;
        let etag = format!("\"{}\"", event.change);
        let series = event.recurrence.filter(|_| single_events).map(|_| event.id.clone());
        let stamp = || clock::rfc3339_at(self.when.start(), 0).replace(['-', ':'], "");
        let id = if series.is_some() { format!("{}_{}", event.id, stamp()) } else { event.id.clone() };
        let (start, end) = (self.when.json(self.when.start()), self.when.json(self.when.end()));
        let mut answer = json!({ "kind": "calendar#event", "etag": etag, "id": id, "status": "cancelled" });
        if let Some(series) = series {
            answer["recurringEventId"] = series.into();
            answer["originalStartTime"] = start.clone();
        }
        if event.cancelled {
            return answer;
        }
        if let (false, Some(Recurrence { every, count })) = (single_events, event.recurrence) {
            let count = count.map_or(String::new(), |count| format!(";COUNT={count}"));
            answer["recurrence"] = json!([format!("RRULE:FREQ=DAILY;INTERVAL={every}{count}")]);
        }
        let more = json!({
            "status": "confirmed",
            "htmlLink": format!("https://www.google.com/calendar/event?eid={id}"),
            "created": clock::rfc3339(event.created),
            "updated": clock::rfc3339(event.updated),
            "summary": event.summary,
            "creator": { "email": USER, "self": true },
            "organizer": { "email": USER, "self": true },
            "start": start,
            "end": end,
            "iCalUID": format!("{}@google.com", event.id),
            "sequence": 0,
            "reminders": { "useDefault": true },
            "eventType": "default",
        });
        if let (Value::Object(answer), Value::Object(more)) = (&mut answer, more) {
            answer.extend(more);
        }
        answer
    }
}
