//! Handles an event once if it is sent again because the first response was lost.
//!
//! The key is in the body, not in a header, because the signature covers the body.

mod forgotten;
mod kept;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bg_charm_api::Actor;
use bg_charm_api::wire::ErrorCode;
use bg_poller::{CharmRef, Outcome, RuntimeError, Scope};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;

use self::kept::{Kept, Room};
use crate::admission::Full;
use crate::answer::Failure;

/// How long an answer is kept (a client that lost it asks again at once), and the memory for one signer and for all:
/// enough for some seconds of 1,000 polls a second.
const ROOM: Room = Room { time: Duration::from_mins(3), share: 1 << 20, all: 16 << 20 };
/// The memory of an answer without its texts.
const ENTRY: usize = 512;
/// How many events of one signer may be under way. A client's permits allow far fewer; the operator needs none.
const UNFINISHED: usize = 1_024;
/// The longest key, characters.
const KEY: usize = 64;

/// Which event it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EventKey {
    signer: String,
    charm: CharmRef,
    key: String,
}

impl EventKey {
    /// Keys belong to a signer and a charm.
    pub(crate) fn new(signer: &Actor, charm: &CharmRef, key: String) -> Result<Self, Failure> {
        if !(1..=KEY).contains(&key.chars().count()) {
            return Err(Failure::invalid(format!("the key of an event has 1 to {KEY} characters")));
        }
        let signer = match signer {
            Actor::Did(did) | Actor::Remote(did) => did.to_string(),
            Actor::Operator | Actor::Anonymous => String::new(),
        };
        Ok(Self { signer, charm: charm.clone(), key })
    }
}

type Answer = Result<Outcome, RuntimeError>;

/// Kept answers, and events under way.
#[derive(Debug)]
pub(crate) struct Triggers {
    /// Random: another server, or this one after a restart, has another name.
    name: String,
    started: Instant,
    all: Mutex<All>,
}

#[derive(Debug)]
struct All {
    events: HashMap<EventKey, Event>,
    /// The number of events under way, by signer.
    unfinished: HashMap<String, usize>,
    /// Events that have ended.
    kept: Kept,
}

#[derive(Debug)]
struct Event {
    /// A hash of what was sent: another event needs another key.
    sent: u64,
    answer: watch::Receiver<Option<Answer>>,
}

impl Default for Triggers {
    fn default() -> Self {
        let random = |_| std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
        let [first, second] = [0, 1].map(random);
        let all = All { events: HashMap::new(), unfinished: HashMap::new(), kept: Kept::new(ROOM) };
        Self { name: format!("{first:016x}{second:016x}"), started: Instant::now(), all: Mutex::new(all) }
    }
}

impl Triggers {
    /// This server at this moment. A client sends it as `again`, so that the server can tell whether it may have
    /// forgotten an event that was first sent later.
    pub(crate) fn server(&self) -> String {
        format!("{}-{:x}", self.name, self.started.elapsed().as_micros())
    }

    /// When [`Self::server`] gave this; `None` if another server did.
    fn time_of(&self, server: &str) -> Option<Instant> {
        let micros = server.strip_prefix(self.name.as_str())?.strip_prefix('-')?;
        self.started.checked_add(Duration::from_micros(u64::from_str_radix(micros, 16).ok()?))
    }

    /// Does the `work` of an event, unless it is done or under way, and returns its result. The work goes on if nobody
    /// waits for it any more: its client may ask again. An error is kept like any other result: what failed may have
    /// had effects before, such as a request that its handler sent.
    ///
    /// `again`, if the client sends the event a second time: an answer of [`Self::server`] from before the first time.
    pub(crate) async fn once(
        self: &Arc<Self>,
        key: EventKey,
        sent: &str,
        again: Option<&str>,
        work: impl Future<Output = Answer> + Send + 'static,
    ) -> Result<Outcome, Failure> {
        let mut hasher = DefaultHasher::new();
        sent.hash(&mut hasher);
        let sent = hasher.finish();
        let mut answer = {
            let mut all = self.lock();
            let gone = all.kept.expire(Instant::now());
            all.forget(gone);
            if let Some(event) = all.events.get(&key) {
                if event.sent != sent {
                    return Err(Failure::invalid("this key belongs to another event; use a new key"));
                }
                event.answer.clone()
            } else if let Some(server) = again
                && let Some(why) = self.why_unknown(&all, &key.signer, server)
            {
                let text =
                    format!("it is unknown whether the event was handled: {why}; to send it anyway, use a new key");
                return Err(Failure::of(ErrorCode::UnknownEvent, text));
            } else {
                let unfinished = all.unfinished.entry(key.signer.clone()).or_default();
                if *unfinished >= UNFINISHED {
                    return Err(Full::Share.into());
                }
                *unfinished += 1;
                let (sender, answer) = watch::channel(None);
                all.events.insert(key.clone(), Event { sent, answer: answer.clone() });
                let this = Arc::clone(self);
                let work = async move {
                    let mut end = Ending { triggers: this, key, sender, answer: None };
                    end.answer = Some(work.await);
                };
                // A part of the request's trace, like the work of an event without a key.
                tokio::spawn(work.in_current_span());
                answer
            }
        };
        let ended = answer.wait_for(Option::is_some).await;
        match ended.ok().and_then(|answer| answer.clone()) {
            Some(answer) => Ok(answer?),
            None => Err(RuntimeError::unavailable_in(Scope::Charm, "its handler was ended with the server").into()),
        }
    }

    /// Why an event that is sent again and is not known may nevertheless have been handled, if it may.
    fn why_unknown(&self, all: &All, signer: &str, server: &str) -> Option<&'static str> {
        match self.time_of(server) {
            None => Some("it was sent to another server, or before this one started"),
            Some(time) if all.kept.has_forgotten_since(signer, time) => {
                Some("this server has since forgotten answers to events of this signer, to make room for newer ones")
            }
            Some(_) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of an event, also by a panic: every waiting and later request gets the answer.
struct Ending {
    triggers: Arc<Triggers>,
    key: EventKey,
    sender: watch::Sender<Option<Answer>>,
    answer: Option<Answer>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let early = || Err(RuntimeError::unavailable_in(Scope::Charm, "its handler ended early; the log says why"));
        let answer = self.answer.take().unwrap_or_else(early);
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let bytes = ENTRY
            + match &answer {
                Ok(Outcome { message, stack, .. }) => length(message) + length(stack),
                Err(error) => error.to_string().len(),
            };
        self.triggers.lock().end(&self.key, bytes);
        self.sender.send_replace(Some(answer));
    }
}

impl All {
    /// Marks the event as ended, and keeps its answer, in place of older ones if there is no room.
    fn end(&mut self, key: &EventKey, bytes: usize) {
        if let Some(unfinished) = self.unfinished.get_mut(&key.signer) {
            *unfinished -= 1;
            if *unfinished == 0 {
                self.unfinished.remove(&key.signer);
            }
        }
        let gone = self.kept.add(key.clone(), bytes);
        self.forget(gone);
    }

    fn forget(&mut self, gone: Vec<EventKey>) {
        for key in gone {
            self.events.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bg_identity::{CharmId, Identity, space_did};
    use bg_poller::OutcomeKind;

    use super::*;

    fn key(signer: &str, key: &str) -> EventKey {
        let charm = CharmRef { space: space_did("mine"), charm: CharmId::for_content(b"a") };
        EventKey::new(&Actor::Did(Identity::from_passphrase(signer).did()), &charm, key.to_owned()).unwrap()
    }

    /// Work that counts its runs.
    fn counted(count: &Arc<AtomicUsize>, answer: Answer) -> impl Future<Output = Answer> + use<> {
        let count = count.clone();
        async move {
            tokio::task::yield_now().await;
            count.fetch_add(1, Ordering::SeqCst);
            answer
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_is_sent_twice_is_handled_once_by_each_signer() {
        let (triggers, count) = (Arc::new(Triggers::default()), Arc::new(AtomicUsize::new(0)));
        let once = |signer: &str, again: Option<&str>| {
            let work = counted(&count, Ok(Outcome::success()));
            let (triggers, key, again) = (triggers.clone(), key(signer, "k"), again.map(str::to_owned));
            async move { triggers.once(key, "s {}", again.as_deref(), work).await }
        };
        let server = triggers.server();
        let (first, second) = tokio::join!(once("ann", None), once("ann", Some(&server)));
        assert_eq!((first.unwrap(), second.unwrap()), (Outcome::success(), Outcome::success()));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        once("ben", None).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 2);
        let other = triggers.once(key("ann", "k"), "s []", None, counted(&count, Ok(Outcome::success())));
        assert!(other.await.is_err(), "another event has another key");
        // Another server, or one that has restarted, does not know it.
        let unknown = Arc::new(Triggers::default());
        assert_ne!(unknown.server(), server);
        let refused = unknown.once(key("ann", "k"), "s {}", Some(&server), counted(&count, Ok(Outcome::success())));
        assert!(refused.await.is_err());
        assert_eq!(count.load(Ordering::SeqCst), 2);
        // Not for ever.
        tokio::time::advance(ROOM.time).await;
        once("ann", None).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 3);
        assert_eq!(triggers.lock().events.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_is_not_handled_twice_when_its_answer_was_forgotten() {
        let (triggers, count) = (Arc::new(Triggers::default()), Arc::new(AtomicUsize::new(0)));
        let send = async |signer: &str, name: &str, again: Option<&str>, answer: Answer| {
            tokio::time::advance(Duration::from_millis(1)).await;
            triggers.once(key(signer, name), "s {}", again, counted(&count, answer)).await
        };
        let long = || Ok(Outcome::failure(OutcomeKind::HandlerFailed, "x".repeat(ROOM.share / 2)));
        let attempt = bg_abuse::Attempt::begin("memory", "an event is sent again after its answer was pushed out");
        let before = triggers.server();
        for name in ["first", "second", "third"] {
            send("ann", name, None, long()).await.unwrap();
        }
        assert!(!triggers.lock().events.contains_key(&key("ann", "first")));
        let refused = send("ann", "first", Some(&before), long()).await.unwrap_err();
        assert_eq!(refused.problem.code, ErrorCode::UnknownEvent, "{refused:?}");
        assert!(refused.problem.detail.contains("unknown whether the event was handled"), "{refused:?}");
        assert_eq!(count.load(Ordering::SeqCst), 3);
        attempt.ended("refused: it is unknown whether the event was handled");
        // The first of these cannot have been handled: nothing was forgotten since, or nothing of this signer.
        tokio::time::advance(Duration::from_millis(1)).await;
        let after = triggers.server();
        send("ann", "fourth", Some(&after), Ok(Outcome::success())).await.unwrap();
        send("ben", "first", Some(&before), Ok(Outcome::success())).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 5);
        // What is too old is forgotten, too. A client that was idle meanwhile has nothing to fear.
        tokio::time::advance(Duration::from_millis(1)).await;
        let idle = triggers.server();
        tokio::time::advance(ROOM.time).await;
        assert!(send("ann", "fourth", Some(&after), Ok(Outcome::success())).await.is_err());
        send("ann", "fifth", Some(&idle), Ok(Outcome::success())).await.unwrap();
        // An answer that is too long to be kept at all is forgotten at once.
        let now = triggers.server();
        let longest = || Ok(Outcome::failure(OutcomeKind::HandlerFailed, "x".repeat(2 * ROOM.share)));
        send("cid", "longest", None, longest()).await.unwrap();
        assert!(send("cid", "longest", Some(&now), longest()).await.is_err());
        assert_eq!(count.load(Ordering::SeqCst), 7);
        for wrong in ["", "x", "-", &now[..32], &format!("{now}x"), &format!("{}-ffffffffffffffff", &now[..32])] {
            let refused = send("dee", "k", Some(wrong), Ok(Outcome::success())).await;
            assert_eq!(refused.is_err(), !wrong.ends_with("ffff"), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn an_error_is_the_answer_to_the_same_event_and_abandoned_work_continues() {
        let (triggers, count) = (Arc::new(Triggers::default()), Arc::new(AtomicUsize::new(0)));
        // Its effects before the failure must not happen twice.
        let error = RuntimeError::Quota("its writes are more than may be kept".into());
        for _ in 0..2 {
            let failing = counted(&count, Err(error.clone()));
            assert_eq!(triggers.once(key("ann", "fails"), "", None, failing).await, Err(error.clone().into()));
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let panicking = async { panic!("on purpose") };
        let ended = triggers.once(key("ann", "panics"), "", None, panicking).await.unwrap_err();
        let again = counted(&count, Ok(Outcome::success()));
        assert_eq!(triggers.once(key("ann", "panics"), "", None, again).await, Err(ended));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        triggers.lock().kept.check(2);
        {
            let work = counted(&count, Ok(Outcome::success()));
            let mut left = Box::pin(triggers.once(key("ann", "k"), "", None, work));
            assert!(futures_util::poll!(&mut left).is_pending());
        }
        let second = counted(&count, Ok(Outcome::failure(OutcomeKind::Trapped, "a second time")));
        assert_eq!(triggers.once(key("ann", "k"), "", None, second).await.unwrap(), Outcome::success());
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn events_under_way_are_limited_for_each_signer() {
        let triggers = Arc::new(Triggers::default());
        let attempt = bg_abuse::Attempt::begin("memory", "one signer with a new key for each of endless events");
        let begin = async |signer: &str, number: usize| {
            let mut waiting =
                Box::pin(triggers.once(key(signer, &number.to_string()), "", None, std::future::pending()));
            match futures_util::poll!(&mut waiting) {
                std::task::Poll::Ready(ended) => Some(ended.unwrap_err()),
                std::task::Poll::Pending => None,
            }
        };
        for number in 0..UNFINISHED {
            assert_eq!(begin("ann", number).await, None, "{number}");
        }
        let refused = begin("ann", UNFINISHED).await.unwrap();
        assert_eq!((refused.problem.status.as_u16(), refused.retry_after.is_some()), (429, true));
        assert_eq!(begin("ann", 0).await, None, "it is under way");
        assert_eq!(begin("ben", 0).await, None);
        attempt.ended("refused those over its number");
        let work = async { Ok(Outcome::success()) };
        triggers.once(key("cid", "k"), "", None, work).await.unwrap();
        assert!(!triggers.lock().unfinished.contains_key(&key("cid", "k").signer));
    }

    #[tokio::test]
    async fn kept_answers_are_bounded_for_each_signer_and_in_total() {
        let triggers = Arc::new(Triggers::default());
        let attempt = bg_abuse::Attempt::begin("memory", "20 signers with keys for events with long outcomes");
        let message = "x".repeat(ROOM.share / 8);
        for signer in 0..20 {
            for number in 0..20 {
                let outcome = Outcome::failure(OutcomeKind::HandlerFailed, message.clone());
                let key = key(&signer.to_string(), &number.to_string());
                triggers.once(key, "", None, async move { Ok(outcome) }).await.unwrap();
                let all = triggers.lock();
                all.kept.check(all.events.len());
            }
        }
        attempt.ended("forgot the oldest");
        for long in ["", &"x".repeat(KEY + 1)] {
            let charm = CharmRef { space: space_did("mine"), charm: CharmId::for_content(b"a") };
            assert!(EventKey::new(&Actor::Operator, &charm, long.to_owned()).is_err());
        }
    }
}
