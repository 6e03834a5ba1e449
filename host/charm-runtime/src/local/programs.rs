//! The programs that ran lately, so that a poll neither reads nor hashes the one that it runs.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bg_poller::RuntimeError;
use bg_sandbox::Program;
use bg_store::{KnownProgram, ProgramDigest, StoredCharm, StoredProgram};
use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::handlers;

/// How many bytes they may take. The largest programs that people write take 50 KB, and many charms share one.
const BYTES: u64 = 32 * 1024 * 1024;
/// How many there may well be, for the cache to begin with.
const ESTIMATE: usize = 100;
/// What an entry takes beside its texts, bytes.
const ENTRY: u64 = 200;

#[derive(Clone)]
struct Weight;

impl Weighter<ProgramDigest, Arc<Program>> for Weight {
    fn weight(&self, _: &ProgramDigest, program: &Arc<Program>) -> u64 {
        ENTRY + program.bytes() as u64
    }
}

/// Programs by their digests.
pub(super) struct Programs(Mutex<Cache<ProgramDigest, Arc<Program>, Weight>>);

impl Default for Programs {
    fn default() -> Self {
        Self(Mutex::new(Cache::with_weighter(ESTIMATE, BYTES, Weight)))
    }
}

impl Programs {
    /// Looks for one program while a charm is read.
    pub(super) fn search(self: &Arc<Self>) -> Search {
        Search { programs: Arc::clone(self), found: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Cache<ProgramDigest, Arc<Program>, Weight>> {
        // Whatever a panic elsewhere left here are whole programs.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A search for the program of one charm, which the store reads unless it is known.
pub(super) struct Search {
    programs: Arc<Programs>,
    /// Kept here, so that it does not leave the cache before it is used.
    found: Arc<OnceLock<Arc<Program>>>,
}

impl Search {
    /// Answers the store whether a program is known.
    pub(super) fn known(&self) -> KnownProgram {
        let (programs, found) = (Arc::clone(&self.programs), Arc::clone(&self.found));
        Arc::new(move |digest| {
            let known = programs.lock().get(digest).cloned();
            known.is_some_and(|known| {
                found.get_or_init(|| known);
                true
            })
        })
    }

    /// The program of a charm: the one that was known, or the one that was read.
    pub(super) fn program(
        self,
        charm: &StoredCharm,
        read: Option<&StoredProgram>,
    ) -> Result<Arc<Program>, RuntimeError> {
        if let Some(known) = self.found.get() {
            return Ok(Arc::clone(known));
        }
        let read = read.ok_or_else(|| {
            let text =
                format!("the store read no program of {}, which is a fault of this program", charm.summary.charm);
            RuntimeError::unavailable(text)
        })?;
        let program = Arc::new(handlers::program(&read.module, &read.files));
        if let Some(digest) = charm.program {
            self.programs.lock().insert(digest, Arc::clone(&program));
        }
        Ok(program)
    }
}

#[cfg(test)]
mod tests {
    use bg_charm_api::{Actor, Spaces as _};
    use bg_poller::{CharmRef, CharmRuntime as _};
    use serde_json::json;

    use super::*;
    use crate::local::testing::{Home, source, space};

    /// The program of a charm as a poll has it.
    async fn program(home: &Home, charm: &CharmRef) -> Arc<Program> {
        let opened = home.operator().open(charm).await.unwrap();
        let seen = home.runtime.opened.fresh(&*home.runtime.store, charm, &Actor::Operator).unwrap();
        drop(opened);
        seen.program
    }

    #[tokio::test]
    async fn charms_and_polls_share_a_program_until_it_is_replaced() {
        let home = Home::new().await;
        let one = home.deploy(json!({})).await;
        let twin = home.deploy(json!({"other": 1})).await;
        let first = program(&home, &one).await;
        assert!(home.trigger(&one, "bgUpdater", json!({})).await.unwrap().is_success());
        assert!(Arc::ptr_eq(&first, &program(&home, &one).await));
        assert!(Arc::ptr_eq(&first, &program(&home, &twin).await));
        let mut next = source("guest.js", json!({}));
        next.source.push_str("export const more = 1;\n");
        next.charm = Some(one.charm.clone());
        home.operator().deploy(&space(), &next).await.unwrap();
        let replaced = program(&home, &one).await;
        assert!(replaced.bytes() > first.bytes());
        assert!(Arc::ptr_eq(&first, &program(&home, &twin).await));
        // And by another process.
        let mut again = next.clone();
        again.source.push_str("export const most = 2;\n");
        home.another().as_actor(Actor::Operator).deploy(&space(), &again).await.unwrap();
        assert!(program(&home, &one).await.bytes() > replaced.bytes());
    }
}
