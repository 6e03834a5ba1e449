//! Unreadable registrations, which lists skip.

use bg_charm_api::{DamagedRegistration, Runtime};

/// All of them, if known: an earlier version of the server does not report them.
pub(crate) async fn read(runtime: &dyn Runtime) -> Vec<DamagedRegistration> {
    runtime.damaged().await.unwrap_or_else(|error| {
        tracing::debug!("it is not known which registrations are damaged: {error:#}");
        Vec::new()
    })
}
