//! A mailbox's history.

use serde_json::{Value, json};

use super::Query;
use super::answer::{Answer, Failure};
use super::change::{Change, ChangeKind};
use super::mailbox::Mailbox;

impl ChangeKind {
    /// Its name in `historyTypes`.
    fn parameter(&self) -> &'static str {
        match self {
            Self::Added => "messageAdded",
            Self::Deleted => "messageDeleted",
            Self::LabelAdded(_) => "labelAdded",
            Self::LabelRemoved(_) => "labelRemoved",
            Self::Other => "",
        }
    }
}

/// A record of these changes, one or several.
fn record(changes: &[&Change]) -> Value {
    let mut record = json!({ "messages": [] });
    for change in changes {
        record["id"] = change.id.to_string().into();
        push(&mut record, "messages", json!({ "id": change.message, "threadId": change.message }));
        if let Some((list, entry)) = change.entry() {
            push(&mut record, list, entry);
        }
    }
    record
}

fn push(record: &mut Value, list: &str, entry: Value) {
    match &mut record[list] {
        Value::Array(entries) => entries.push(entry),
        missing => *missing = json!([entry]),
    }
}

impl Change {
    /// The list of a record that it belongs to, and its entry there.
    fn entry(&self) -> Option<(&'static str, Value)> {
        let message = json!({ "id": self.message, "threadId": self.message, "labelIds": self.labels });
        Some(match &self.kind {
            ChangeKind::Added => ("messagesAdded", json!({ "message": message })),
            ChangeKind::Deleted => ("messagesDeleted", json!({ "message": message })),
            ChangeKind::LabelAdded(label) => ("labelsAdded", json!({ "message": message, "labelIds": [label] })),
            ChangeKind::LabelRemoved(label) => ("labelsRemoved", json!({ "message": message, "labelIds": [label] })),
            ChangeKind::Other => return None,
        })
    }
}

impl Mailbox {
    /// `users.history.list`: the changes after `startHistoryId`, oldest first.
    pub(crate) fn history_list(&self, query: &Query) -> Answer {
        let Some(start) = query.get("startHistoryId") else {
            return Err(Failure::invalid("Missing startHistoryId"));
        };
        let Ok(start) = start.parse::<u64>() else {
            return Err(Failure::invalid(&format!("Invalid value at 'start_history_id': {start}")));
        };
        if start < self.oldest_known || start > self.history_id() {
            return Err(Failure::not_found());
        }
        let kinds: Vec<&str> = query.all("historyTypes").collect();
        if let Some(kind) = kinds.iter().find(|kind| !KINDS.contains(kind)) {
            return Err(Failure::invalid(&format!("Invalid value at 'history_types': {kind}")));
        }
        // A page token is the history ID after which the next page starts.
        let (empty, after) = match query.get("pageToken") {
            None => (0, start),
            // An empty page is followed by one more.
            Some(token) => match token.split_once('-') {
                Some(("empty", count)) => (count.parse().map_err(|_| Failure::invalid("Invalid pageToken"))?, start),
                _ => (usize::MAX, token.parse().map_err(|_| Failure::invalid("Invalid pageToken"))?),
            },
        };
        if empty < self.empty_pages {
            return Ok(json!({
                "historyId": self.history_id().to_string(),
                "nextPageToken": format!("empty-{}", empty + 1),
            }));
        }
        let label = query.get("labelId");
        let size = query.page_size(100, 500)?;
        let mut fitting = self
            .changes
            .iter()
            .filter(|change| change.id > after)
            .filter(|change| kinds.is_empty() || kinds.contains(&change.kind.parameter()))
            .filter(|change| label.is_none_or(|label| change.labels.iter().any(|one| one == label)));
        let page: Vec<&Change> = fitting.by_ref().take(size).collect();

        let mut answer = json!({ "historyId": self.history_id().to_string() });
        // Like Google: without changes, there is no `history` field.
        if let Some(last) = page.last() {
            answer["history"] = page.chunks(self.changes_a_record).map(record).collect();
            if fitting.next().is_some() {
                answer["nextPageToken"] = last.id.to_string().into();
            }
        }
        Ok(answer)
    }
}

const KINDS: [&str; 4] = ["messageAdded", "messageDeleted", "labelAdded", "labelRemoved"];
