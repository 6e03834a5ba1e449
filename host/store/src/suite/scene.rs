//! What the cases share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bg_charm_api::{Actor, RegistrationFilter, RegistrationQuery};
use bg_identity::{CharmId, Identity, SpaceDid, space_did};
use bg_poller::{CharmRef, LogLevel, LogLine, Outcome, Registration, Run, RuntimeError, UnixMillis};

use super::{Fixture, Home};
use crate::charm::{CellTexts, NewCharm, StoredCharm, StoredProgram};
use crate::paths::SecretPaths;
use crate::store::{Cause, Deployment, Finished, KnownProgram, Store};
use crate::tenancy::{Reach, Tenancy};

pub(super) const STREAM: &str = "bgUpdater";

/// A store that only this machine reaches.
pub(super) async fn home(fixture: &dyn Fixture) -> Arc<dyn Home> {
    fixture.home(Tenancy { reach: Some(Reach::Loopback), ..Tenancy::default() }).await
}

pub(super) fn space() -> SpaceDid {
    space_did("my-space")
}

/// The signer with that passphrase, from elsewhere.
pub(super) fn signer(name: &str) -> Actor {
    Actor::Remote(Identity::from_passphrase(name).did())
}

pub(super) fn texts(cells: &[(&str, &str)]) -> CellTexts {
    cells.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

pub(super) fn charm(space: &SpaceDid, name: &str) -> CharmRef {
    CharmRef { space: space.clone(), charm: CharmId::for_content(name.as_bytes()) }
}

/// A charm whose cell `auth` is secret.
pub(super) fn deployment(space: &SpaceDid, name: &str, cells: &[(&str, &str)]) -> Deployment {
    let new = NewCharm {
        charm: charm(space, name),
        file_name: "a.tsx".to_owned(),
        source: format!("// {name}"),
        files: BTreeMap::new(),
        program: StoredProgram { module: format!("module of {name}"), files: BTreeMap::new() },
        name: Some(name.to_owned()),
        streams: vec![STREAM.to_owned()],
        secrets: SecretPaths::new(vec![vec!["auth".to_owned()]]),
    };
    Deployment { new, cells: texts(cells), log: Vec::new() }
}

/// Deploys a charm for the operator, in [`space`].
pub(super) async fn deploy(store: &dyn Store, name: &str, cells: &[(&str, &str)]) -> CharmRef {
    deploy_as(store, &Actor::Operator, &space(), name, cells).await.unwrap()
}

pub(super) async fn deploy_as(
    store: &dyn Store,
    actor: &Actor,
    space: &SpaceDid,
    name: &str,
    cells: &[(&str, &str)],
) -> Result<CharmRef, RuntimeError> {
    store.deploy(actor, deployment(space, name, cells)).await.map(|deployed| deployed.charm)
}

/// No program is known.
pub(super) fn unknown() -> KnownProgram {
    Arc::new(|_| false)
}

/// A charm as a call begins with it.
pub(super) async fn begin(store: &dyn Store, charm: &CharmRef) -> Arc<StoredCharm> {
    Arc::new(store.begin(&Actor::Operator, charm, STREAM, unknown()).await.unwrap().charm)
}

pub(super) fn line(text: &str) -> LogLine {
    LogLine { at: UnixMillis::now(), level: LogLevel::Info, text: text.to_owned() }
}

pub(super) fn run(charm: &CharmRef, outcome: Outcome) -> Run {
    Run { charm: charm.clone(), started_at: UnixMillis::now(), duration: Duration::from_millis(3), outcome }
}

/// A poll that succeeded, wrote these cells and logged a line.
pub(super) fn finished(charm: &Arc<StoredCharm>, writes: &[(&str, &str)]) -> Finished {
    Finished {
        run: run(&charm.summary.charm, Outcome::success()),
        charm: Arc::clone(charm),
        writes: texts(writes),
        log: vec![line("a line")],
        cause: Cause::Poll,
        runs_kept: 100,
    }
}

/// Keeps one call.
pub(super) async fn keep(store: &dyn Store, finished: Finished) -> Result<Option<Outcome>, RuntimeError> {
    let mut kept = store.keep(vec![finished]).await;
    assert_eq!(kept.len(), 1);
    kept.pop().unwrap()
}

pub(super) async fn cells(store: &dyn Store, charm: &CharmRef) -> CellTexts {
    let (_, cells) = store.all_cells(&Actor::Operator, charm).await.unwrap();
    cells.into_iter().map(|(name, text)| (name, text.expect("no cell is damaged"))).collect()
}

pub(super) async fn runs(store: &dyn Store, charm: &CharmRef) -> Vec<Run> {
    store.runs(&Actor::Operator, charm, 1_000).await.unwrap()
}

pub(super) async fn lines(store: &dyn Store, charm: &CharmRef) -> Vec<String> {
    let entries = store.logs(&Actor::Operator, charm, None, 10_000).await.unwrap();
    entries.into_iter().map(|entry| entry.line.text).collect()
}

pub(super) async fn register(store: &dyn Store, charm: &CharmRef, integration: &str) -> Registration {
    store.register(&Actor::Operator, charm, &integration.parse().unwrap(), &[STREAM]).await.unwrap()
}

/// The registration of a charm.
pub(super) async fn registration(store: &dyn Store, charm: &CharmRef) -> Registration {
    store.overview_of(&Actor::Operator, charm).await.unwrap().unwrap().registration
}

pub(super) fn page_of(integration: &str) -> RegistrationQuery {
    let filter =
        RegistrationFilter { integration: Some(integration.parse().unwrap()), ..RegistrationFilter::default() };
    RegistrationQuery { filter, cursor: None, limit: 3 }
}
