//! `renew-account`: the process that renews an account, and ends its work also if the service is killed. Started by the
//! program itself, not by people.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bg_charm_api::wire::Problem;
use bg_charm_runtime::work_as_renewer;
use bg_poller::RuntimeError;
use tokio::signal::unix::{SignalKind, signal};

use crate::{output, providers};

/// Renews the account. What ends a service does not end this.
pub(crate) fn run(database: &Path, account: &str, generation: u64, secrets_key: Option<&Path>) -> ExitCode {
    let failed = |error: &dyn std::fmt::Display| Problem::from(&RuntimeError::unavailable(format!("{error:#}")));
    let worked = (|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        runtime.block_on(async {
            let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
            // While they are held, they end nothing.
            let _held: Vec<_> = signals.into_iter().filter_map(|kind| signal(kind).ok()).collect();
            let folder = database.parent().map(PathBuf::from).unwrap_or_default();
            let options = providers::options(&folder).map_err(|error| failed(&error))?;
            work_as_renewer(&options, database, secrets_key, account, generation).await
        })
    })();
    match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // The process that asked may be gone.
            let _ = output::json_line(&problem).map(|text| output::raw(&text));
            ExitCode::FAILURE
        }
    }
}
