//! How many files and sockets a service may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for a hundred integrations with all the requests that each may have under way (128 at once), several times over; a number
/// without an end would only hide a leak.
const ENOUGH: u64 = 65_536;

/// Takes as many as the system allows, rather than as few as it gives unasked (mostly 1,024), so that no integration's connections
/// leave none for others.
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
