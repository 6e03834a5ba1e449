//! The limit of open files and sockets of a service.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for a hundred integrations with all their concurrent requests (128 each), several times over; an unlimited
/// number would only hide a leak.
const ENOUGH: u64 = 65_536;

/// Raises the limit from the system's low default (mostly 1,024) as far as allowed, so that one integration's
/// connections leave room for others.
pub(crate) fn allow_many() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
