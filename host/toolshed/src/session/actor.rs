//! The task that has the connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use bg_identity::SpaceDid;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::{Connection, Watches, Watching};
use super::{Answer, Ask, Committed, Config, Pending, Shared, State};
use crate::backoff::Backoff;
use crate::document::Document;
use crate::error::Error;
use crate::handshake::{self, Names};
use crate::socket::Socket;
use crate::view::View;
use crate::wire::{self, Applied, Found, Message, Opened, Watched};

pub(super) struct Actor {
    config: Config,
    space: SpaceDid,
    shared: Arc<Shared>,
    asks: mpsc::Receiver<Pending>,
    names: Names,
    /// Who the server is, once it is known.
    audience: Option<String>,
    watches: Watches,
    /// Requests without an answer, by their numbers. A commit has one of its own, which never changes.
    pending: BTreeMap<u64, (Pending, Option<u64>)>,
    requests: u64,
    commits: u64,
    /// Whether an acknowledgement waits for its answer.
    acknowledging: bool,
    acknowledged: u64,
}

/// Requests that no caller waits for.
const OPEN: &str = "open";
const WATCHES: &str = "watches";
const ACK: &str = "ack";

impl Actor {
    pub(super) fn new(
        config: Config,
        space: SpaceDid,
        shared: Arc<Shared>,
        asks: mpsc::Receiver<Pending>,
    ) -> Result<Self, Error> {
        let audience = config.audience.as_ref().map(ToString::to_string);
        Ok(Self {
            config,
            space,
            shared,
            asks,
            names: fresh()?,
            audience,
            watches: Watches::new(),
            pending: BTreeMap::new(),
            requests: 0,
            commits: 0,
            acknowledging: false,
            acknowledged: 0,
        })
    }

    /// Connects, opens the session, and continues its watches.
    pub(super) async fn connect(&mut self) -> Result<Connection, Error> {
        let limit = self.config.limits.connect;
        timeout(limit, self.connect_unlimited()).await.unwrap_or_else(|_| {
            let problem = format!("no session within {} s", limit.as_secs_f32());
            Err(Error::Unreachable { server: self.config.endpoint.to_string(), problem })
        })
    }

    async fn connect_unlimited(&mut self) -> Result<Connection, Error> {
        let Config { endpoint, tls, limits, identity, .. } = &self.config;
        let mut socket = Socket::connect(endpoint, tls.as_ref(), self.space.as_str(), limits).await?;
        let (flags, challenged) = handshake::hello(&mut socket).await?;
        // A server could pass on the challenge of another, and use the signature there.
        match &self.audience {
            Some(expected) if *expected != challenged.audience => {
                return Err(Error::AnotherServer {
                    expected: expected.clone(),
                    found: crate::error::shown(&challenged.audience),
                });
            }
            Some(_) => {}
            None => self.audience = Some(challenged.audience.clone()),
        }
        socket.send(handshake::open(identity, &self.space, &self.names, &challenged)?).await?;
        let (space, session) = (self.space.clone(), self.names.id.clone());
        let mut connection = Connection { socket, flags, space, session };
        let text = self.answer(&mut connection, OPEN).await?;
        self.opened(wire::message(&text)?, &mut connection).await?;
        self.acknowledging = false;
        Ok(connection)
    }

    async fn opened(&mut self, message: Message<'_>, connection: &mut Connection) -> Result<(), Error> {
        let opened: Opened = match (message.ok, message.error) {
            (Some(ok), _) => wire::read(ok.get(), "an opened session")?,
            (None, Some(refusal)) => {
                let error = Error::from(refusal);
                if matches!(error, Error::Revoked(_)) && self.names.token.is_some() {
                    // The answer with the newest token was lost. Another session can take over all but the commits, whose
                    // numbers belong to the old one.
                    self.forget_commits(&error);
                    self.names = fresh()?;
                    return Err(connection.socket.lost(&error));
                }
                return Err(error);
            }
            (None, None) => {
                return Err(Error::malformed("the answer to an open session", "it is neither ok nor error"));
            }
        };
        if opened.session_id != self.names.id {
            return Err(Error::malformed("an opened session", "it is another one"));
        }
        self.names.token = Some(opened.session_token);
        // A server that resumes a session takes what it wrote to the lost connection for read. So all is read again.
        if !self.watches.is_empty() {
            connection.watch(WATCHES.to_owned(), &self.watches, Watching::Instead).await?;
            let text = self.answer(connection, WATCHES).await?;
            let message = wire::message(&text)?;
            let watched: Watched<'_> = read_ok(message)?;
            self.update(watched.sync.to_seq, |view, limits| view.replace(&watched.sync, limits))?;
        }
        Ok(())
    }

    /// The answer to one of the session's own requests. What comes before it is taken as usual.
    async fn answer(&mut self, connection: &mut Connection, id: &str) -> Result<String, Error> {
        loop {
            let text = handshake::next(&mut connection.socket).await?;
            let message = wire::message(&text)?;
            if message.request_id.as_deref() == Some(id) {
                return Ok(text);
            }
            self.take(message)?;
        }
    }

    /// Keeps the session until it can have no connection any more.
    pub(super) async fn run(mut self, mut connection: Connection) {
        let mut backoff = Backoff::new();
        loop {
            backoff.connected();
            let mut error = self.serve(connection).await;
            connection = loop {
                tracing::debug!(space = self.space.as_str(), %error, "the session lost its connection");
                if !error.is_transient() {
                    return self.end(&error);
                }
                self.shared.state.send_replace(State::Reconnecting(error));
                sleep(backoff.wait()).await;
                error = match self.connect().await {
                    Ok(connection) => break connection,
                    Err(error) => error,
                };
            };
            self.shared.state.send_replace(State::Live);
        }
    }

    /// Works with a connection until it is lost.
    async fn serve(&mut self, mut connection: Connection) -> Error {
        if let Err(error) = self.send_again(&mut connection).await {
            return error;
        }
        let silence = self.config.limits.silence;
        let mut heard = Instant::now();
        let mut asked = false;
        loop {
            let done = tokio::select! {
                received = connection.socket.receive() => {
                    (heard, asked) = (Instant::now(), false);
                    match received {
                        Ok(Some(text)) => wire::message(&text).and_then(|message| self.take(message)),
                        Ok(None) => Ok(()),
                        Err(error) => Err(error),
                    }
                }
                Some(pending) = self.asks.recv() => self.start(pending, &mut connection).await,
                () = sleep_until(heard + silence) => {
                    heard = Instant::now();
                    if std::mem::replace(&mut asked, true) {
                        Err(connection.socket.lost(&"it gives no sign of life"))
                    } else {
                        connection.socket.ping().await
                    }
                }
            };
            let done = match done {
                Ok(()) => self.acknowledge(&mut connection).await,
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                return error;
            }
        }
    }

    async fn acknowledge(&mut self, connection: &mut Connection) -> Result<(), Error> {
        if self.acknowledging || self.names.seen <= self.acknowledged {
            return Ok(());
        }
        (self.acknowledging, self.acknowledged) = (true, self.names.seen);
        connection.acknowledge(ACK.to_owned(), self.names.seen).await
    }

    /// Sends a new request.
    async fn start(&mut self, pending: Pending, connection: &mut Connection) -> Result<(), Error> {
        // Callers that gave up free their places.
        self.pending.retain(|_, (pending, _)| !pending.answer.is_closed());
        if self.pending.len() >= self.config.limits.requests {
            let _ = pending.answer.send(Err(Error::Busy(self.config.limits.requests)));
            return Ok(());
        }
        let local_seq = match &pending.ask {
            Ask::Commit(commit) if commit.has_preconditions() && !connection.flags.commit_preconditions => {
                let _ = pending.answer.send(Err(Error::version("\"memory\" without preconditions of commits")));
                return Ok(());
            }
            Ask::Commit(_) => {
                self.commits += 1;
                Some(self.commits)
            }
            _ => None,
        };
        self.requests += 1;
        self.pending.insert(self.requests, (pending, local_seq));
        self.send(self.requests, connection).await
    }

    /// Sends what has no answer from the connection before.
    async fn send_again(&mut self, connection: &mut Connection) -> Result<(), Error> {
        self.pending.retain(|_, (pending, _)| !pending.answer.is_closed());
        let numbers: Vec<_> = self.pending.keys().copied().collect();
        for number in numbers {
            self.send(number, connection).await?;
        }
        Ok(())
    }

    async fn send(&mut self, number: u64, connection: &mut Connection) -> Result<(), Error> {
        let Some((pending, local_seq)) = self.pending.get(&number) else { return Ok(()) };
        let id = number.to_string();
        let sent = match &pending.ask {
            Ask::Query(roots) => connection.query(id, roots).await,
            Ask::Watch(name, roots) => connection.watch(id, [(name, roots)], Watching::Also).await,
            Ask::Unwatch(name) => {
                let others = self.watches.iter().filter(|(other, _)| *other != name);
                connection.watch(id, others, Watching::Instead).await
            }
            Ask::Commit(commit) => connection.commit(id, commit, local_seq.unwrap_or_default()).await,
        };
        match sent {
            // It was not sent at all, and the connection is as good as before.
            Err(error @ Error::TooLarge(_)) => {
                self.reply(number, Err(error));
                Ok(())
            }
            sent => sent,
        }
    }

    /// Takes a message of the server.
    fn take(&mut self, message: Message<'_>) -> Result<(), Error> {
        match message.kind.as_str() {
            "session/effect" => match &message.effect {
                Some(sync) => self.apply(sync),
                None => Err(Error::malformed("an effect", "it has none")),
            },
            "session/revoked" => Err(match message.reason.as_deref() {
                Some("unauthorized") => Error::Denied("it was withdrawn".to_owned()),
                reason => Error::Revoked(crate::error::shown(reason.unwrap_or("it gives no reason"))),
            }),
            "response" => self.respond(message),
            // What a newer server tells besides is nothing that this client asked for.
            _ => Ok(()),
        }
    }

    fn respond(&mut self, message: Message<'_>) -> Result<(), Error> {
        let number = match message.request_id.as_deref() {
            Some(ACK) => {
                self.acknowledging = false;
                return Ok(());
            }
            // The server could not read a request, and does not say which.
            Some("invalid") => {
                return Err(message.error.map_or(Error::malformed("a refusal", "it is empty"), Into::into));
            }
            Some(id) => id.parse::<u64>().ok(),
            None => None,
        };
        // An answer that nobody waits for any more is no fault.
        let Some(number) = number.filter(|number| self.pending.contains_key(number)) else { return Ok(()) };
        let Some(ok) = message.ok else {
            let refusal = message.error.ok_or_else(|| Error::malformed("an answer", "it is neither ok nor error"))?;
            return match Error::from(refusal) {
                // The server forgot the session; a new connection makes it known again, and the request is sent again.
                error @ Error::Revoked(_) => {
                    let server = self.config.endpoint.to_string();
                    Err(Error::Unreachable { server, problem: error.to_string() })
                }
                error => {
                    self.reply(number, Err(error));
                    Ok(())
                }
            };
        };
        let Some((pending, _)) = self.pending.get(&number) else { return Ok(()) };
        let answer = match &pending.ask {
            Ask::Query(_) => {
                let found: Found<'_> = wire::read(ok.get(), "the answer to a query")?;
                Answer::Documents(found.entities.iter().filter_map(Document::of).collect())
            }
            Ask::Watch(name, roots) => {
                let watched: Watched<'_> = wire::read(ok.get(), "the answer to a watch")?;
                self.watches.insert(name.clone(), roots.clone());
                self.apply(&watched.sync)?;
                Answer::Done
            }
            Ask::Unwatch(name) => {
                let watched: Watched<'_> = wire::read(ok.get(), "the answer to a watch")?;
                self.watches.remove(name);
                self.apply(&watched.sync)?;
                Answer::Done
            }
            Ask::Commit(commit) => {
                let applied: Applied = wire::read(ok.get(), "the answer to a commit")?;
                let mut view = self.shared.view();
                for (id, document) in commit.outcomes() {
                    view.wrote(id, document.as_ref(), applied.seq);
                }
                announce(&self.shared, &view);
                Answer::Committed(Committed { seq: applied.seq, was_repeated: applied.replayed })
            }
        };
        self.reply(number, Ok(answer));
        Ok(())
    }

    fn reply(&mut self, number: u64, answer: Result<Answer, Error>) {
        if let Some((pending, _)) = self.pending.remove(&number) {
            // A caller that gave up does not want it.
            let _ = pending.answer.send(answer);
        }
    }

    fn apply(&mut self, sync: &wire::Sync<'_>) -> Result<(), Error> {
        self.update(sync.to_seq, |view, limits| view.apply(sync, limits))
    }

    fn update(
        &mut self,
        seen: u64,
        change: impl FnOnce(&mut View, &crate::Limits) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut view = self.shared.view();
        let changed = change(&mut view, &self.config.limits);
        announce(&self.shared, &view);
        drop(view);
        self.names.seen = self.names.seen.max(seen);
        changed
    }

    /// Commits under the numbers of a session that is over: nobody knows whether they were made.
    fn forget_commits(&mut self, error: &Error) {
        let commits: Vec<_> =
            self.pending.iter().filter(|(_, (_, local_seq))| local_seq.is_some()).map(|(number, _)| *number).collect();
        for number in commits {
            self.reply(number, Err(Error::Unknown(error.to_string())));
        }
        (self.commits, self.acknowledged) = (0, 0);
    }

    fn end(mut self, error: &Error) {
        self.shared.state.send_replace(State::Ended(error.clone()));
        self.forget_commits(error);
        for (pending, _) in std::mem::take(&mut self.pending).into_values() {
            let _ = pending.answer.send(Err(error.clone()));
        }
    }
}

fn announce(shared: &Shared, view: &View) {
    let version = view.version();
    shared.version.send_if_modified(|known| std::mem::replace(known, version) != version);
}

fn read_ok<'a, T: serde::Deserialize<'a>>(message: Message<'a>) -> Result<T, Error> {
    match (message.ok, message.error) {
        (Some(ok), _) => wire::read(ok.get(), "the answer to a watch"),
        (None, Some(refusal)) => Err(refusal.into()),
        (None, None) => Err(Error::malformed("the answer to a watch", "it is neither ok nor error")),
    }
}

/// A session that no server knows yet, with a random UUID for its name.
fn fresh() -> Result<Names, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::Randomness(error.to_string()))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let n = u128::from_be_bytes(bytes);
    let id = format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        n >> 96,
        n >> 80 & 0xffff,
        n >> 64 & 0xffff,
        n >> 48 & 0xffff,
        n & 0xffff_ffff_ffff
    );
    Ok(Names { id, token: None, seen: 0 })
}
