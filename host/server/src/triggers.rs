//! Events that are sent twice, since the answer to the first was lost, are handled once.
//!
//! The key is in the body, and not in a header: what is signed covers the one, and not the other.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bg_charm_api::Actor;
use bg_poller::{CharmRef, Outcome, RuntimeError, Scope};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::Failure;

/// How long an answer is kept. Whoever has lost it asks again at once.
const KEPT: Duration = Duration::from_mins(3);
/// What the kept answers of one signer may take, and those of all, bytes: of 1,000 polls a second, some seconds.
const SHARE: usize = 1 << 20;
const ALL: usize = 16 << 20;
/// What one takes beside its texts.
const ENTRY: usize = 512;
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
    /// Keys are the signer's own, for each charm.
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

/// The answers that are kept, and the events that are under way.
#[derive(Debug)]
pub(crate) struct Triggers {
    server: String,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    events: HashMap<EventKey, Event>,
    /// Those that have ended, by their signers, oldest first.
    ended: HashMap<String, Ended>,
    bytes: usize,
}

#[derive(Debug)]
struct Event {
    /// Of what was sent: another event has another key.
    sent: u64,
    answer: watch::Receiver<Option<Answer>>,
}

#[derive(Debug, Default)]
struct Ended {
    order: VecDeque<(Instant, EventKey, usize)>,
    bytes: usize,
}

impl Default for Triggers {
    fn default() -> Self {
        let random = |_| std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
        let [first, second] = [0, 1].map(random);
        Self { server: format!("{first:016x}{second:016x}"), all: Mutex::default() }
    }
}

impl Triggers {
    /// The name of this server, until it stops.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Does the `work` of an event, unless it is done or under way; answers what came of it. It goes on if nobody waits for it any more: its
    /// client may ask again. What fails is not kept: nothing of it was done.
    ///
    /// `again`: the server that had the first, if the client asks a second time.
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
            all.forget(Instant::now());
            if let Some(event) = all.events.get(&key) {
                if event.sent != sent {
                    return Err(Failure::invalid("this key is that of another event"));
                }
                event.answer.clone()
            } else if again.is_some_and(|server| server != self.server) {
                let text = "this server has no such key, and had none of what was sent to another one, or before it started: whether the \
                            event was handled is not known";
                return Err(Failure::invalid(text));
            } else {
                let (sender, answer) = watch::channel(None);
                all.events.insert(key.clone(), Event { sent, answer: answer.clone() });
                let this = Arc::clone(self);
                tokio::spawn(async move {
                    let end = Ending { triggers: this, key };
                    let answer = work.await;
                    end.with(&answer);
                    sender.send_replace(Some(answer));
                });
                answer
            }
        };
        let ended = answer.wait_for(Option::is_some).await;
        match ended.ok().and_then(|answer| answer.clone()) {
            Some(answer) => Ok(answer?),
            None => Err(RuntimeError::unavailable_in(Scope::Charm, "its handler ended early; the log says why").into()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of an event, also by a panic.
struct Ending {
    triggers: Arc<Triggers>,
    key: EventKey,
}

impl Ending {
    fn with(self, answer: &Answer) {
        if let Ok(Outcome { message, stack, .. }) = answer {
            let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            self.triggers.lock().keep(self.key.clone(), ENTRY + length(message) + length(stack));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut all = self.triggers.lock();
        if !all.is_kept(&self.key) {
            all.events.remove(&self.key);
        }
    }
}

impl All {
    fn is_kept(&self, key: &EventKey) -> bool {
        let ended = self.ended.get(&key.signer);
        // It is among the newest.
        ended.is_some_and(|ended| ended.order.iter().rev().any(|(_, kept, _)| kept == key))
    }

    /// Keeps the answer of an event that has ended, in place of the oldest if there is no room.
    fn keep(&mut self, key: EventKey, bytes: usize) {
        let signer = key.signer.clone();
        let ended = self.ended.entry(signer.clone()).or_default();
        ended.order.push_back((Instant::now(), key, bytes));
        ended.bytes += bytes;
        self.bytes += bytes;
        while self.ended.get(&signer).is_some_and(|ended| ended.bytes > SHARE) {
            self.forget_oldest(&signer);
        }
        while self.bytes > ALL {
            let most = self.ended.iter().max_by_key(|(_, ended)| ended.bytes).map(|(signer, _)| signer.clone());
            let Some(most) = most else { return };
            self.forget_oldest(&most);
        }
    }

    /// Forgets what was kept long enough.
    fn forget(&mut self, now: Instant) {
        let is_old = |ended: &Ended| ended.order.front().is_some_and(|(at, ..)| now.duration_since(*at) >= KEPT);
        while let Some(signer) = self.ended.iter().find(|(_, ended)| is_old(ended)).map(|(signer, _)| signer.clone()) {
            self.forget_oldest(&signer);
        }
    }

    fn forget_oldest(&mut self, signer: &str) {
        let Some(ended) = self.ended.get_mut(signer) else { return };
        if let Some((_, key, bytes)) = ended.order.pop_front() {
            ended.bytes -= bytes;
            self.bytes -= bytes;
            self.events.remove(&key);
        }
        if ended.order.is_empty() {
            self.ended.remove(signer);
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

    /// Work that counts itself.
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
        let server = triggers.server().to_owned();
        let (first, second) = tokio::join!(once("ann", None), once("ann", Some(&server)));
        assert_eq!((first.unwrap(), second.unwrap()), (Outcome::success(), Outcome::success()));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        once("ben", None).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 2);
        let other = triggers.once(key("ann", "k"), "s []", None, counted(&count, Ok(Outcome::success())));
        assert!(other.await.is_err(), "another event has another key");
        // To another server, or one that has started since, it is not known.
        let unknown = Arc::new(Triggers::default());
        assert_ne!(unknown.server(), server);
        let refused = unknown.once(key("ann", "k"), "s {}", Some(&server), counted(&count, Ok(Outcome::success())));
        assert!(refused.await.is_err());
        assert_eq!(count.load(Ordering::SeqCst), 2);
        // Not for ever.
        tokio::time::advance(KEPT).await;
        once("ann", None).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 3);
        assert_eq!(triggers.lock().events.len(), 1);
    }

    #[tokio::test]
    async fn what_failed_is_not_kept_and_what_nobody_waits_for_goes_on() {
        let (triggers, count) = (Arc::new(Triggers::default()), Arc::new(AtomicUsize::new(0)));
        for _ in 0..2 {
            let failing = counted(&count, Err(RuntimeError::unavailable("away")));
            assert!(triggers.once(key("ann", "k"), "", None, failing).await.is_err());
        }
        assert_eq!(count.load(Ordering::SeqCst), 2);
        let panicking = async { panic!("on purpose") };
        assert!(triggers.once(key("ann", "k"), "", None, panicking).await.is_err());
        assert!(triggers.lock().events.is_empty());
        {
            let work = counted(&count, Ok(Outcome::success()));
            let mut left = Box::pin(triggers.once(key("ann", "k"), "", None, work));
            assert!(futures_util::poll!(&mut left).is_pending());
        }
        let second = counted(&count, Ok(Outcome::failure(OutcomeKind::Trapped, "a second time")));
        assert_eq!(triggers.once(key("ann", "k"), "", None, second).await.unwrap(), Outcome::success());
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn no_signer_keeps_more_than_a_share_and_all_together_have_an_end() {
        let triggers = Arc::new(Triggers::default());
        let attempt = bg_abuse::Attempt::begin("memory", "20 signers with keys for events with long outcomes");
        let message = "x".repeat(SHARE / 8);
        for signer in 0..20 {
            for number in 0..20 {
                let outcome = Outcome::failure(OutcomeKind::HandlerFailed, message.clone());
                let key = key(&signer.to_string(), &number.to_string());
                triggers.once(key, "", None, async move { Ok(outcome) }).await.unwrap();
                let all = triggers.lock();
                assert!(all.bytes <= ALL && all.ended.values().all(|ended| ended.bytes <= SHARE));
                let counted: usize = all.ended.values().map(|ended| ended.order.len()).sum();
                assert_eq!(counted, all.events.len());
            }
        }
        attempt.ended("forgot the oldest");
        for long in ["", &"x".repeat(KEY + 1)] {
            let charm = CharmRef { space: space_did("mine"), charm: CharmId::for_content(b"a") };
            assert!(EventKey::new(&Actor::Operator, &charm, long.to_owned()).is_err());
        }
    }
}
