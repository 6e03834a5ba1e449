//! The mailbox: messages, and their changes.

use super::change::{Change, ChangeKind};
use super::{USER, clock};

/// One message; each is its own thread.
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) from: String,
    pub(crate) labels: Vec<String>,
    /// When it arrived, in Unix milliseconds.
    pub(crate) date: u64,
    /// The history ID of its last change.
    pub(crate) history_id: u64,
    /// What is wrong with it, if anything.
    pub(crate) broken: Option<Broken>,
}

/// What can be wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Its `internalDate` is not a valid date.
    Date,
    /// Within a batch, its part is not JSON.
    Garbled,
    /// It is answered with this status.
    Status(u16),
}

pub(crate) struct Mailbox {
    /// The address of the user.
    pub(crate) owner: String,
    /// Oldest first.
    pub(crate) messages: Vec<Message>,
    /// Oldest first.
    pub(crate) changes: Vec<Change>,
    /// Earlier history IDs are too old to ask for.
    pub(crate) oldest_known: u64,
    /// How many empty pages each list of changes begins with.
    pub(crate) empty_pages: usize,
    /// How many changes a record of the history holds.
    pub(crate) changes_a_record: usize,
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
            owner: USER.to_owned(),
            messages: Vec::new(),
            changes: Vec::new(),
            oldest_known: FIRST_HISTORY_ID,
            empty_pages: 0,
            changes_a_record: 1,
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
            broken: None,
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

    /// Records a change of a message that its history record does not name; false if there is no such message.
    pub(crate) fn touch(&mut self, id: &str) -> bool {
        let Some(message) = self.messages.iter().find(|message| message.id == id) else { return false };
        let labels = message.labels.clone();
        self.note(ChangeKind::Other, id, labels);
        true
    }

    pub(crate) fn break_message(&mut self, id: &str, broken: Option<Broken>) -> bool {
        let Some(message) = self.messages.iter_mut().find(|message| message.id == id) else { return false };
        message.broken = broken;
        true
    }

    pub(crate) fn is_garbled(&self, id: &str) -> bool {
        let id = id.split('?').next().unwrap_or_default();
        self.messages.iter().any(|message| message.id == id && message.broken == Some(Broken::Garbled))
    }

    /// Records a change and returns its history ID.
    fn note(&mut self, kind: ChangeKind, message: &str, labels: Vec<String>) -> u64 {
        self.history_id += HISTORY_STEP;
        self.changes.push(Change { id: self.history_id, kind, message: message.to_owned(), labels });
        self.history_id
    }

    pub(crate) fn forget_history(&mut self) {
        self.changes.clear();
        // One more step, so that clients that are up to date have to start over, too.
        self.history_id += HISTORY_STEP;
        self.oldest_known = self.history_id;
    }
}
