//! Changes of a mailbox.

/// One change.
pub(crate) struct Change {
    /// Its history ID.
    pub(crate) id: u64,
    pub(crate) kind: ChangeKind,
    /// The message's ID.
    pub(crate) message: String,
    /// The message's labels right after (or, of a deletion, before) the change.
    pub(crate) labels: Vec<String>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Added,
    Deleted,
    LabelAdded(String),
    LabelRemoved(String),
    /// A change that no typed list contains: the record has only `messages`.
    Other,
}
