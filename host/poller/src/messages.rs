//! What others ask of the loop while it runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::{CharmRef, Integration};

/// Where requests arrive.
pub(crate) struct Changes {
    pub(crate) replacements: mpsc::Receiver<Replacement>,
    pub(crate) requests: mpsc::Receiver<PollRequest>,
}

impl Changes {
    /// Nobody asks for anything.
    pub(crate) fn none() -> Self {
        Self { replacements: mpsc::channel(1).1, requests: mpsc::channel(1).1 }
    }
}

/// A request to poll a charm at once, rather than when it is due.
#[derive(Debug)]
pub struct PollRequest {
    /// Which charm.
    pub charm: CharmRef,
    /// Receives `true` if the charm will be polled; `false` if it is unregistered or disabled.
    pub answer: oneshot::Sender<bool>,
}

/// A new component of an integration that is polled already.
pub struct Replacement {
    /// What is called from now on. Calls that are under way end as they began.
    pub integration: Arc<dyn Integration>,
    /// How often it is polled, if it asks for that; else as often as all.
    pub interval: Option<Duration>,
}
