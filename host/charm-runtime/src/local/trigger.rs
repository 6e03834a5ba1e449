//! Sending an event to a charm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bg_charm_api::{AccessLevel, Actor};
use bg_egress::KnownSecret;
use bg_poller::{CharmRef, LogLine, Outcome, Run, RuntimeError, Scope, UPDATER_STREAMS, UnixMillis};
use bg_sandbox::CellWrites;
use bg_transpile::Transpiled;
use rusqlite::Transaction;
use serde_json::Value;

use super::redact::redact;
use super::snapshot::Snapshot;
use super::tenants::{Excess, Tenants};
use super::view::Seen;
use super::{Cause, Handlers, LocalRuntime, access, logs};
use crate::store::{self, Cells, Failure, Sealer, StoredCharm, Touch, excess, secret_texts_in};

/// How often a handler runs for one event when other processes change its cells meanwhile. In this process, calls of
/// one charm take turns.
const ATTEMPTS: usize = 3;

/// A charm at the start of a call.
struct Begun {
    charm: Arc<StoredCharm>,
    program: Arc<Transpiled>,
    cells: Option<Arc<BTreeMap<String, String>>>,
    secrets: Vec<KnownSecret>,
}

/// The results of a call, to be stored.
struct Finished {
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
        let handlers = self.handlers()?;
        // Somebody may send the same event as a poll: it has the same outcome as a poll would have.
        let cause = match cause {
            Cause::Somebody if UPDATER_STREAMS.contains(&stream) => Cause::Update,
            cause => cause,
        };
        let event = event.to_string();
        let _turn = self.turns.take(charm).await?;
        for _ in 0..ATTEMPTS {
            let mut begun = self.begin(actor, charm, stream).await?;
            let Some(finished) = self.call(handlers, &mut begun, stream, &event).await? else { continue };
            if let Some(outcome) = self.keep(&begun.charm, finished, cause).await? {
                return Ok(outcome);
            }
        }
        let text = format!(
            "another process changed the cells of {charm} while its handler ran, {ATTEMPTS} times in a row; nothing was kept"
        );
        Err(RuntimeError::unavailable_in(Scope::Charm, text))
    }

    async fn begin(&self, actor: &Actor, charm: &CharmRef, stream: &str) -> Result<Begun, RuntimeError> {
        // A poll has just read it. If another process has changed its cells since, the version shows that before they are
        // overwritten; a handler that writes nothing has then run as if a moment earlier.
        if let Some(Seen { charm, program, cells: Some(cells), .. }) = self.opened.fresh(&self.database, charm, actor)
            && charm.has_stream(stream)
        {
            let texts = secret_texts_in(&charm, &cells).map_err(|failure| self.database.failed(failure))?;
            let secrets = self.credential_origins.known(charm.integration.as_deref(), texts);
            return Ok(Begun { charm, program, cells: Some(cells), secrets });
        }
        let (actor, charm, stream, sealer) = (actor.clone(), charm.clone(), stream.to_owned(), self.sealer.clone());
        let origins = Arc::clone(&self.credential_origins);
        let begun = self.database.read(move |tx| {
            let stored = access::charm(tx, &actor, &charm, AccessLevel::Write)?;
            if !stored.has_stream(&stream) {
                let text = format!("{charm} has no stream {stream:?}; its streams: {}", stored.stream_list());
                return Err(RuntimeError::Unfit(text).into());
            }
            let program = store::charms::program(tx, stored.row)?;
            let cells = Cells::of(tx, &sealer, &stored);
            let texts = cells.texts()?;
            let secrets =
                texts.as_ref().map_or_else(|| cells.secret_texts(), |texts| secret_texts_in(&stored, texts))?;
            let secrets = origins.known(stored.integration.as_deref(), secrets);
            Ok(Begun { charm: Arc::new(stored), program: Arc::new(program), cells: texts.map(Arc::new), secrets })
        });
        begun.await
    }

    /// Runs the handler. None if cells that it read have changed meanwhile.
    async fn call(
        &self,
        handlers: &Handlers,
        begun: &mut Begun,
        stream: &str,
        event: &str,
    ) -> Result<Option<Finished>, RuntimeError> {
        let cells = begun.cells.take();
        let snapshot = Snapshot::new(self.database.clone(), self.sealer.clone(), begun.charm.clone(), cells);
        let trouble = snapshot.trouble();
        let (started_at, clock) = (UnixMillis::now(), Instant::now());
        let (result, log) = handlers
            .handle(&begun.charm, &begun.program, snapshot, std::mem::take(&mut begun.secrets), stream, event)
            .await;
        if trouble.changed()? {
            return Ok(None);
        }
        let (outcome, writes) = match result {
            Ok(writes) => (Outcome::success(), writes),
            Err(failure) => (failure.into(), CellWrites::new()),
        };
        let charm = begun.charm.summary.charm.clone();
        Ok(Some(Finished { run: Run { charm, started_at, duration: clock.elapsed(), outcome }, writes, log }))
    }

    /// Stores writes, run and status together. None if the cells have changed meanwhile: then nothing is stored.
    async fn keep(
        &self,
        charm: &Arc<StoredCharm>,
        finished: Finished,
        cause: Cause,
    ) -> Result<Option<Outcome>, RuntimeError> {
        let (sealer, charm, runs_kept) = (self.sealer.clone(), charm.clone(), self.runs_kept);
        let (touch, tenants) = (Touch::Charm(charm.summary.charm.clone()), self.tenants.clone());
        let kept = move |tx: &Transaction<'_>| keep(tx, &sealer, &tenants, &charm, finished, cause, runs_kept);
        self.database.write_touching(touch, kept).await
    }
}

fn keep(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    tenants: &Tenants,
    charm: &StoredCharm,
    finished: Finished,
    cause: Cause,
    runs_kept: u32,
) -> Result<Option<Outcome>, Failure> {
    let Finished { mut run, writes, mut log } = finished;
    if !store::charms::is_there(tx, charm.row)? {
        // It was deleted while the handler ran. One that was deployed since is another charm.
        return Err(RuntimeError::NotFound(charm.summary.charm.clone()).into());
    }
    let cells = Cells::of(tx, sealer, charm);
    let mut version = charm.version;
    if !writes.is_empty() {
        let excess = match excess(tx, charm.row, &writes)? {
            None => tenants.excess(tx, charm.row, &charm.summary.charm.space, &writes)?,
            Some(excess) => Some(Excess::OfCharm(excess)),
        };
        if let Some(excess) = excess {
            run.outcome = excess.into_outcome();
        } else if store::charms::advance(tx, charm.row, charm.version)? {
            cells.set(&writes)?;
            version += 1;
        } else {
            return Ok(None);
        }
    }
    if run.outcome.is_success() {
        if !charm.changed.is_empty() {
            store::charms::followed(tx, charm.row, version)?;
        }
    } else {
        run.outcome = redact(run.outcome, &cells.secrets()?);
    }
    tenants.trim(tx, &charm.summary.charm.space, &mut run, &mut log)?;
    store::runs::add(tx, charm.row, &run, runs_kept)?;
    logs::keep(tx, &cells, charm.row, log)?;
    if cause != Cause::Poll && run.outcome.is_success() {
        // Its polls may have waited for this.
        store::registrations::cells_changed(tx, charm.row)?;
    }
    match cause {
        Cause::Poll | Cause::Update => store::registrations::note_run(tx, charm.row, &run)?,
        // It is not a poll: an owed poll stays owed, and a waiting charm keeps waiting.
        Cause::Somebody => store::registrations::count_run(tx, charm.row, &run)?,
    };
    Ok(Some(run.outcome))
}

#[cfg(test)]
mod tests {
    use bg_poller::CharmRuntime as _;
    use serde_json::json;

    use super::*;
    use crate::local::testing::Home;
    use bg_charm_api::Spaces;

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
            let finished = Finished { run, writes, log: Vec::new() };
            let kept = home.runtime.keep(&begun.charm, finished, Cause::Somebody).await;
            assert_eq!(kept, Err(RuntimeError::NotFound(charm.clone())));
            for charm in [&charm, &other] {
                assert_eq!(home.cells(charm).await["log"], "");
                assert_eq!(home.operator().runs(charm, 10).await.unwrap(), []);
            }
            attempt.ended("NotFound, nothing kept");
        }
    }
}
