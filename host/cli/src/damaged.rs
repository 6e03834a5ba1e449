//! Registrations that cannot be read, so that lists pass them over.

use bg_charm_api::{DamagedRegistration, Runtime};

/// All of them, as far as it can be known: a server of an earlier version does not say it.
pub(crate) async fn read(runtime: &dyn Runtime) -> Vec<DamagedRegistration> {
    runtime.damaged().await.unwrap_or_else(|error| {
        tracing::debug!("it is not known which registrations are damaged: {error:#}");
        Vec::new()
    })
}
