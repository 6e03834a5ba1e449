//! Calendar API v3: the list of events, with paging and sync tokens.

use serde_json::{Value, json};

use super::answer::{Answer, Failure};
use super::{Query, USER, clock};

struct Event {
    id: String,
    summary: String,
    /// Unix milliseconds.
    start: u64,
    created: u64,
    updated: u64,
    cancelled: bool,
    /// The number of its last change.
    change: u64,
}

pub(crate) struct Calendar {
    events: Vec<Event>,
    /// Counts the changes; it is what a sync token stands for.
    changes: u64,
    /// Sync tokens below this are too old.
    oldest_sync: u64,
    added: u64,
}

/// What may not stand beside a sync token.
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

impl Calendar {
    pub(crate) fn new() -> Self {
        Self { events: Vec::new(), changes: 1, oldest_sync: 1, added: 0 }
    }

    pub(crate) fn add(&mut self, summary: &str, start: u64) -> String {
        self.added += 1;
        self.changes += 1;
        let id = format!("event{:08}", self.added);
        let now = clock::now_ms();
        self.events.push(Event {
            id: id.clone(),
            summary: summary.to_owned(),
            start,
            created: now,
            updated: now,
            cancelled: false,
            change: self.changes,
        });
        id
    }

    pub(crate) fn cancel(&mut self, id: &str) -> bool {
        let Some(event) = self.events.iter_mut().find(|event| event.id == id && !event.cancelled) else {
            return false;
        };
        self.changes += 1;
        event.cancelled = true;
        event.updated = clock::now_ms();
        event.change = self.changes;
        true
    }

    pub(crate) fn expire_sync_tokens(&mut self) {
        self.changes += 1;
        self.oldest_sync = self.changes;
    }

    /// `events.list`. Pages follow the order of changes, so what changes while a reader turns the pages is on a later one.
    pub(crate) fn event_list(&self, calendar: &str, query: &Query) -> Answer {
        if calendar != "primary" && calendar != USER {
            return Err(Failure::not_found());
        }
        let since = match query.get("syncToken") {
            None => None,
            Some(token) => {
                if let Some(name) = NOT_WITH_SYNC.into_iter().find(|name| query.get(name).is_some()) {
                    return Err(Failure::invalid(&format!("Sync token cannot be used with {name}.")));
                }
                let since = token.strip_prefix("sync").and_then(|number| number.parse::<u64>().ok());
                match since {
                    Some(since) if since >= self.oldest_sync && since <= self.changes => Some(since),
                    _ => return Err(Failure::sync_token_expired()),
                }
            }
        };
        let after = match query.get("pageToken") {
            None => since.unwrap_or(0),
            Some(token) => token.parse().map_err(|_| Failure::invalid("Invalid page token value."))?,
        };
        let size = query.page_size(250, 2_500)?;
        // An incremental list always shows what was cancelled.
        let with_cancelled = since.is_some() || query.get("showDeleted") == Some("true");
        let mut fitting: Vec<&Event> =
            self.events.iter().filter(|event| event.change > after && (with_cancelled || !event.cancelled)).collect();
        fitting.sort_by_key(|event| event.change);
        let page = &fitting[..fitting.len().min(size)];

        let mut answer = json!({
            "kind": "calendar#events",
            "etag": format!("\"{}\"", self.changes),
            "summary": USER,
            "description": "",
            "updated": clock::rfc3339(self.events.iter().map(|event| event.updated).max().unwrap_or(0)),
            "timeZone": "UTC",
            "accessRole": "owner",
            "defaultReminders": [],
            "items": page.iter().map(|event| event.json()).collect::<Vec<Value>>(),
        });
        match page.last() {
            Some(last) if page.len() < fitting.len() => answer["nextPageToken"] = last.change.to_string().into(),
            _ => answer["nextSyncToken"] = format!("sync{}", self.changes).into(),
        }
        Ok(answer)
    }
}

impl Event {
    fn json(&self) -> Value {
        let etag = format!("\"{}\"", self.change);
        if self.cancelled {
            return json!({ "kind": "calendar#event", "etag": etag, "id": self.id, "status": "cancelled" });
        }
        let moment = |ms| json!({ "dateTime": clock::rfc3339(ms), "timeZone": "UTC" });
        json!({
            "kind": "calendar#event",
            "etag": etag,
            "id": self.id,
            "status": "confirmed",
            "htmlLink": format!("https://www.google.com/calendar/event?eid={}", self.id),
            "created": clock::rfc3339(self.created),
            "updated": clock::rfc3339(self.updated),
            "summary": self.summary,
            "creator": { "email": USER, "self": true },
            "organizer": { "email": USER, "self": true },
            "start": moment(self.start),
            "end": moment(self.start + 3_600_000),
            "iCalUID": format!("{}@google.com", self.id),
            "sequence": 0,
            "reminders": { "useDefault": true },
            "eventType": "default",
        })
    }
}
