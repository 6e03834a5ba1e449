//! Which request of an owner is sent next.
//!
//! One owner's requests in flight are limited, and all charms are one owner. So a poll shares the permits with events,
//! which anybody may send at any time. Two rules keep one from taking them all: a quarter of the permits is for polls
//! only; and those that wait take turns by their spaces, and polls and other calls take turns as well.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bg_identity::SpaceDid;
use tokio::sync::oneshot;

/// What a call is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A poll.
    Poll,
    /// Anything else, such as somebody's event.
    Other,
}

/// The permits of one owner's requests.
#[derive(Debug)]
pub(crate) struct Turns(Mutex<State>);

/// A permit. Dropping it gives the next request its turn.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    purpose: Purpose,
}

#[derive(Debug)]
struct State {
    /// The permits in all, and those that calls which are no polls may have.
    most: usize,
    most_others: usize,
    taken: usize,
    taken_by_others: usize,
    polls: Line,
    others: Line,
    /// Who comes first if both may.
    next: Purpose,
    /// The number of the request that waited last.
    number: u64,
}

/// Those that wait, by their spaces.
#[derive(Debug, Default)]
struct Line {
    /// By their numbers; none is empty.
    spaces: HashMap<Option<SpaceDid>, BTreeMap<u64, oneshot::Sender<Turn>>>,
    /// The spaces that have some, next first.
    ring: VecDeque<Option<SpaceDid>>,
}

/// A request that waits, until this is dropped.
struct Place<'t> {
    turns: &'t Turns,
    purpose: Purpose,
    space: Option<SpaceDid>,
    number: u64,
}

impl Turns {
    pub(crate) fn new(permits: usize) -> Arc<Self> {
        let most = permits.max(1);
        // One permit cannot be divided.
        let for_polls = (most / 4).max(1).min(most - 1);
        Arc::new(Self(Mutex::new(State {
            most,
            most_others: most - for_polls,
            taken: 0,
            taken_by_others: 0,
            polls: Line::default(),
            others: Line::default(),
            next: Purpose::Poll,
            number: 0,
        })))
    }

    /// Waits for the turn of a request from that space.
    pub(crate) async fn take(self: &Arc<Self>, purpose: Purpose, space: Option<&SpaceDid>) -> Turn {
        loop {
            let (granted, mut turn) = oneshot::channel();
            let place = {
                let mut state = self.state();
                if state.is_free(purpose) {
                    state.occupy(purpose);
                    return Turn { turns: Arc::clone(self), purpose };
                }
                let number = state.wait(purpose, space, granted);
                Place { turns: self, purpose, space: space.cloned(), number }
            };
            let granted = (&mut turn).await;
            drop(place);
            // The sender waits in its line until it is used.
            if let Ok(turn) = granted {
                return turn;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut unwanted = Vec::new();
        let mut state = self.turns.state();
        state.vacate(self.purpose);
        while let Some((purpose, granted)) = state.pop() {
            state.occupy(purpose);
            let turn = Self { turns: Arc::clone(&self.turns), purpose };
            // Dropped only where nothing is locked.
            unwanted.extend(granted.send(turn).err());
        }
        drop(state);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.state().line(self.purpose).leave(&self.space, self.number);
    }
}

impl State {
    fn line(&mut self, purpose: Purpose) -> &mut Line {
        match purpose {
            Purpose::Poll => &mut self.polls,
            Purpose::Other => &mut self.others,
        }
    }

    /// Whether there is a permit for that. As those that wait get theirs at once, nobody waits for it then.
    fn is_free(&self, purpose: Purpose) -> bool {
        self.taken < self.most && (purpose == Purpose::Poll || self.taken_by_others < self.most_others)
    }

    fn occupy(&mut self, purpose: Purpose) {
        self.taken += 1;
        self.taken_by_others += usize::from(purpose == Purpose::Other);
    }

    fn vacate(&mut self, purpose: Purpose) {
        self.taken -= 1;
        self.taken_by_others -= usize::from(purpose == Purpose::Other);
    }

    /// Returns the number of the place.
    fn wait(&mut self, purpose: Purpose, space: Option<&SpaceDid>, granted: oneshot::Sender<Turn>) -> u64 {
        self.number += 1;
        let number = self.number;
        let line = self.line(purpose);
        let waiting = line.spaces.entry(space.cloned()).or_default();
        if waiting.is_empty() {
            line.ring.push_back(space.cloned());
        }
        waiting.insert(number, granted);
        number
    }

    /// Takes out the next one that may be sent now.
    fn pop(&mut self) -> Option<(Purpose, oneshot::Sender<Turn>)> {
        let (first, second) = match self.next {
            Purpose::Poll => (Purpose::Poll, Purpose::Other),
            Purpose::Other => (Purpose::Other, Purpose::Poll),
        };
        for (purpose, then) in [(first, second), (second, first)] {
            if self.is_free(purpose)
                && let Some(granted) = self.line(purpose).pop()
            {
                self.next = then;
                return Some((purpose, granted));
            }
        }
        None
    }
}

impl Line {
    fn pop(&mut self) -> Option<oneshot::Sender<Turn>> {
        let space = self.ring.pop_front()?;
        let waiting = self.spaces.get_mut(&space)?;
        let (_, granted) = waiting.pop_first()?;
        if waiting.is_empty() {
            self.spaces.remove(&space);
        } else {
            self.ring.push_back(space);
        }
        Some(granted)
    }

    #[expect(clippy::ref_option, reason = "it is a key of the map")]
    fn leave(&mut self, space: &Option<SpaceDid>, number: u64) {
        let Some(waiting) = self.spaces.get_mut(space) else { return };
        if waiting.remove(&number).is_some() && waiting.is_empty() {
            self.spaces.remove(space);
            self.ring.retain(|other| other != space);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use bg_identity::space_did;

    use super::*;

    /// A request that asks for its permit.
    struct Asked(Pin<Box<dyn Future<Output = Turn> + Send>>);

    impl Asked {
        fn new(turns: &Arc<Turns>, purpose: Purpose, space: &str) -> Self {
            let (turns, space) = (Arc::clone(turns), space_did(space));
            let mut asked = Self(Box::pin(async move { turns.take(purpose, Some(&space)).await }));
            assert!(asked.granted().is_none());
            asked
        }

        fn granted(&mut self) -> Option<Turn> {
            match self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(turn) => Some(turn),
                Poll::Pending => None,
            }
        }
    }

    async fn others(turns: &Arc<Turns>, count: usize) -> Vec<Turn> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(turns.take(Purpose::Other, Some(&space_did("stranger"))).await);
        }
        all
    }

    #[tokio::test]
    async fn a_quarter_of_the_permits_is_for_polls_only() {
        for (permits, for_others) in [(128, 96), (8, 6), (5, 4), (2, 1), (1, 1)] {
            let turns = Turns::new(permits);
            let taken = others(&turns, for_others).await;
            let mut late = Asked::new(&turns, Purpose::Other, "stranger");
            let mut polls = Vec::new();
            for _ in for_others..permits {
                polls.push(turns.take(Purpose::Poll, None).await);
            }
            // Polls may have the rest as well.
            let mut poll = Asked::new(&turns, Purpose::Poll, "a");
            drop(polls);
            assert!(poll.granted().is_some() || permits == 1, "{permits}");
            assert!(late.granted().is_none(), "{permits}");
            drop((poll, taken));
            assert!(late.granted().is_some(), "{permits}");
        }
    }

    #[tokio::test]
    async fn spaces_take_turns_however_many_requests_of_one_wait() {
        let turns = Turns::new(1);
        let mut taken = Some(turns.take(Purpose::Poll, None).await);
        let spaces = ["a", "a", "a", "a", "b", "c", "b"];
        let mut waiting: Vec<_> = spaces.map(|space| (space, Asked::new(&turns, Purpose::Poll, space))).into();
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(taken.take());
            let (index, turn) =
                waiting.iter_mut().enumerate().find_map(|(index, (_, one))| Some((index, one.granted()?))).unwrap();
            taken = Some(turn);
            order.push(waiting.remove(index).0);
        }
        assert_eq!(order, ["a", "b", "c", "a", "b", "a", "a"]);
    }

    #[tokio::test]
    async fn polls_and_other_calls_take_turns() {
        let turns = Turns::new(1);
        let mut taken = Some(turns.take(Purpose::Poll, None).await);
        let mut order = Vec::new();
        let mut waiting: Vec<_> = [Purpose::Other, Purpose::Other, Purpose::Poll, Purpose::Poll]
            .into_iter()
            .zip(["a", "b", "c", "d"])
            .map(|(purpose, space)| (space, Asked::new(&turns, purpose, space)))
            .collect();
        while !waiting.is_empty() {
            drop(taken.take());
            let (index, turn) =
                waiting.iter_mut().enumerate().find_map(|(index, (_, one))| Some((index, one.granted()?))).unwrap();
            taken = Some(turn);
            order.push(waiting.remove(index).0);
        }
        assert_eq!(order, ["c", "a", "d", "b"]);
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_leaves_its_permit_to_the_next() {
        let turns = Turns::new(1);
        let taken = turns.take(Purpose::Poll, None).await;
        let mut waiting = ["a", "a", "b", "c"].map(|space| Some(Asked::new(&turns, Purpose::Poll, space)));
        // One while it waits, and one that has its permit and does not know.
        waiting[0] = None;
        waiting[2] = None;
        drop(taken);
        waiting[1] = None;
        assert!(waiting[3].as_mut().unwrap().granted().is_some());
        waiting[3] = None;
        let state = turns.state();
        assert_eq!((state.taken, state.polls.spaces.len(), state.polls.ring.len()), (0, 0, 0));
    }
}
