//! What guests have handles to.

use std::sync::Arc;

use bg_poller::Charm;

/// A charm that a guest has a handle to.
#[allow(unreachable_pub, reason = "the bindings name it as public")]
pub struct OpenCharm(pub(crate) Arc<dyn Charm>);
