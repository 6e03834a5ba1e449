//! A store that breaks one promise, to show that the suite notices.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bg_charm_api::{
    AccessLevel, Acl, Actor, CharmSummary, DamagedRegistration, Deployed, LogEntry, RegistrationCount,
    RegistrationFilter, RegistrationPage, RegistrationQuery, RegistrationRow, SpaceSummary, Subject,
};
use bg_identity::http_signature::FastClock;
use bg_identity::{CharmId, IntegrationId, SpaceDid};
use bg_poller::{
    CharmRef, Counters, DisabledBy, Outcome, PollState, Registration, RegistrationChanges, Run, RuntimeError,
};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Damage, Fixture, Home};
use crate::accounts::{Account, Accounts, Grant, Link, OAuthClient, SignIn, Turn};
use crate::charm::{AllCells, CellTexts, StoredCharm, StoredProgram};
use crate::rights::{Needed, Right};
use crate::store::{
    Begun, CellEdit, CellUpdate, Charms, Deployment, Deploys, Finished, FoundCharm, FoundRegistrations, IdOf,
    KnownProgram, Look, Names, Present, Registrations, Sources, Spaces, Store, Update,
};
use crate::tenancy::Tenancy;

/// A promise that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A call is kept although the cells were changed since it read them.
    KeepsStaleCalls,
    /// The second of several calls is reported as kept, and is not.
    LosesTheSecondOfAGroup,
    /// One call that fails fails the others that are kept with it.
    FailsAsAGroup,
    /// Cells and run are kept without the log.
    KeepsNoLog,
    /// Cells are kept without the run.
    ForgetsTheRun,
    /// Cells and run are kept without the state of the registration.
    ForgetsTheState,
    /// What a handler said is answered with its secrets.
    ShowsSecrets,
    /// Of a call over a limit, some cells are kept.
    CutsCellsToTheLimit,
    /// More runs are kept than asked for.
    KeepsTooManyRuns,
    /// Cells of a later version are read as if they were of the one that was asked for.
    ReadsAnyVersion,
    /// Reads answer what was there at first.
    ReadsWhatWas,
    /// Anyone may read cells.
    IgnoresRights,
    /// No charm that waits is woken.
    WakesNobody,
    /// An edit that is refused changes the cell.
    KeepsRefusedEdits,
    /// A program is replaced although the cells were changed since its `setup` read them.
    ReplacesStalePrograms,
    /// Quotas do not hold for strangers.
    ExemptsStrangers,
    /// A charm that is deleted is not polled any more, and stays.
    DeletesTheRegistrationAlone,
    /// The oldest lines of the log are answered in place of the newest.
    AnswersTheOldestLines,
    /// Every page is the first.
    IgnoresCursors,
    /// Pages are in the wrong order.
    OrdersBackwards,
    /// What has changed is never known.
    ForgetsChanges,
    /// Changes do not raise the revision.
    CountsNoChanges,
    /// A run that is sent once is noted twice.
    RecordsTwice,
    /// One damaged registration hides the others.
    FailsForOneDamagedRow,
    /// A client keeps the secret that it first had.
    KeepsTheFirstSecret,
    /// A grant replaces whatever there is by now.
    ReplacesNewerGrants,
    /// Everybody may renew an account at any time.
    LetsEverybodyRenew,
    /// A link is kept although the edit of its cell is refused.
    LinksWithoutTheCell,
    /// An account that is removed stays.
    RemovesNoAccount,
}

/// Each fault, with the case that must fail.
pub const FAULTS: &[(Fault, &str)] = &[
    (Fault::KeepsStaleCalls, "a_call_is_kept_if_the_cells_are_still_those_that_it_read"),
    (Fault::KeepsStaleCalls, "of_a_call_all_is_kept_or_nothing"),
    (Fault::KeepsStaleCalls, "a_fix_by_another_process_after_a_poll_has_read_its_cells_wakes_the_charm"),
    (Fault::LosesTheSecondOfAGroup, "calls_that_are_kept_together_succeed_and_fail_each_for_itself"),
    (Fault::FailsAsAGroup, "calls_that_are_kept_together_succeed_and_fail_each_for_itself"),
    (Fault::KeepsNoLog, "of_a_call_all_is_kept_or_nothing"),
    (Fault::ForgetsTheRun, "of_a_call_all_is_kept_or_nothing"),
    (Fault::ForgetsTheState, "of_a_call_all_is_kept_or_nothing"),
    (Fault::ShowsSecrets, "a_failed_call_keeps_its_run_without_its_secrets"),
    (Fault::CutsCellsToTheLimit, "a_call_over_a_limit_keeps_its_run_and_no_cell"),
    (Fault::KeepsTooManyRuns, "the_history_keeps_the_newest_runs"),
    (Fault::ReadsAnyVersion, "a_reader_gets_the_cells_of_the_version_that_it_began_with"),
    (Fault::ReadsWhatWas, "what_is_kept_is_seen_by_every_later_operation_of_every_process"),
    (Fault::IgnoresRights, "a_stranger_reads_and_writes_nothing_in_a_private_space"),
    (Fault::WakesNobody, "a_charm_that_waits_is_woken_by_an_edit_and_not_by_its_poll"),
    (Fault::WakesNobody, "charms_that_wait_are_woken_by_name"),
    (Fault::KeepsRefusedEdits, "an_edit_that_is_refused_changes_nothing"),
    (Fault::ReplacesStalePrograms, "a_program_is_replaced_unless_the_cells_have_changed"),
    (Fault::ExemptsStrangers, "a_stranger_keeps_no_more_charms_than_a_space_may_have"),
    (Fault::ExemptsStrangers, "a_call_of_a_stranger_over_the_quota_of_bytes_keeps_no_cell"),
    (Fault::DeletesTheRegistrationAlone, "a_deleted_charm_leaves_nothing_to_another_of_its_name"),
    (Fault::AnswersTheOldestLines, "the_log_keeps_its_newest_lines_and_a_cursor_goes_on_after_a_line"),
    (Fault::IgnoresCursors, "pages_have_every_registration_once_in_the_order_of_names"),
    (Fault::OrdersBackwards, "pages_have_every_registration_once_in_the_order_of_names"),
    (Fault::ForgetsChanges, "a_change_raises_the_revision_and_names_its_charm"),
    (Fault::CountsNoChanges, "a_change_raises_the_revision_and_names_its_charm"),
    (Fault::RecordsTwice, "a_run_is_noted_once"),
    (Fault::FailsForOneDamagedRow, "a_damaged_row_hides_no_other"),
    (Fault::KeepsTheFirstSecret, "a_client_is_replaced_with_its_secret"),
    (Fault::ReplacesNewerGrants, "a_grant_replaces_only_the_one_that_it_was_made_from"),
    (Fault::LetsEverybodyRenew, "one_process_at_a_time_renews_an_account"),
    (Fault::LinksWithoutTheCell, "a_link_and_its_cell_change_together"),
    (Fault::RemovesNoAccount, "an_account_and_a_charm_that_are_removed_leave_no_link"),
];

/// Makes stores with a fault.
pub(super) struct FaultyFixture {
    pub(super) inner: Arc<dyn Fixture>,
    pub(super) fault: Option<Fault>,
}

#[async_trait]
impl Fixture for FaultyFixture {
    async fn home(&self, tenancy: Tenancy) -> Arc<dyn Home> {
        Arc::new(FaultyHome { inner: self.inner.home(tenancy).await, fault: self.fault })
    }
}

struct FaultyHome {
    inner: Arc<dyn Home>,
    fault: Option<Fault>,
}

#[async_trait]
impl Home for FaultyHome {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(Faulty::new(self.inner.store(), self.fault))
    }

    async fn another(&self) -> Arc<dyn Store> {
        Arc::new(Faulty::new(self.inner.another().await, self.fault))
    }

    async fn damage(&self, what: Damage) {
        self.inner.damage(what).await;
    }
}

/// Another store, with a fault.
pub struct Faulty {
    inner: Arc<dyn Store>,
    fault: Option<Fault>,
    /// What was read first.
    first_read: Mutex<Option<(StoredCharm, AllCells)>>,
}

impl Faulty {
    /// A store with that fault; without one, it is as good as the other.
    pub fn new(inner: Arc<dyn Store>, fault: Option<Fault>) -> Self {
        Self { inner, fault, first_read: Mutex::default() }
    }
}

#[async_trait]
impl Spaces for Faulty {
    async fn check(&self, actor: &Actor, needed: &Needed) -> Result<(), RuntimeError> {
        self.inner.check(actor, needed).await
    }

    async fn acl(&self, actor: &Actor, space: &SpaceDid) -> Result<Acl, RuntimeError> {
        self.inner.acl(actor, space).await
    }

    async fn set_acl(
        &self,
        actor: &Actor,
        space: &SpaceDid,
        subject: &Subject,
        level: Option<AccessLevel>,
    ) -> Result<Acl, RuntimeError> {
        self.inner.set_acl(actor, space, subject, level).await
    }

    async fn new_space(&self, actor: &Actor, name: &str) -> Result<SpaceSummary, RuntimeError> {
        self.inner.new_space(actor, name).await
    }

    async fn spaces(&self, actor: &Actor, name: Option<&str>) -> Result<Vec<SpaceSummary>, RuntimeError> {
        self.inner.spaces(actor, name).await
    }
}

#[async_trait]
impl Charms for Faulty {
    async fn charms(&self, actor: &Actor, space: &SpaceDid) -> Result<Vec<CharmSummary>, RuntimeError> {
        self.inner.charms(actor, space).await
    }

    async fn look(&self, actor: &Actor, charm: &CharmRef, known: KnownProgram) -> Result<Look, RuntimeError> {
        self.inner.look(actor, charm, known).await
    }

    async fn cell_names(&self, actor: &Actor, charm: &CharmRef) -> Result<Vec<String>, RuntimeError> {
        self.inner.cell_names(actor, charm).await
    }

    async fn all_cells(&self, actor: &Actor, charm: &CharmRef) -> Result<(StoredCharm, AllCells), RuntimeError> {
        let read = self.inner.all_cells(actor, charm).await?;
        if self.fault == Some(Fault::ReadsWhatWas) {
            let mut first = self.first_read.lock().unwrap();
            return Ok(first.get_or_insert(read).clone());
        }
        Ok(read)
    }

    async fn cells(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        right: &Right,
        names: &[String],
    ) -> Result<(StoredCharm, CellTexts), RuntimeError> {
        let actor = if self.fault == Some(Fault::IgnoresRights) { &Actor::Operator } else { actor };
        self.inner.cells(actor, charm, right, names).await
    }

    async fn cell_names_at(&self, charm: &Arc<StoredCharm>) -> Result<Option<Vec<String>>, RuntimeError> {
        self.inner.cell_names_at(charm).await
    }

    async fn cell_at(&self, charm: &Arc<StoredCharm>, name: &str) -> Result<Option<Option<String>>, RuntimeError> {
        if self.fault == Some(Fault::ReadsAnyVersion) {
            let names = [name.to_owned()];
            let right = Right::Space(AccessLevel::Read);
            let cells = self.inner.cells(&Actor::Operator, &charm.summary.charm, &right, &names).await?.1;
            return Ok(Some(cells.into_values().next()));
        }
        self.inner.cell_at(charm, name).await
    }

    async fn edit(&self, actor: &Actor, charm: &CharmRef, edit: CellEdit) -> Result<(), RuntimeError> {
        let mut edit = edit;
        match self.fault {
            Some(Fault::WakesNobody) => edit.update = CellUpdate::Renewal(crate::store::Cause::Poll),
            Some(Fault::KeepsRefusedEdits) => {
                let inner = edit.edit;
                edit.edit = Box::new(move |found| Ok(inner(found).unwrap_or_default()));
            }
            _ => {}
        }
        self.inner.edit(actor, charm, edit).await
    }

    async fn begin(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        stream: &str,
        known: KnownProgram,
    ) -> Result<Begun, RuntimeError> {
        self.inner.begin(actor, charm, stream, known).await
    }

    async fn keep(&self, finished: Vec<Finished>) -> Vec<Result<Option<Outcome>, RuntimeError>> {
        let mut finished = finished;
        match self.fault {
            // Whatever the version is by now.
            Some(Fault::KeepsStaleCalls) => {
                for one in &mut finished {
                    let name = &one.charm.summary.charm;
                    if let Ok(look) = self.inner.look(&Actor::Operator, name, Arc::new(|_| false)).await {
                        one.charm = Arc::new(look.charm);
                    }
                }
            }
            Some(Fault::LosesTheSecondOfAGroup) if finished.len() > 1 => {
                let lost = finished.remove(1);
                let mut kept = self.inner.keep(finished).await;
                kept.insert(1, Ok(Some(lost.run.outcome)));
                return kept;
            }
            Some(Fault::FailsAsAGroup) => {
                let mut kept = self.inner.keep(finished).await;
                if let Some(error) = kept.iter().find_map(|one| one.clone().err()) {
                    kept.fill(Err(error));
                }
                return kept;
            }
            Some(Fault::KeepsNoLog) => finished.iter_mut().for_each(|one| one.log.clear()),
            Some(Fault::KeepsTooManyRuns) => finished.iter_mut().for_each(|one| one.runs_kept = 1_000),
            Some(Fault::ForgetsTheState) => {
                for one in &mut finished {
                    one.cause = crate::store::Cause::Somebody;
                }
            }
            Some(Fault::ShowsSecrets) => {
                let said: Vec<_> = finished.iter().map(|one| one.run.outcome.clone()).collect();
                let kept = self.inner.keep(finished).await;
                return kept.into_iter().zip(said).map(|(kept, said)| kept.map(|kept| kept.map(|_| said))).collect();
            }
            Some(Fault::CutsCellsToTheLimit) => {
                for one in &mut finished {
                    while one.writes.len() as u64 >= crate::charm::MAX_CELLS {
                        one.writes.pop_last();
                    }
                }
            }
            _ => {}
        }
        self.inner.keep(finished).await
    }

    async fn logs(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LogEntry>, RuntimeError> {
        let after = if self.fault == Some(Fault::AnswersTheOldestLines) { after.or(Some(0)) } else { after };
        self.inner.logs(actor, charm, after, limit).await
    }

    async fn runs(&self, actor: &Actor, charm: &CharmRef, limit: usize) -> Result<Vec<Run>, RuntimeError> {
        let mut runs = self.inner.runs(actor, charm, limit).await?;
        if self.fault == Some(Fault::ForgetsTheRun) && !runs.is_empty() {
            runs.remove(0);
        }
        Ok(runs)
    }

    async fn counters(&self, actor: &Actor, charm: &CharmRef) -> Result<Counters, RuntimeError> {
        self.inner.counters(actor, charm).await
    }
}

#[async_trait]
impl Deploys for Faulty {
    async fn name(
        &self,
        actor: &Actor,
        space: &SpaceDid,
        inputs: Option<String>,
        id_of: IdOf,
    ) -> Result<Names, RuntimeError> {
        self.inner.name(actor, space, inputs, id_of).await
    }

    async fn find(
        &self,
        charm: &CharmRef,
        known_by: &[CharmId],
        program: &StoredProgram,
    ) -> Result<Option<FoundCharm>, RuntimeError> {
        self.inner.find(charm, known_by, program).await
    }

    async fn admit_charm(&self, actor: &Actor, space: &SpaceDid) -> Result<(), RuntimeError> {
        self.inner.admit_charm(actor, space).await
    }

    async fn deploy(&self, actor: &Actor, deployment: Deployment) -> Result<Deployed, RuntimeError> {
        let actor = if self.fault == Some(Fault::ExemptsStrangers) { &Actor::Operator } else { actor };
        self.inner.deploy(actor, deployment).await
    }

    async fn present(&self, actor: &Actor, charm: &CharmRef) -> Result<Present, RuntimeError> {
        self.inner.present(actor, charm).await
    }

    async fn update(&self, actor: &Actor, update: Update) -> Result<Option<Deployed>, RuntimeError> {
        let mut update = update;
        if self.fault == Some(Fault::ReplacesStalePrograms) {
            update.before = Arc::new(self.inner.present(actor, &update.deployment.new.charm).await?.charm);
        }
        self.inner.update(actor, update).await
    }

    async fn sources(&self, actor: &Actor, charm: &CharmRef) -> Result<Sources, RuntimeError> {
        self.inner.sources(actor, charm).await
    }

    async fn delete(&self, actor: &Actor, charm: &CharmRef) -> Result<(), RuntimeError> {
        if self.fault == Some(Fault::DeletesTheRegistrationAlone) {
            return self.inner.remove(actor, charm).await.map(drop);
        }
        self.inner.delete(actor, charm).await
    }
}

#[async_trait]
impl Registrations for Faulty {
    async fn revision(&self, actor: &Actor) -> Result<u64, RuntimeError> {
        if self.fault == Some(Fault::CountsNoChanges) { Ok(1) } else { self.inner.revision(actor).await }
    }

    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError> {
        self.inner.changed(seen).await
    }

    async fn wake(&self, charms: &[CharmRef]) -> Result<(), RuntimeError> {
        match self.fault {
            Some(Fault::WakesNobody) => Ok(()),
            _ => self.inner.wake(charms).await,
        }
    }

    async fn changes(
        &self,
        actor: &Actor,
        after: Option<u64>,
    ) -> Result<(RegistrationChanges, Vec<DamagedRegistration>), RuntimeError> {
        let after = if self.fault == Some(Fault::ForgetsChanges) { None } else { after };
        self.inner.changes(actor, after).await
    }

    async fn registrations(&self, actor: &Actor) -> Result<FoundRegistrations, RuntimeError> {
        let found = self.inner.registrations(actor).await?;
        match found.damaged.first() {
            Some(damaged) if self.fault == Some(Fault::FailsForOneDamagedRow) => {
                Err(RuntimeError::unavailable(damaged.to_string()))
            }
            _ => Ok(found),
        }
    }

    async fn enabled_charms(&self, actor: &Actor, integration: &IntegrationId) -> Result<Vec<CharmRef>, RuntimeError> {
        self.inner.enabled_charms(actor, integration).await
    }

    async fn enabled(&self, actor: &Actor, integration: &IntegrationId) -> Result<Vec<Registration>, RuntimeError> {
        self.inner.enabled(actor, integration).await
    }

    async fn list(&self, actor: &Actor, integration: &IntegrationId) -> Result<Option<Vec<CharmRef>>, RuntimeError> {
        self.inner.list(actor, integration).await
    }

    async fn prepare_list(&self, actor: &Actor, integration: &IntegrationId) -> Result<(), RuntimeError> {
        self.inner.prepare_list(actor, integration).await
    }

    async fn overview(&self, actor: &Actor, query: &RegistrationQuery) -> Result<RegistrationPage, RuntimeError> {
        let mut query = query.clone();
        if self.fault == Some(Fault::IgnoresCursors) {
            query.cursor = None;
        }
        let mut page = self.inner.overview(actor, &query).await?;
        if self.fault == Some(Fault::OrdersBackwards) {
            page.rows.reverse();
        }
        Ok(page)
    }

    async fn overview_of(&self, actor: &Actor, charm: &CharmRef) -> Result<Option<RegistrationRow>, RuntimeError> {
        self.inner.overview_of(actor, charm).await
    }

    async fn registration_counts(&self, actor: &Actor) -> Result<Vec<RegistrationCount>, RuntimeError> {
        self.inner.registration_counts(actor).await
    }

    async fn count_to_enable(&self, actor: &Actor, filter: &RegistrationFilter) -> Result<u64, RuntimeError> {
        self.inner.count_to_enable(actor, filter).await
    }

    async fn enable_all(&self, actor: &Actor, filter: &RegistrationFilter) -> Result<u64, RuntimeError> {
        self.inner.enable_all(actor, filter).await
    }

    async fn register(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        integration: &IntegrationId,
        streams: &[&str],
    ) -> Result<Registration, RuntimeError> {
        self.inner.register(actor, charm, integration, streams).await
    }

    async fn set_disabled(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        disabled: Option<(DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError> {
        self.inner.set_disabled(actor, charm, disabled).await
    }

    async fn set_interval(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        interval: Option<Duration>,
    ) -> Result<Registration, RuntimeError> {
        self.inner.set_interval(actor, charm, interval).await
    }

    async fn remove(&self, actor: &Actor, charm: &CharmRef) -> Result<bool, RuntimeError> {
        self.inner.remove(actor, charm).await
    }

    async fn record(&self, actor: &Actor, runs: &[Run], kept: u32) -> Result<(), RuntimeError> {
        self.inner.record(actor, runs, kept).await?;
        if self.fault == Some(Fault::RecordsTwice) {
            let mut again = runs.to_vec();
            for run in &mut again {
                run.duration += Duration::from_millis(1);
            }
            self.inner.record(actor, &again, kept).await?;
        }
        Ok(())
    }

    async fn note_failing(&self, failing: Vec<PollState>, recovered: Vec<CharmRef>) -> Result<(), RuntimeError> {
        self.inner.note_failing(failing, recovered).await
    }

    async fn wake_waiting(&self) -> Result<(), RuntimeError> {
        self.inner.wake_waiting().await
    }
}

#[async_trait]
impl Accounts for Faulty {
    async fn set_client(&self, client: OAuthClient) -> Result<(), RuntimeError> {
        let mut client = client;
        if self.fault == Some(Fault::KeepsTheFirstSecret)
            && let Some(first) = self.inner.client(&client.provider).await?
        {
            client.secret = first.secret;
        }
        self.inner.set_client(client).await
    }

    async fn client(&self, provider: &str) -> Result<Option<OAuthClient>, RuntimeError> {
        self.inner.client(provider).await
    }

    async fn clients(&self) -> Result<Vec<OAuthClient>, RuntimeError> {
        self.inner.clients().await
    }

    async fn accounts(&self) -> Result<Vec<Account>, RuntimeError> {
        self.inner.accounts().await
    }

    async fn account(&self, id: &str) -> Result<Option<Account>, RuntimeError> {
        self.inner.account(id).await
    }

    async fn grant(&self, id: &str) -> Result<Option<(u64, Grant)>, RuntimeError> {
        self.inner.grant(id).await
    }

    async fn sign_in(&self, sign_in: SignIn) -> Result<Account, RuntimeError> {
        self.inner.sign_in(sign_in).await
    }

    async fn remove_account(&self, id: &str) -> Result<bool, RuntimeError> {
        if self.fault == Some(Fault::RemovesNoAccount) {
            return Ok(self.inner.account(id).await?.is_some());
        }
        self.inner.remove_account(id).await
    }

    async fn attach(&self, link: Link, edit: CellEdit) -> Result<(), RuntimeError> {
        let (again, cell) = (link.clone(), edit.cell.clone());
        let attached = self.inner.attach(link, edit).await;
        if attached.is_err() && self.fault == Some(Fault::LinksWithoutTheCell) {
            let edit = Box::new(|found: crate::store::Editor<'_>| Ok(found.document?.unwrap_or_default()));
            self.inner.attach(again, CellEdit { cell, edit, update: CellUpdate::Set }).await?;
        }
        attached
    }

    async fn links(&self, charm: &CharmRef) -> Result<Vec<Link>, RuntimeError> {
        self.inner.links(charm).await
    }

    async fn link_by_handle(&self, handle: &[u8; 32]) -> Result<Option<Link>, RuntimeError> {
        self.inner.link_by_handle(handle).await
    }

    async fn fill(&self, link: &Link, generation: u64, edit: CellEdit) -> Result<(), RuntimeError> {
        self.inner.fill(link, generation, edit).await
    }

    async fn detach(&self, link: &Link, edit: CellEdit) -> Result<(), RuntimeError> {
        self.inner.detach(link, edit).await
    }

    async fn take_renewal(
        &self,
        account: &str,
        generation: u64,
        owner: &str,
        time: Duration,
    ) -> Result<Turn, RuntimeError> {
        let owner = if self.fault == Some(Fault::LetsEverybodyRenew) { "everybody" } else { owner };
        self.inner.take_renewal(account, generation, owner, time).await
    }

    async fn keep_grant(&self, account: &str, generation: u64, grant: Grant) -> Result<bool, RuntimeError> {
        let present = self.inner.account(account).await?.map(|account| account.generation);
        let generation = match self.fault {
            Some(Fault::ReplacesNewerGrants) => present.unwrap_or(generation),
            _ => generation,
        };
        self.inner.keep_grant(account, generation, grant).await
    }

    async fn fail_renewal(
        &self,
        account: &str,
        generation: u64,
        owner: &str,
        code: &str,
        ended: bool,
    ) -> Result<bool, RuntimeError> {
        self.inner.fail_renewal(account, generation, owner, code, ended).await
    }
}

#[async_trait]
impl Store for Faulty {
    async fn fast_clocks(&self) -> Result<FastClock, RuntimeError> {
        self.inner.fast_clocks().await
    }

    async fn keep_fast_clock(&self, is_operator: bool, until: u64) -> Result<(), RuntimeError> {
        self.inner.keep_fast_clock(is_operator, until).await
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.inner.commits()
    }

    async fn commit_or(&self, commits: &mut watch::Receiver<u64>, until: Instant) -> Result<(), RuntimeError> {
        self.inner.commit_or(commits, until).await
    }

    fn writes(&self, charm: &CharmRef) -> u64 {
        self.inner.writes(charm)
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn damaged_cell(&self, charm: &CharmRef, name: &str) -> RuntimeError {
        self.inner.damaged_cell(charm, name)
    }
}
