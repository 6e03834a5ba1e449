//! The parts of a server.

use std::sync::Arc;

use bg_charm_runtime::LocalRuntime;

use crate::activity::Activity;
use crate::polling::Polling;

/// The parts of a server.
#[derive(Clone, Debug)]
pub struct Site {
    /// The charm runtime.
    pub runtime: Arc<LocalRuntime>,
    /// The activity of this process's guests.
    pub activity: Arc<Activity>,
    /// The poll loop of this process, if there is one.
    pub polling: Option<Arc<Polling>>,
}

/// A charm runtime that another process polls, without a record of guests' activity.
impl From<Arc<LocalRuntime>> for Site {
    fn from(runtime: Arc<LocalRuntime>) -> Self {
        Self { runtime, activity: Activity::new(), polling: None }
    }
}
