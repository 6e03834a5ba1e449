//! Transpiling for callers that nobody knows: a few at one time, and pages' programs once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bg_poller::RuntimeError;
use bg_sandbox::ChildCommand;
use bg_transpile::{ChildFailure, Sources, Transpiled, transpile_by, transpile_files, transpile_pages};
use quick_cache::Weighter;
use quick_cache::unsync::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many charms are transpiled at one time, unless the operator says otherwise: more only compete for processors.
pub const TRANSPILATIONS: usize = 2;
/// How many callers may wait for their turn; each has its sources in memory.
const MOST_WAITING: usize = 64;
/// How long one waits.
const WAIT: Duration = Duration::from_secs(30);
const BUSY: &str = "the queue of charms to be transpiled is full";
/// The programs of pages that are kept, bytes. A page of a thousand lines takes 100 KB.
const PAGES_BYTES: u64 = 16 * 1024 * 1024;
/// How many there may well be, for the cache to begin with.
const PAGES: usize = 200;
/// What an entry takes beside its texts, bytes.
const ENTRY: u64 = 200;

/// The digest of the sources.
type Key = [u8; 32];

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Transpiled>> for Weight {
    fn weight(&self, _: &Key, program: &Arc<Transpiled>) -> u64 {
        let files = program.files.iter().map(|(name, module)| name.len() + module.len()).sum::<usize>();
        ENTRY + (program.module.len() + files) as u64
    }
}

/// Turns sources into modules.
pub(super) struct Transpiler {
    /// The program that does it in a process of its own; this process does it if there is none.
    command: Option<ChildCommand>,
    all: Arc<Semaphore>,
    /// One fewer, so that strangers never make the operator wait.
    strangers: Arc<Semaphore>,
    waiting: AtomicUsize,
    pages: Mutex<Cache<Key, Arc<Transpiled>, Weight>>,
}

/// The sources of a charm, to be handed to other threads.
pub(super) struct OwnedSources {
    pub(super) file_name: String,
    pub(super) source: String,
    pub(super) files: BTreeMap<String, String>,
}

impl OwnedSources {
    fn borrowed(&self) -> Sources<'_> {
        Sources { file_name: &self.file_name, source: &self.source, files: &self.files }
    }

    fn key(&self) -> Key {
        let first = [&self.file_name, &self.source];
        let further = self.files.iter().flat_map(|(path, source)| [path, source]);
        let mut digest = Sha256::new();
        for part in first.into_iter().chain(further) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

/// One of those that wait.
struct Waiting<'w>(&'w AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Transpiler {
    pub(super) fn new(command: Option<ChildCommand>, at_once: usize) -> Self {
        let at_once = at_once.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            command,
            all: Arc::new(Semaphore::new(at_once)),
            strangers: Arc::new(Semaphore::new((at_once - 1).max(1))),
            waiting: AtomicUsize::new(0),
            pages: Mutex::new(Cache::with_weighter(PAGES, PAGES_BYTES, Weight)),
        }
    }

    /// The modules that run. Ask once it is known that the caller may deploy them.
    pub(super) async fn program(&self, sources: OwnedSources, trusted: bool) -> Result<Transpiled, RuntimeError> {
        let turn = self.turn(trusted).await?;
        self.transpile(sources, false, turn).await
    }

    /// The modules with their pages: what is polled has none in it.
    pub(super) async fn page(&self, sources: OwnedSources, trusted: bool) -> Result<Arc<Transpiled>, RuntimeError> {
        let key = sources.key();
        if let Some(known) = self.pages().get(&key).cloned() {
            return Ok(known);
        }
        let turn = self.turn(trusted).await?;
        // Somebody else may have made it meanwhile.
        if let Some(known) = self.pages().get(&key).cloned() {
            return Ok(known);
        }
        let made = Arc::new(self.transpile(sources, true, turn).await?);
        self.pages().insert(key, Arc::clone(&made));
        Ok(made)
    }

    fn pages(&self) -> MutexGuard<'_, Cache<Key, Arc<Transpiled>, Weight>> {
        // Whatever a panic elsewhere left here are whole programs.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn turn(&self, trusted: bool) -> Result<Vec<OwnedSemaphorePermit>, RuntimeError> {
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING && !trusted {
            return Err(RuntimeError::unavailable(format!("{BUSY}; try again in a minute")));
        }
        let mut permits = Vec::with_capacity(2);
        for places in [&self.strangers, &self.all].into_iter().skip(usize::from(trusted)) {
            let place = tokio::time::timeout(WAIT, places.clone().acquire_owned()).await;
            let place = place.map_err(|_| RuntimeError::unavailable(format!("{BUSY}; try again in a minute")))?;
            permits.push(place.expect("nobody closes the semaphores"));
        }
        drop(waiting);
        Ok(permits)
    }

    async fn transpile(
        &self,
        sources: OwnedSources,
        pages: bool,
        turn: Vec<OwnedSemaphorePermit>,
    ) -> Result<Transpiled, RuntimeError> {
        let done = if let Some(command) = &self.command {
            transpile_by(command, &sources.borrowed(), pages).await
        } else {
            let work = move || {
                // Until it has ended, though nobody waits for it any more.
                let _turn = turn;
                let sources = sources.borrowed();
                if pages { transpile_pages(&sources) } else { transpile_files(&sources) }
            };
            let done = tokio::task::spawn_blocking(work).await;
            done.map_err(|error| RuntimeError::unavailable(format!("the transpiler ended early: {error}")))?
                .map_err(ChildFailure::from)
        };
        done.map_err(|failure| match failure {
            ChildFailure::Source(error) => RuntimeError::Invalid(error.to_string()),
            ChildFailure::Unusable(_) => RuntimeError::unavailable(failure.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(source: &str) -> OwnedSources {
        let head = "import { pattern } from 'commontools';\nexport default pattern(() => ({}));\n";
        OwnedSources { file_name: "a.ts".into(), source: format!("{head}{source}"), files: BTreeMap::new() }
    }

    #[tokio::test]
    async fn the_program_of_a_page_is_made_once_and_another_source_has_another() {
        let transpiler = Transpiler::new(None, 2);
        let [one, same, other] = ["const a = 1;", "const a = 1;", "const a = 2;"].map(sources);
        let one = transpiler.page(one, false).await.unwrap();
        assert!(Arc::ptr_eq(&one, &transpiler.page(same, false).await.unwrap()));
        assert_ne!(one, transpiler.page(other, false).await.unwrap());
        assert!(transpiler.page(sources("const a ="), false).await.is_err());
    }

    #[tokio::test]
    async fn strangers_wait_for_each_other_and_the_operator_for_none_of_them() {
        let transpiler = Arc::new(Transpiler::new(None, 2));
        let stranger = transpiler.turn(false).await.unwrap();
        let waiting: Vec<_> = (0..MOST_WAITING)
            .map(|_| {
                let transpiler = Arc::clone(&transpiler);
                tokio::spawn(async move { transpiler.turn(false).await.map(drop) })
            })
            .collect();
        while transpiler.waiting.load(Ordering::Relaxed) < MOST_WAITING {
            tokio::task::yield_now().await;
        }
        let refused = transpiler.turn(false).await.unwrap_err();
        assert!(refused.is_unavailable() && refused.to_string().contains("try again"), "{refused}");
        assert!(transpiler.program(sources(""), true).await.is_ok());
        drop(stranger);
        for waiting in waiting {
            waiting.await.unwrap().unwrap();
        }
        assert_eq!(transpiler.waiting.load(Ordering::Relaxed), 0);
    }
}
