//! Charms: their cells, their calls and what these leave.

use std::sync::Arc;

use async_trait::async_trait;
use bg_charm_api::{AccessLevel, Actor, CharmSummary, LogEntry};
use bg_identity::SpaceDid;
use bg_poller::{CharmRef, Counters, Outcome, Run, RuntimeError};
use bg_store::{AllCells, Begun, CellEdit, CellTexts, Charms, Finished, KnownProgram, Look, Right, StoredCharm, sound};
use futures_util::future::join_all;
use rusqlite::Transaction;

use super::super::{Cells, Touch, access, call, charms, edit, logs, record, runs};
use super::SqliteStore;

#[async_trait]
impl Charms for SqliteStore {
    async fn charms(&self, actor: &Actor, space: &SpaceDid) -> Result<Vec<CharmSummary>, RuntimeError> {
        let space = space.clone();
        self.read(actor, move |tx, actor| {
            access::known_space(tx, actor, &space, AccessLevel::Read)?;
            charms::of_space(tx, &space)
        })
        .await
    }

    async fn look(&self, actor: &Actor, charm: &CharmRef, known: KnownProgram) -> Result<Look, RuntimeError> {
        let (sealer, charm) = (Arc::clone(&self.sealer), charm.clone());
        self.read(actor, move |tx, actor| call::look(tx, &sealer, actor, &charm, &known)).await
    }

    async fn cell_names(&self, actor: &Actor, charm: &CharmRef) -> Result<Vec<String>, RuntimeError> {
        let (sealer, charm) = (Arc::clone(&self.sealer), charm.clone());
        self.read(actor, move |tx, actor| {
            let stored = access::charm(tx, actor, &charm, AccessLevel::Read)?;
            Cells::of(tx, &sealer, &stored).names()
        })
        .await
    }

    async fn all_cells(&self, actor: &Actor, charm: &CharmRef) -> Result<(StoredCharm, AllCells), RuntimeError> {
        let (sealer, charm) = (Arc::clone(&self.sealer), charm.clone());
        self.read(actor, move |tx, actor| {
            let stored = access::charm(tx, actor, &charm, AccessLevel::Read)?;
            let cells = Cells::of(tx, &sealer, &stored);
            let mut texts = AllCells::new();
            for name in cells.names()? {
                let text = sound(cells.text(&name), || format!("the cells of {charm}"))?;
                texts.insert(name, text.flatten());
            }
            Ok((stored, texts))
        })
        .await
    }

    async fn cells(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        right: &Right,
        names: &[String],
    ) -> Result<(StoredCharm, CellTexts), RuntimeError> {
        let (sealer, charm, right) = (Arc::clone(&self.sealer), charm.clone(), right.clone());
        let names = names.to_vec();
        self.read(actor, move |tx, actor| {
            let stored = access::charm_with(tx, actor, &charm, &right)?;
            let cells = Cells::of(tx, &sealer, &stored);
            let mut texts = CellTexts::new();
            for name in names {
                texts.extend(cells.unchecked(&name)?.map(|text| (name, text)));
            }
            Ok((stored, texts))
        })
        .await
    }

    async fn cell_names_at(&self, charm: &Arc<StoredCharm>) -> Result<Option<Vec<String>>, RuntimeError> {
        // Not the method itself: it is not one for cells of every lifetime.
        #[expect(clippy::redundant_closure_for_method_calls)]
        self.at_version(charm, |cells| cells.names()).await
    }

    async fn cell_at(&self, charm: &Arc<StoredCharm>, name: &str) -> Result<Option<Option<String>>, RuntimeError> {
        let name = name.to_owned();
        self.at_version(charm, move |cells| cells.text(&name)).await
    }

    async fn edit(&self, actor: &Actor, charm: &CharmRef, edit: CellEdit) -> Result<(), RuntimeError> {
        let (sealer, tenants, charm) = (Arc::clone(&self.sealer), Arc::clone(&self.tenants), charm.clone());
        let work = move |tx: &Transaction<'_>, actor: &Actor| edit::edit(tx, &sealer, &tenants, actor, &charm, &edit);
        self.write(actor, Touch::Any, work).await
    }

    async fn begin(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        stream: &str,
        known: KnownProgram,
    ) -> Result<Begun, RuntimeError> {
        let (sealer, charm, stream) = (Arc::clone(&self.sealer), charm.clone(), stream.to_owned());
        self.read(actor, move |tx, actor| call::begin(tx, &sealer, actor, &charm, &stream, &known)).await
    }

    async fn keep(&self, finished: Vec<Finished>) -> Vec<Result<Option<Outcome>, RuntimeError>> {
        // The thread that writes commits together what it is asked for together.
        join_all(finished.into_iter().map(|one| self.keep_one(one))).await
    }

    async fn logs(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LogEntry>, RuntimeError> {
        let charm = charm.clone();
        self.read(actor, move |tx, actor| {
            let stored = access::observed(tx, actor, &charm)?;
            match after {
                Some(cursor) => logs::after(tx, stored.row, &charm, cursor, limit),
                None => logs::newest(tx, stored.row, &charm, limit),
            }
        })
        .await
    }

    async fn runs(&self, actor: &Actor, charm: &CharmRef, limit: usize) -> Result<Vec<Run>, RuntimeError> {
        let charm = charm.clone();
        self.read(actor, move |tx, actor| {
            let stored = access::observed(tx, actor, &charm)?;
            runs::newest(tx, stored.row, &charm, limit)
        })
        .await
    }

    async fn counters(&self, actor: &Actor, charm: &CharmRef) -> Result<Counters, RuntimeError> {
        let charm = charm.clone();
        self.read(actor, move |tx, actor| record::counters(tx, actor, &charm)).await
    }
}
