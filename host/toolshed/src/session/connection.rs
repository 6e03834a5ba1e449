//! A connection with an open session.

use std::collections::BTreeMap;

use bg_identity::SpaceDid;

use crate::commit::Commit;
use crate::document::Root;
use crate::encode::encode;
use crate::error::Error;
use crate::socket::Socket;
use crate::value::Value;
use crate::wire::Flags;

/// What the requests of a session go through.
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) flags: Flags,
    pub(super) space: SpaceDid,
    pub(super) session: String,
}

/// Whether watches are put in place of others, or added to them.
#[derive(Clone, Copy)]
pub(super) enum Watching {
    Instead,
    Also,
}

impl Connection {
    pub(super) async fn query(&mut self, id: String, roots: &[Root]) -> Result<(), Error> {
        self.request("graph.query", id, ("query", query(roots))).await
    }

    pub(super) async fn watch<'a>(
        &mut self,
        id: String,
        watches: impl IntoIterator<Item = (&'a String, &'a Vec<Root>)>,
        watching: Watching,
    ) -> Result<(), Error> {
        let watches = watches.into_iter().map(|(name, roots)| {
            Value::object([("id", name.as_str().into()), ("kind", "graph".into()), ("query", query(roots))])
        });
        let kind = match watching {
            Watching::Instead => "session.watch.set",
            Watching::Also => "session.watch.add",
        };
        self.request(kind, id, ("watches", watches.collect::<Vec<_>>().into())).await
    }

    pub(super) async fn commit(&mut self, id: String, commit: &Commit, local_seq: u64) -> Result<(), Error> {
        self.request("transact", id, ("commit", commit.to_value(local_seq))).await
    }

    pub(super) async fn acknowledge(&mut self, id: String, seen: u64) -> Result<(), Error> {
        self.request("session.ack", id, ("seenSeq", seen.into())).await
    }

    async fn request(&mut self, kind: &str, id: String, body: (&str, Value)) -> Result<(), Error> {
        let message = Value::object([
            ("type", kind.into()),
            ("requestId", id.into()),
            ("space", self.space.as_str().into()),
            ("sessionId", self.session.as_str().into()),
            body,
        ]);
        self.socket.send(encode(&message)).await
    }
}

fn query(roots: &[Root]) -> Value {
    Value::object([("roots", Value::List(roots.iter().map(Root::to_value).collect()))])
}

/// The watches of a session, by name.
pub(super) type Watches = BTreeMap<String, Vec<Root>>;
