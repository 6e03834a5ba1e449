//! A server written from the tables of the protocol: as much of it as this client uses, without a line of the original's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bg_identity::{Did, Identity};
use bg_toolshed::{Hash, Link, Value, decode, encode};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// What the server is like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nature {
    /// Whether access lists count.
    pub(crate) access: bool,
    /// Whether events may be appended.
    pub(crate) events: bool,
}

/// How the server answers a message otherwise than it should.
pub(crate) enum Odd {
    /// Sends this text instead.
    Send(String),
    /// Says nothing.
    Silence,
    /// Ends the connection.
    Hangup,
    /// Does what it should, and ends the connection in place of the answer.
    DoAndHangup,
}

type Oddity = Box<dyn FnMut(&Value) -> Option<Odd> + Send>;

#[derive(Default)]
struct World {
    nature: Nature,
    spaces: BTreeMap<String, Space>,
    sessions: BTreeMap<(String, String), Session>,
    /// Every message that came, as it came.
    seen: Vec<String>,
    oddity: Option<Oddity>,
    tokens: u64,
}

#[derive(Default)]
struct Space {
    seq: u64,
    documents: BTreeMap<String, (u64, Option<Value>)>,
    /// What was written where, since when: a document, a place in it, a number.
    writes: Vec<(String, String, u64)>,
    /// Answers to commits, by session and number.
    commits: BTreeMap<(String, u64), (Value, u64)>,
}

struct Session {
    token: String,
    principal: String,
    watches: BTreeMap<String, Vec<(String, bool)>>,
    sent: BTreeMap<String, u64>,
    out: Option<mpsc::UnboundedSender<Option<String>>>,
}

pub(crate) struct FakeServer {
    pub(crate) address: SocketAddr,
    world: Arc<Mutex<World>>,
    task: tokio::task::AbortHandle,
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const AUDIENCE: &str = "the fake memory server";

impl FakeServer {
    pub(crate) async fn start(nature: Nature) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let world = Arc::new(Mutex::new(World { nature, ..World::default() }));
        let shared = Arc::clone(&world);
        let task = tokio::spawn(async move {
            // Connections end with the server, as with a process.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(connection(stream, Arc::clone(&shared)));
            }
        });
        Self { address, world, task: task.abort_handle() }
    }

    /// Answers some messages otherwise than it should.
    pub(crate) fn be_odd(&self, oddity: impl FnMut(&Value) -> Option<Odd> + Send + 'static) {
        lock(&self.world).oddity = Some(Box::new(oddity));
    }

    /// Sends a text to every session.
    pub(crate) fn tell(&self, text: &str) {
        for session in lock(&self.world).sessions.values() {
            let _ = session.out.as_ref().map(|out| out.send(Some(text.to_owned())));
        }
    }

    /// Every message of the given type that came.
    pub(crate) fn seen(&self, kind: &str) -> Vec<Value> {
        let seen: Vec<_> = lock(&self.world).seen.iter().map(|text| decode(text).unwrap()).collect();
        seen.into_iter().filter(|message| text(message, "type") == kind).collect()
    }

    /// Every message that came, as it came.
    pub(crate) fn seen_texts(&self) -> Vec<String> {
        lock(&self.world).seen.clone()
    }

    /// Forgets its sessions, as after half a minute without them.
    pub(crate) fn forget_sessions(&self) {
        lock(&self.world).sessions.clear();
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

async fn connection(stream: TcpStream, world: Arc<Mutex<World>>) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let (out, mut outgoing) = mpsc::unbounded_channel::<Option<String>>();
    let mut challenge = String::new();
    loop {
        let message = tokio::select! {
            text = outgoing.recv() => {
                match text.flatten() {
                    Some(text) => if socket.send(Message::text(text)).await.is_err() { return },
                    None => return,
                }
                continue;
            }
            message = socket.next() => message,
        };
        let Some(Ok(Message::Text(message))) = message else {
            if matches!(message, Some(Ok(_))) {
                continue;
            }
            return;
        };
        let mut world = lock(&world);
        world.seen.push(message.to_string());
        let message = decode(&message).unwrap();
        match world.oddity.as_mut().and_then(|oddity| oddity(&message)) {
            Some(Odd::Send(text)) => {
                let _ = out.send(Some(text));
            }
            Some(Odd::Silence) => {}
            Some(Odd::Hangup) => return,
            Some(Odd::DoAndHangup) => {
                let (unread, _) = mpsc::unbounded_channel();
                world.answer(&message, &unread, &mut challenge);
                return;
            }
            None => world.answer(&message, &out, &mut challenge),
        }
    }
}

fn error(name: &str, message: impl Into<String>) -> Value {
    Value::object([("name", name.into()), ("message", Value::Text(message.into()))])
}

impl World {
    fn challenged(&mut self, challenge: &mut String) -> Value {
        self.tokens += 1;
        *challenge = format!("challenge-{}", self.tokens);
        let audience = Identity::from_passphrase(AUDIENCE).did();
        let value = Value::object([("value", challenge.as_str().into()), ("expiresAt", 4_000_000_000.0.into())]);
        Value::object([("audience", audience.as_str().into()), ("challenge", value)])
    }

    fn answer(&mut self, message: &Value, out: &mpsc::UnboundedSender<Option<String>>, challenge: &mut String) {
        let send = |message: Value| {
            let _ = out.send(Some(encode(&message)));
        };
        if text(message, "type") == "hello" {
            let flags = Value::object([("commitPreconditions", true.into()), ("modernCellRep", false.into())]);
            return send(Value::object([
                ("type", "hello.ok".into()),
                ("protocol", "memory".into()),
                ("flags", flags),
                ("sessionOpen", self.challenged(challenge)),
            ]));
        }
        let result = match text(message, "type") {
            "session.open" => self.open(message, out, challenge),
            _ => self.request(message),
        };
        let (outcome, value) = match result {
            Ok(value) => ("ok", value),
            Err(value) => ("error", value),
        };
        let id = message.get("requestId").unwrap().clone();
        send(Value::object([("type", "response".into()), ("requestId", id), (outcome, value)]));
        if text(message, "type") == "transact" && outcome == "ok" {
            self.revoke(text(message, "space"));
            self.push(message);
        }
    }

    fn open(
        &mut self,
        message: &Value,
        out: &mpsc::UnboundedSender<Option<String>>,
        challenge: &mut String,
    ) -> Result<Value, Value> {
        let denied = |what: &str| error("AuthorizationError", format!("memory session.open {what}"));
        let (space, session) = (text(message, "space"), message.get("session").unwrap());
        let invocation = message.get("invocation").ok_or_else(|| denied("requires authorization"))?;
        let issuer: Did = text(invocation, "iss").parse().map_err(|_| denied("has no issuer"))?;
        let Some(Value::Bytes(signature)) = message.at(["authorization", "signature"]) else {
            return Err(denied("requires authorization"));
        };
        let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| denied("has no signature"))?;
        let is_signed = issuer.verifying_key().verify_strict(Hash::of(invocation).bytes(), &signature).is_ok();
        let is_fresh = text(invocation, "challenge") == challenge;
        if !is_fresh {
            let retriable = [("retriable".to_owned(), true.into())];
            let stale = denied("challenge mismatch").as_object().unwrap().clone().into_iter().chain(retriable);
            return Err(Value::object(stale));
        }
        let audience = Identity::from_passphrase(AUDIENCE).did();
        let is_ours = text(invocation, "aud") == audience.as_str() && text(invocation, "sub") == space;
        if !is_signed || !is_ours || invocation.at(["args", "session"]) != Some(session) {
            return Err(denied("authorization mismatch"));
        }
        self.require(space, issuer.as_str(), 1)?;
        let key = (space.to_owned(), text(session, "sessionId").to_owned());
        self.tokens += 1;
        let token = format!("token-{}", self.tokens);
        let resumed = match self.sessions.get_mut(&key) {
            Some(known) if known.token == text(session, "sessionToken") => {
                (known.token, known.out) = (token.clone(), Some(out.clone()));
                true
            }
            Some(_) => return Err(error("SessionRevokedError", "session resume token is no longer valid")),
            None => {
                let (watches, sent) = <_>::default();
                let principal = issuer.as_str().to_owned();
                self.sessions.insert(
                    key.clone(),
                    Session { token: token.clone(), principal, watches, sent, out: Some(out.clone()) },
                );
                false
            }
        };
        let mut ok = vec![
            ("sessionId", key.1.as_str().into()),
            ("sessionToken", token.into()),
            ("serverSeq", self.space(space).seq.into()),
            ("sessionOpen", self.challenged(challenge)),
        ];
        if resumed {
            ok.push(("resumed", true.into()));
            if let Some(sync) = self.sync(&key, &BTreeSet::new()) {
                ok.push(("sync", sync));
            }
        }
        Ok(Value::object(ok))
    }

    fn space(&mut self, space: &str) -> &mut Space {
        self.spaces.entry(space.to_owned()).or_default()
    }

    /// Refuses what a principal may not do; 1 is reading, 2 writing, 3 owning.
    fn require(&mut self, space: &str, principal: &str, wanted: u8) -> Result<(), Value> {
        if !self.nature.access {
            return Ok(());
        }
        let found = self.space(space);
        let list =
            found.documents.get(&format!("of:{space}")).and_then(|(_, document)| document.as_ref()?.get("value"));
        let has = match list {
            None if principal == space => 3,
            // Reading what is empty is harmless; only the space itself may write its first document, which is the list.
            None if found.seq == 0 => 1,
            None => 2,
            Some(list) => match list.get(principal).or_else(|| list.get("*")).and_then(Value::as_str) {
                Some("OWNER") => 3,
                Some("WRITE") => 2,
                Some("READ") => 1,
                _ => 0,
            },
        };
        let name = ["READ", "WRITE", "OWNER"][usize::from(wanted) - 1];
        let lacks = || error("AuthorizationError", format!("Principal {principal} lacks {name} on space {space}"));
        if has >= wanted { Ok(()) } else { Err(lacks()) }
    }

    fn request(&mut self, message: &Value) -> Result<Value, Value> {
        let key = (text(message, "space").to_owned(), text(message, "sessionId").to_owned());
        let session = self
            .sessions
            .get_mut(&key)
            .ok_or_else(|| error("SessionError", "Session is not open on this connection"))?;
        let principal = session.principal.clone();
        match text(message, "type") {
            "session.ack" => Ok(Value::object([("serverSeq", self.space(&key.0).seq.into())])),
            "graph.query" => {
                self.require(&key.0, &principal, 1)?;
                let space = self.space(&key.0);
                let entities: Vec<_> = space
                    .graph(&roots(message.get("query").unwrap()))
                    .into_iter()
                    .map(|id| space.snapshot(&id, "document"))
                    .collect();
                Ok(Value::object([("serverSeq", space.seq.into()), ("entities", entities.into())]))
            }
            kind @ ("session.watch.set" | "session.watch.add") => {
                self.require(&key.0, &principal, 1)?;
                let session = self.sessions.get_mut(&key).unwrap();
                if kind == "session.watch.set" {
                    session.watches.clear();
                    // All is sent again; what is gone is known by what was sent before.
                    session.sent.values_mut().for_each(|seq| *seq = u64::MAX);
                }
                for watch in message.get("watches").and_then(Value::as_list).unwrap() {
                    session.watches.insert(text(watch, "id").to_owned(), roots(watch.get("query").unwrap()));
                }
                let seq = self.space(&key.0).seq;
                let nothing = || sync(seq, Vec::new(), Vec::new());
                let sync = self.sync(&key, &BTreeSet::new()).unwrap_or_else(nothing);
                Ok(Value::object([("serverSeq", seq.into()), ("sync", sync)]))
            }
            "transact" => self.transact(&key, &principal, message.get("commit").unwrap()),
            other => Err(error("ProtocolError", format!("unknown message {other}"))),
        }
    }

    fn transact(&mut self, key: &(String, String), principal: &str, commit: &Value) -> Result<Value, Value> {
        let number = |value: Option<&Value>| value.and_then(Value::as_f64).unwrap_or_default() as u64;
        let list = |name| commit.get(name).and_then(Value::as_list).unwrap_or_default();
        let events = self.nature.events;
        let id = (key.1.clone(), number(commit.get("localSeq")));
        let touches_access =
            list("operations").iter().any(|operation| text(operation, "id") == format!("of:{}", key.0));
        self.require(&key.0, principal, if touches_access { 3 } else { 2 })?;
        let space = self.space(&key.0);
        if let Some((original, seq)) = space.commits.get(&id) {
            if original != commit {
                return Err(error("ProtocolError", "commit replay mismatch"));
            }
            return Ok(Value::object([("seq", (*seq).into()), ("replayed", true.into())]));
        }
        if !events && !list("eventAppends").is_empty() {
            return Err(error("ProtocolError", "event appends require EXPERIMENTAL_SERVER_EXECUTION"));
        }
        for read in commit.at(["reads", "confirmed"]).and_then(Value::as_list).unwrap_or_default() {
            let path = read.get("path").and_then(Value::as_list).unwrap();
            let path: String = path.iter().flat_map(|key| ["/", key.as_str().unwrap()]).collect();
            let overlaps = |place: &str| {
                let is_within = |inner: &str, outer: &str| format!("{inner}/").starts_with(&format!("{outer}/"));
                is_within(place, &path) || is_within(&path, place)
            };
            let is_newer = |(id, place, seq): &(String, String, u64)| {
                id == text(read, "id") && *seq > number(read.get("seq")) && overlaps(place)
            };
            if space.writes.iter().any(is_newer) {
                let stale = error("ConflictError", "stale confirmed read").as_object().unwrap().clone();
                let after = [("retryAfterSeq".to_owned(), space.seq.into())];
                return Err(Value::object(stale.into_iter().chain(after)));
            }
        }
        for precondition in list("preconditions") {
            let document = space.documents.get(text(precondition, "id"));
            match text(precondition, "kind") {
                "entity-absent" if document.is_some() => {
                    let exists = error("PreconditionFailedError", "target already exists").as_object().unwrap().clone();
                    let name = [("precondition".to_owned(), "receipt-exists".into())];
                    return Err(Value::object(exists.into_iter().chain(name)));
                }
                "entity-value-hash" => {
                    let value = document.and_then(|(_, document)| document.as_ref()?.get("value"));
                    let hash = value.map_or(Value::Null, |value| Hash::of(&encode(value).into()).bare().into());
                    if precondition.get("valueHash") != Some(&hash) {
                        return Err(error("ConflictError", "precondition target changed"));
                    }
                }
                _ => {}
            }
        }
        for event in list("eventAppends") {
            let entries = space.documents.get(text(event, "id")).and_then(|(_, document)| document.as_ref());
            let entries = entries.and_then(|document| document.at(["value", "entries"])?.as_list()).unwrap_or_default();
            if entries.iter().any(|entry| text(entry, "eventId") == text(event, "eventId")) {
                return Err(error("EventAppendDuplicateError", "the event exists"));
            }
        }
        space.seq += 1;
        let seq = space.seq;
        for operation in list("operations") {
            let id = text(operation, "id").to_owned();
            let patches = operation.get("patches").and_then(Value::as_list).unwrap_or_default();
            let places = patches.iter().map(|patch| text(patch, "path").to_owned());
            let whole = (text(operation, "op") != "patch").then(String::new);
            space.writes.extend(places.chain(whole).map(|place| (id.clone(), place, seq)));
            let document = match text(operation, "op") {
                "set" => operation.get("value").cloned(),
                "delete" => None,
                _ => {
                    let before = space.documents.remove(&id).and_then(|(_, document)| document);
                    let mut document = before.unwrap_or(Value::object::<&str>([]));
                    for patch in operation.get("patches").and_then(Value::as_list).unwrap() {
                        let path: Vec<_> = text(patch, "path").split('/').skip(1).collect();
                        apply(&mut document, &path, patch);
                    }
                    Some(document)
                }
            };
            space.documents.insert(id, (seq, document));
        }
        space.commits.insert(id, (commit.clone(), seq));
        Ok(Value::object([("seq", seq.into()), ("branch", "".into()), ("revisions", Value::List(Vec::new()))]))
    }

    /// Ends the sessions that may not read any more.
    fn revoke(&mut self, space: &str) {
        let sessions: Vec<_> = self.sessions.keys().filter(|(of, _)| of == space).cloned().collect();
        for key in sessions {
            let principal = self.sessions[&key].principal.clone();
            if self.require(space, &principal, 1).is_err() {
                let revoked = Value::object([
                    ("type", "session/revoked".into()),
                    ("space", space.into()),
                    ("sessionId", key.1.as_str().into()),
                    ("reason", "unauthorized".into()),
                ]);
                let session = self.sessions.remove(&key);
                let _ = session.and_then(|session| session.out).map(|out| out.send(Some(encode(&revoked))));
            }
        }
    }

    /// Sends what a commit changed to those who watch it.
    fn push(&mut self, message: &Value) {
        let space = text(message, "space");
        let keys: Vec<_> = self.sessions.keys().filter(|(of, _)| of == space).cloned().collect();
        let operations = message.at(["commit", "operations"]).and_then(Value::as_list).unwrap();
        let whole = operations.iter().filter(|operation| text(operation, "op") != "patch");
        let own: BTreeSet<_> = whole.map(|operation| text(operation, "id").to_owned()).collect();
        for key in keys {
            let none = BTreeSet::new();
            let Some(effect) = self.sync(&key, if key.1 == text(message, "sessionId") { &own } else { &none }) else {
                continue;
            };
            let effect = Value::object([
                ("type", "session/effect".into()),
                ("space", space.into()),
                ("sessionId", key.1.as_str().into()),
                ("effect", effect),
            ]);
            let out = self.sessions[&key].out.as_ref();
            let _ = out.map(|out| out.send(Some(encode(&effect))));
        }
    }

    /// What a session does not know yet of what it watches. It knows what it wrote whole itself.
    fn sync(&mut self, key: &(String, String), own: &BTreeSet<String>) -> Option<Value> {
        let space = self.spaces.entry(key.0.clone()).or_default();
        let session = self.sessions.get_mut(key)?;
        let roots: Vec<_> = session.watches.values().flatten().cloned().collect();
        let now = space.graph(&roots);
        let mut upserts = Vec::new();
        for id in &now {
            let seq = space.documents.get(id).map_or(0, |(seq, _)| *seq);
            if session.sent.insert(id.clone(), seq) != Some(seq) && !own.contains(id) {
                upserts.push(space.snapshot(id, "doc"));
            }
        }
        let gone: Vec<_> = session.sent.keys().filter(|id| !now.contains(*id)).cloned().collect();
        session.sent.retain(|id, _| now.contains(id));
        if upserts.is_empty() && gone.is_empty() {
            return None;
        }
        let removes = gone.iter().map(|id| Value::object([("branch", "".into()), ("id", id.as_str().into())]));
        Some(sync(space.seq, upserts, removes.collect()))
    }
}

fn sync(seq: u64, upserts: Vec<Value>, removes: Vec<Value>) -> Value {
    Value::object([
        ("type", "sync".into()),
        ("fromSeq", 0_u64.into()),
        ("toSeq", seq.into()),
        ("upserts", upserts.into()),
        ("removes", removes.into()),
    ])
}

fn roots(query: &Value) -> Vec<(String, bool)> {
    let roots = query.get("roots").and_then(Value::as_list).unwrap();
    let root = |root: &Value| (text(root, "id").to_owned(), root.at(["selector", "schema"]) != Some(&false.into()));
    roots.iter().map(root).collect()
}

impl Space {
    /// The documents that roots lead to.
    fn graph(&self, roots: &[(String, bool)]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut left = roots.to_vec();
        while let Some((id, links)) = left.pop() {
            if found.insert(id.clone()) && links {
                if let Some((_, Some(document))) = self.documents.get(&id) {
                    links_in(document, &mut left);
                }
            }
        }
        found
    }

    fn snapshot(&self, id: &str, name: &str) -> Value {
        let (seq, document) = self.documents.get(id).cloned().unwrap_or_default();
        let mut entries = vec![("branch", "".into()), ("id", id.into()), ("seq", seq.into())];
        match document {
            Some(document) => entries.push((name, document)),
            None if name == "doc" => entries.push(("deleted", true.into())),
            None => entries.push((name, Value::Null)),
        }
        Value::object(entries)
    }
}

fn links_in(value: &Value, found: &mut Vec<(String, bool)>) {
    if let Some(id) = Link::of(value).and_then(|link| link.id) {
        found.push((id.as_str().to_owned(), true));
    }
    value.as_object().into_iter().flat_map(BTreeMap::values).for_each(|value| links_in(value, found));
    value.as_list().unwrap_or_default().iter().for_each(|value| links_in(value, found));
}

fn apply(document: &mut Value, path: &[&str], patch: &Value) {
    let path: Vec<_> = path.iter().map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
    let (last, path) = path.split_last().unwrap();
    let mut target = document;
    for key in path {
        let Value::Object(entries) = target else { panic!("no object at {key}") };
        target = entries.entry(key.clone()).or_insert(Value::object::<&str>([]));
    }
    let Value::Object(entries) = target else { panic!("no object at {last}") };
    let value = || patch.get("value").unwrap().clone();
    let values = || patch.get("values").and_then(Value::as_list).unwrap().to_vec();
    let key = last.clone();
    match text(patch, "op") {
        "remove" => drop(entries.remove(&key)),
        "replace" | "add" => drop(entries.insert(key, value())),
        op => {
            let Value::List(elements) = entries.entry(key).or_insert(Value::List(Vec::new())) else {
                panic!("no list")
            };
            match op {
                "append" => elements.extend(values()),
                "add-unique" => {
                    let new: Vec<_> = values().into_iter().filter(|value| !elements.contains(value)).collect();
                    elements.extend(new);
                }
                "remove-by-value" => elements.retain(|element| *element != value()),
                other => panic!("unknown patch {other}"),
            }
        }
    }
}
