//! Sending an event to a charm.

use std::sync::Arc;
use std::time::Instant;

use bg_charm_api::Actor;
use bg_egress::KnownSecret;
use bg_poller::{CharmRef, LogLine, Outcome, Run, RuntimeError, Scope, UPDATER_STREAMS, UnixMillis};
use bg_sandbox::{CellWrites, Program};
use bg_store::{BadCell, Cause, CellTexts, Finished, StoredCharm, secret_texts_in};
use serde_json::Value;

use super::snapshot::Snapshot;
use super::view::Seen;
use super::{Handlers, LocalRuntime};

/// How often a handler runs for one event when other processes change its cells meanwhile. In this process, calls of
/// one charm take turns.
const ATTEMPTS: usize = 3;

/// A charm at the start of a call.
struct Begun {
    charm: Arc<StoredCharm>,
    program: Arc<Program>,
    cells: Option<Arc<CellTexts>>,
    secrets: Vec<KnownSecret>,
}

/// The results of a call, to be stored.
struct Ended {
    run: Run,
    writes: CellWrites,
    log: Vec<LogLine>,
}

impl LocalRuntime {
    /// Sends an event for the actor and waits for the handler.
    pub(super) async fn trigger(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        stream: &str,
        event: &Value,
        cause: Cause,
    ) -> Result<Outcome, RuntimeError> {
        let handlers = self.handlers_for(actor, cause)?;
        // Somebody may send the same event as a poll: it has the same outcome as a poll would have.
        let cause = match cause {
            Cause::Somebody if UPDATER_STREAMS.contains(&stream) => Cause::Update,
            cause => cause,
        };
        let event = event.to_string();
        let _turn = self.turns.take(charm).await?;
        for _ in 0..ATTEMPTS {
            let mut begun = self.begin(actor, charm, stream).await?;
            let Some(ended) = self.call(&handlers, &mut begun, stream, &event).await? else { continue };
            if let Some(outcome) = self.keep(&begun.charm, ended, cause).await? {
                return Ok(outcome);
            }
        }
        let text = format!(
            "another process changed the cells of {charm} while its handler ran, {ATTEMPTS} times in a row; nothing \
             was kept"
        );
        Err(RuntimeError::unavailable_in(Scope::Charm, text))
    }

    /// Polls have HTTP requests of their own. Anybody may say that an event is part of a poll; the operator is believed.
    fn handlers_for(&self, actor: &Actor, cause: Cause) -> Result<Handlers, RuntimeError> {
        let handlers = self.handlers()?;
        let polls = cause == Cause::Poll && self.is_trusted(actor);
        Ok(if polls { handlers.for_polls() } else { handlers.clone() })
    }

    async fn begin(&self, actor: &Actor, charm: &CharmRef, stream: &str) -> Result<Begun, RuntimeError> {
        // A poll has just read it. If another process has changed its cells since, the version shows that before they are
        // overwritten; a handler that writes nothing has then run as if a moment earlier.
        if let Some(Seen { charm, program, cells: Some(cells), .. }) = self.opened.fresh(&*self.store, charm, actor)
            && charm.has_stream(stream)
        {
            let name = &charm.summary.charm;
            let texts = secret_texts_in(&charm.secrets, &cells)
                .map_err(|BadCell(cell)| self.store.damaged_cell(name, &cell))?;
            let secrets = self.credential_origins.known(charm.integration.as_deref(), texts);
            return Ok(Begun { charm, program, cells: Some(cells), secrets });
        }
        let search = self.programs.search();
        let begun = self.store.begin(actor, charm, stream, search.known()).await?;
        let program = search.program(&begun.charm, begun.program.as_ref())?;
        let secrets = self.credential_origins.known(begun.charm.integration.as_deref(), begun.secrets);
        Ok(Begun { charm: Arc::new(begun.charm), program, cells: begun.cells.map(Arc::new), secrets })
    }

    /// Runs the handler. None if cells that it read have changed meanwhile.
    async fn call(
        &self,
        handlers: &Handlers,
        begun: &mut Begun,
        stream: &str,
        event: &str,
    ) -> Result<Option<Ended>, RuntimeError> {
        let cells = begun.cells.take();
        let snapshot = Snapshot::new(Arc::clone(&self.store), begun.charm.clone(), cells);
        let trouble = snapshot.trouble();
        let (started_at, clock) = (UnixMillis::now(), Instant::now());
        let (result, log) = handlers
            .handle(&begun.charm, &begun.program, snapshot, std::mem::take(&mut begun.secrets), stream, event)
            .await;
        if trouble.changed()? {
            return Ok(None);
        }
        let (outcome, writes) = match result {
            Ok(writes) => (Outcome::success().with_servers(log.servers()), writes),
            Err(failure) => (failure.into(), CellWrites::new()),
        };
        let charm = begun.charm.summary.charm.clone();
        Ok(Some(Ended { run: Run { charm, started_at, duration: clock.elapsed(), outcome }, writes, log: log.take() }))
    }

    /// Stores writes, run and status together. None if the cells have changed meanwhile: then nothing is stored.
    async fn keep(
        &self,
        charm: &Arc<StoredCharm>,
        ended: Ended,
        cause: Cause,
    ) -> Result<Option<Outcome>, RuntimeError> {
        let Ended { run, writes, log } = ended;
        let finished = Finished { charm: Arc::clone(charm), run, writes, log, cause, runs_kept: self.runs_kept };
        let kept = self.store.keep(vec![finished]).await.pop();
        kept.unwrap_or_else(|| Err(RuntimeError::unavailable("the store says nothing of what it was to keep")))
    }
}

#[cfg(test)]
mod tests {
    use bg_poller::CharmRuntime as _;
    use serde_json::json;

    use super::*;
    use crate::local::testing::Home;
    use bg_charm_api::Spaces;

    #[tokio::test]
    async fn only_the_operators_polls_have_the_permits_that_are_for_polls() {
        let home = Home::new().await;
        let stranger = home.signed("a stranger").actor().clone();
        let purpose = |actor: &Actor, cause| format!("{:?}", home.runtime.handlers_for(actor, cause).unwrap().http);
        let attempt = bg_abuse::Attempt::begin("connections", "an event that says that it is a poll");
        for (actor, cause, polls) in [
            (&Actor::Operator, Cause::Poll, true),
            (&Actor::Operator, Cause::Somebody, false),
            (&stranger, Cause::Poll, false),
            (&stranger, Cause::Update, false),
        ] {
            let shown = purpose(actor, cause);
            let expected = if polls { "purpose: Poll" } else { "purpose: Other" };
            assert!(shown.contains(expected), "{actor:?} {cause:?}: {shown}");
        }
        attempt.ended("its requests wait with those of other events");
    }

    #[tokio::test]
    async fn a_handler_whose_charm_is_deleted_meanwhile_ends_and_writes_nothing() {
        for writes in [CellWrites::new(), CellWrites::from([("log".to_owned(), "\"late\"".to_owned())])] {
            let home = Home::new().await;
            let charm = home.deploy(json!({})).await;
            let attempt = bg_abuse::Attempt::begin(
                "deleted",
                format!("a handler that ends later and writes {} cells", writes.len()),
            );
            let begun = home.runtime.begin(&Actor::Operator, &charm, "append").await.unwrap();
            home.operator().delete(&charm).await.unwrap();
            // The very same charm once more, and another in its place.
            assert_eq!(home.deploy(json!({})).await, charm);
            let other = home.deploy(json!({"other": 1})).await;
            let outcome = Outcome::success();
            let run = Run {
                charm: charm.clone(),
                started_at: UnixMillis::now(),
                duration: std::time::Duration::ZERO,
                outcome,
            };
            let ended = Ended { run, writes, log: Vec::new() };
            let kept = home.runtime.keep(&begun.charm, ended, Cause::Somebody).await;
            assert_eq!(kept, Err(RuntimeError::NotFound(charm.clone())));
            for charm in [&charm, &other] {
                assert_eq!(home.cells(charm).await["log"], "");
                assert_eq!(home.operator().runs(charm, 10).await.unwrap(), []);
            }
            attempt.ended("NotFound, nothing kept");
        }
    }
}
