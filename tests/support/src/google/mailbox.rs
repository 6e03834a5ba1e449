//! The mailbox: messages, and what happened to them.

use super::clock;
use super::history::{Change, ChangeKind};

/// One message; each is a thread of its own.
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) from: String,
    pub(crate) labels: Vec<String>,
    /// When it came, Unix milliseconds.
    pub(crate) date: u64,
    /// The history ID of its last change.
    pub(crate) history_id: u64,
}

pub(crate) struct Mailbox {
    /// Oldest first.
    pub(crate) messages: Vec<Message>,
    /// Oldest first.
    pub(crate) changes: Vec<Change>,
    /// Earlier history IDs are too old to ask for.
    pub(crate) oldest_known: u64,
    history_id: u64,
    delivered: u64,
}

/// Where a mailbox's history starts.
const FIRST_HISTORY_ID: u64 = 1_000;

/// History IDs rise, but have gaps.
const HISTORY_STEP: u64 = 7;

impl Mailbox {
    pub(crate) fn new() -> Self {
        Self {
            messages: Vec::new(),
            changes: Vec::new(),
            oldest_known: FIRST_HISTORY_ID,
            history_id: FIRST_HISTORY_ID,
            delivered: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn history_id(&self) -> u64 {
        self.history_id
    }

    pub(crate) fn deliver(&mut self, subject: &str, from: &str) -> String {
        self.delivered += 1;
        // Sixteen hexadecimal digits, as Gmail's are, in the order of arrival.
        let id = format!("{:016x}", 0x0198_0000_0000_0000_u64 + self.delivered * 0x1_0001);
        let labels: Vec<String> = ["UNREAD", "CATEGORY_PERSONAL", "INBOX"].map(str::to_owned).into();
        let history_id = self.note(ChangeKind::Added, &id, labels.clone());
        self.messages.push(Message {
            id: id.clone(),
            subject: subject.to_owned(),
            from: from.to_owned(),
            labels,
            date: clock::now_ms(),
            history_id,
        });
        id
    }

    pub(crate) fn delete(&mut self, id: &str) -> bool {
        let Some(index) = self.messages.iter().position(|message| message.id == id) else { return false };
        let message = self.messages.remove(index);
        self.note(ChangeKind::Deleted, id, message.labels);
        true
    }

    pub(crate) fn label(&mut self, id: &str, label: &str, on: bool) -> bool {
        let Some(message) = self.messages.iter_mut().find(|message| message.id == id) else { return false };
        if message.labels.iter().any(|one| one == label) == on {
            return true;
        }
        let kind = if on {
            message.labels.push(label.to_owned());
            ChangeKind::LabelAdded(label.to_owned())
        } else {
            message.labels.retain(|one| one != label);
            ChangeKind::LabelRemoved(label.to_owned())
        };
        let labels = message.labels.clone();
        let history_id = self.note(kind, id, labels);
        if let Some(message) = self.messages.iter_mut().find(|message| message.id == id) {
            message.history_id = history_id;
        }
        true
    }

    /// Notes a change and answers its history ID.
    fn note(&mut self, kind: ChangeKind, message: &str, labels: Vec<String>) -> u64 {
        self.history_id += HISTORY_STEP;
        self.changes.push(Change { id: self.history_id, kind, message: message.to_owned(), labels });
        self.history_id
    }

    pub(crate) fn forget_history(&mut self) {
        self.changes.clear();
        // One more step, so that whoever is up to date has to start anew as well.
        self.history_id += HISTORY_STEP;
        self.oldest_known = self.history_id;
    }
}
