//! The programs that ran lately, so that a poll neither reads nor hashes the one that it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bg_sandbox::Program;
use quick_cache::Weighter;
use quick_cache::unsync::Cache;
use rusqlite::Transaction;

use super::handlers;
use crate::store::{self, Failure, ProgramDigest, StoredCharm};

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
    /// The program of a charm that was found in the same transaction.
    pub(super) fn of(&self, tx: &Transaction<'_>, charm: &StoredCharm) -> Result<Arc<Program>, Failure> {
        if let Some(known) = charm.program.and_then(|digest| self.lock().get(&digest).cloned()) {
            return Ok(known);
        }
        let program = Arc::new(handlers::program(&store::programs::program(tx, charm.row)?));
        if let Some(digest) = charm.program {
            self.lock().insert(digest, Arc::clone(&program));
        }
        Ok(program)
    }

    fn lock(&self) -> MutexGuard<'_, Cache<ProgramDigest, Arc<Program>, Weight>> {
        // Whatever a panic elsewhere left here are whole programs.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let seen = home.runtime.opened.fresh(&home.runtime.database, charm, &Actor::Operator).unwrap();
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
