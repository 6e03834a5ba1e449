//! What a server offers.

use std::sync::Arc;

use bg_charm_runtime::LocalRuntime;

use crate::activity::Activity;
use crate::polling::Polling;

/// What a server offers.
#[derive(Clone, Debug)]
pub struct Site {
    /// The charm runtime.
    pub runtime: Arc<LocalRuntime>,
    /// What guests of this process do.
    pub activity: Arc<Activity>,
    /// The poll loop of this process, if there is one.
    pub polling: Option<Arc<Polling>>,
}

/// A charm runtime that another process polls, and of whose guests nothing is told.
impl From<Arc<LocalRuntime>> for Site {
    fn from(runtime: Arc<LocalRuntime>) -> Self {
        Self { runtime, activity: Activity::new(), polling: None }
    }
}
