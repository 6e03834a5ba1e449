//! The tests that every store must pass.
//!
//! A store's own tests implement [`Fixture`], and call [`store_suite!`](crate::store_suite): that is one test for each
//! of [`CASES`]. They also call [`fails_with_each_fault`], which shows that the suite notices when a store breaks a
//! promise.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod accounts;
mod calls;
mod charms;
mod faults;
mod limits;
mod registrations;
mod scene;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bg_poller::CharmRef;

pub use faults::{FAULTS, Fault, Faulty};

use crate::store::Store;
use crate::tenancy::Tenancy;

/// Makes stores for the suite.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// An empty store, for nobody else.
    async fn home(&self, tenancy: Tenancy) -> Arc<dyn Home>;
}

/// Where one store keeps its data.
#[async_trait]
pub trait Home: Send + Sync {
    /// The store.
    fn store(&self) -> Arc<dyn Store>;

    /// The same data, opened once more, as another process has it.
    async fn another(&self) -> Arc<dyn Store>;

    /// Damages stored data, as a disk does.
    async fn damage(&self, what: Damage);
}

/// What is damaged.
#[derive(Clone, Debug)]
pub enum Damage {
    /// The interval of a registration: it is -5.
    Registration(CharmRef),
    /// The text of a cell: it is not JSON any more.
    Cell(CharmRef, String),
}

/// A test of the suite.
pub type Case = for<'f> fn(&'f dyn Fixture) -> Pin<Box<dyn Future<Output = ()> + Send + 'f>>;

macro_rules! cases {
    ($($module:ident::$name:ident),* $(,)?) => {
        /// All tests, by their names.
        pub const CASES: &[(&str, Case)] = &[$((stringify!($name), |fixture| Box::pin($module::$name(fixture)))),*];

        /// Makes a test of each case: `store_suite!(fixture)`, where `fixture` is an expression for a
        /// [`Fixture`](crate::suite::Fixture).
        #[macro_export]
        macro_rules! store_suite {
            ($fixture:expr) => {
                $(
                    #[tokio::test]
                    async fn $name() {
                        $crate::suite::run(stringify!($name), &$fixture).await;
                    }
                )*
            };
        }
    };
}

cases! {
    accounts::a_client_is_replaced_with_its_secret,
    accounts::a_grant_replaces_only_the_one_that_it_was_made_from,
    accounts::one_process_at_a_time_renews_an_account,
    accounts::a_link_and_its_cell_change_together,
    accounts::an_account_and_a_charm_that_are_removed_leave_no_link,
    calls::a_call_is_kept_if_the_cells_are_still_those_that_it_read,
    calls::of_a_call_all_is_kept_or_nothing,
    calls::calls_that_are_kept_together_succeed_and_fail_each_for_itself,
    calls::a_failed_call_keeps_its_run_without_its_secrets,
    calls::a_reader_gets_the_cells_of_the_version_that_it_began_with,
    charms::what_is_kept_is_seen_by_every_later_operation_of_every_process,
    charms::a_program_is_replaced_unless_the_cells_have_changed,
    charms::an_edit_that_is_refused_changes_nothing,
    charms::a_deleted_charm_leaves_nothing_to_another_of_its_name,
    charms::a_stranger_reads_and_writes_nothing_in_a_private_space,
    limits::a_stranger_keeps_no_more_charms_than_a_space_may_have,
    limits::a_call_over_a_limit_keeps_its_run_and_no_cell,
    limits::a_call_of_a_stranger_over_the_quota_of_bytes_keeps_no_cell,
    limits::the_log_keeps_its_newest_lines_and_a_cursor_goes_on_after_a_line,
    limits::the_history_keeps_the_newest_runs,
    registrations::pages_have_every_registration_once_in_the_order_of_names,
    registrations::a_change_raises_the_revision_and_names_its_charm,
    registrations::a_run_is_noted_once,
    registrations::a_charm_that_waits_is_woken_by_an_edit_and_not_by_its_poll,
    registrations::a_fix_by_another_process_after_a_poll_has_read_its_cells_wakes_the_charm,
    registrations::charms_that_wait_are_woken_by_name,
    registrations::a_damaged_row_hides_no_other,
}

/// Runs one case; panics if it fails.
pub async fn run(name: &str, fixture: &dyn Fixture) {
    let (_, case) = CASES.iter().find(|(known, _)| *known == name).unwrap();
    case(fixture).await;
}

/// Panics unless all cases pass with an unchanged store, and the case that is meant for it fails with each fault.
pub async fn fails_with_each_fault(fixture: Arc<dyn Fixture>) {
    let failed = async |case: &'static str, fault: Option<Fault>| {
        let fixture = faults::FaultyFixture { inner: Arc::clone(&fixture), fault };
        tokio::spawn(async move { run(case, &fixture).await }).await.is_err()
    };
    for (case, _) in CASES {
        assert!(!failed(case, None).await, "{case} fails without a fault");
    }
    for (fault, case) in FAULTS {
        assert!(failed(case, Some(*fault)).await, "{case} passes although {fault:?}");
    }
}
