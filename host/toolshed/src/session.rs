//! A session: one space, over one connection that is made again whenever it is lost.

mod actor;
mod connection;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bg_identity::{Did, Identity, SpaceDid};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::commit::Commit;
use crate::document::{Document, Root};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::id::EntityId;
use crate::limits::Limits;
use crate::view::View;
use actor::Actor;

/// How to reach a server, and as whom.
#[derive(Clone)]
pub struct Config {
    /// Where the server is.
    pub endpoint: Endpoint,
    /// Whose access is used. It signs the opening of each session, and nothing else.
    pub identity: Arc<Identity>,
    /// Who the server must be. Without it, who it is at the first connection of a session.
    pub audience: Option<Did>,
    /// How servers prove their names; without it, by the public authorities.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// What the server may cost.
    pub limits: Limits,
}

/// A session in one space.
///
/// It has a connection of its own, so that what one space contains, or how slowly the server reads it, does not concern
/// another. If the connection is lost, it is made again, with growing waits: watches are continued, requests sent again,
/// and commits made once, since the server knows them by their number. Dropping the session ends it.
pub struct Session {
    asks: mpsc::Sender<Pending>,
    shared: Arc<Shared>,
    limits: Limits,
    task: AbortHandle,
}

/// Whether a session has its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has.
    Live,
    /// It lost it, or did not get it again yet, for this reason.
    Reconnecting(Error),
    /// It will not have one any more. Open another session when the reason is gone.
    Ended(Error),
}

/// What changed among the watched documents.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Give this to the next call.
    pub version: u64,
    /// Every document that changed, once, as it is now.
    pub documents: Vec<Document>,
}

/// A commit that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its number, which the documents have that it wrote.
    pub seq: u64,
    /// Whether the server had made it when it was sent before.
    pub was_repeated: bool,
}

/// What the task of the connection and the callers have in common.
struct Shared {
    view: Mutex<View>,
    version: watch::Sender<u64>,
    state: watch::Sender<State>,
}

impl Shared {
    fn view(&self) -> MutexGuard<'_, View> {
        // Each change of it is complete or a document behind; a panic in another thread makes it no worse.
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request and where its answer goes.
struct Pending {
    ask: Ask,
    answer: oneshot::Sender<Result<Answer, Error>>,
}

enum Ask {
    Query(Vec<Root>),
    Watch(String, Vec<Root>),
    Unwatch(String),
    Commit(Commit),
}

enum Answer {
    Documents(Vec<Document>),
    Committed(Committed),
    Done,
}

impl Session {
    /// Opens a session. The first connection must succeed; later ones are made again by themselves.
    pub async fn open(config: &Config, space: SpaceDid) -> Result<Self, Error> {
        let limits = config.limits;
        let (asks, receiver) = mpsc::channel(limits.requests.max(1));
        let shared = Arc::new(Shared {
            view: Mutex::default(),
            version: watch::Sender::new(0),
            state: watch::Sender::new(State::Live),
        });
        let mut actor = Actor::new(config.clone(), space, Arc::clone(&shared), receiver)?;
        let connection = actor.connect().await?;
        let task = tokio::spawn(actor.run(connection)).abort_handle();
        Ok(Self { asks, shared, limits, task })
    }

    /// Reads documents.
    pub async fn query(&self, roots: impl IntoIterator<Item = Root>) -> Result<Vec<Document>, Error> {
        match self.ask(Ask::Query(roots.into_iter().collect())).await? {
            Answer::Documents(documents) => Ok(documents),
            Answer::Committed(_) | Answer::Done => Ok(Vec::new()),
        }
    }

    /// Watches documents from now on, under a name. They are there when this returns; see [`Session::changes`].
    pub async fn watch(&self, name: &str, roots: impl IntoIterator<Item = Root>) -> Result<(), Error> {
        self.ask(Ask::Watch(name.to_owned(), roots.into_iter().collect())).await.map(drop)
    }

    /// Ends a watch. Documents that no other watch brings become [`Unwatched`](crate::Content::Unwatched).
    pub async fn unwatch(&self, name: &str) -> Result<(), Error> {
        self.ask(Ask::Unwatch(name.to_owned())).await.map(drop)
    }

    /// Writes.
    ///
    /// A commit that gets no answer ends as [`Error::Unknown`]: it may have been made. If only the connection is lost, it
    /// is sent again under its number, and made once.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, Error> {
        let has_events = commit.has_events();
        match self.ask(Ask::Commit(commit)).await {
            Ok(Answer::Committed(committed)) => Ok(committed),
            Ok(Answer::Documents(_) | Answer::Done) => Err(Error::Unknown("the answer is another one's".to_owned())),
            // The only sign of it: the server has no flag that says whether it takes events.
            Err(Error::Refused { name, message })
                if has_events && name == "ProtocolError" && message.contains("EXPERIMENTAL_SERVER_EXECUTION") =>
            {
                Err(Error::NoEvents(message))
            }
            Err(error) => Err(error),
        }
    }

    /// A watched document, as far as is known.
    pub fn document(&self, id: &EntityId) -> Option<Document> {
        self.shared.view().get(id)
    }

    /// What changed among the watched documents after a version; after version 0, all of them.
    pub fn changes(&self, since: u64) -> Changes {
        let view = self.shared.view();
        Changes { version: view.version(), documents: view.since(since) }
    }

    /// Waits for a change after a version, or for the end of the session.
    pub async fn changed(&self, since: u64) -> Result<(), Error> {
        let mut version = self.shared.version.subscribe();
        let mut state = self.shared.state.subscribe();
        tokio::select! {
            biased;
            _ = version.wait_for(|version| *version > since) => Ok(()),
            ended = state.wait_for(|state| matches!(state, State::Ended(_))) => match ended.as_deref() {
                Ok(State::Ended(error)) => Err(error.clone()),
                _ => Ok(()),
            },
        }
    }

    /// Whether the session has its connection.
    pub fn state(&self) -> State {
        self.shared.state.borrow().clone()
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, Error> {
        let is_commit = matches!(ask, Ask::Commit(_));
        self.live().await?;
        let (answer, answered) = oneshot::channel();
        match self.asks.try_send(Pending { ask, answer }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(Error::Busy(self.limits.requests)),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(self.ended()),
        }
        match timeout(self.limits.answer, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(self.ended()),
            Err(_) if is_commit => Err(Error::Unknown(Error::Timeout(self.limits.answer).to_string())),
            Err(_) => Err(Error::Timeout(self.limits.answer)),
        }
    }

    /// Waits a moment for a connection that was lost.
    async fn live(&self) -> Result<(), Error> {
        let mut state = self.shared.state.subscribe();
        let waited = timeout(self.limits.reconnect, state.wait_for(|state| !matches!(state, State::Reconnecting(_))));
        match waited.await.as_ref().map(Result::as_deref) {
            Ok(Ok(State::Live)) => Ok(()),
            Ok(_) => Err(self.ended()),
            Err(_) => match self.state() {
                State::Live => Ok(()),
                State::Reconnecting(error) | State::Ended(error) => Err(error),
            },
        }
    }

    fn ended(&self) -> Error {
        match self.state() {
            State::Ended(error) | State::Reconnecting(error) => error,
            State::Live => Error::Revoked("it is over".to_owned()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("state", &self.state()).finish_non_exhaustive()
    }
}
