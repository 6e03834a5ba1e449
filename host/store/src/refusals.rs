//! What callers are answered whose request a store refuses.

use bg_identity::{SpaceDid, system_space};
use bg_poller::{CharmRef, RuntimeError};

use crate::charm::StoredCharm;

/// There is no such space.
pub fn no_space(space: &SpaceDid) -> RuntimeError {
    RuntimeError::Invalid(format!(
        "there is no space {space}; `bg-wasm-host space new NAME` makes one, and so does deploying a charm to it where \
         the caller may"
    ))
}

/// An unsigned request makes no spaces.
pub fn unsigned_makes_no_space() -> RuntimeError {
    let message = "an unsigned request makes no spaces; sign it".to_owned();
    RuntimeError::Authorization { space: system_space(), message }
}

/// The caller has a space of that name.
pub fn space_exists(name: &str, space: &SpaceDid) -> RuntimeError {
    RuntimeError::Invalid(format!("there is a space {name:?} already: {space}"))
}

/// What only an owner or the service may do with the program of a charm; for [`Right::OwnerOrService`].
///
/// [`Right::OwnerOrService`]: crate::Right::OwnerOrService
pub fn to_update(charm: &CharmRef) -> String {
    format!("to replace the program of {charm}: a new one can read the secrets that the charm has, or is given later")
}

/// Access was refused that is needed for a purpose, which begins with "to".
pub fn refused_for(error: RuntimeError, purpose: &str) -> RuntimeError {
    match error {
        RuntimeError::Authorization { space, message } => {
            RuntimeError::Authorization { space, message: format!("{message} {purpose}") }
        }
        other => other,
    }
}

/// A charm has no stream of that name.
pub fn no_stream(charm: &StoredCharm, stream: &str) -> RuntimeError {
    let name = &charm.summary.charm;
    RuntimeError::Unfit(format!("{name} has no stream {stream:?}; its streams: {}", charm.stream_list()))
}

/// A charm has none of the streams that polls send events to.
pub fn cannot_be_polled(charm: &StoredCharm, streams: &[String]) -> RuntimeError {
    RuntimeError::Unfit(format!(
        "{} cannot be polled: it has no stream with one of the names {}; its streams: {}",
        charm.summary.charm,
        streams.join(", "),
        charm.stream_list()
    ))
}

/// A charm has no registration.
pub fn not_registered(charm: &CharmRef) -> RuntimeError {
    RuntimeError::Unfit(format!("{charm} is not registered in {} (the system space)", system_space()))
}

/// A new program would make a stream of what is a cell.
pub fn becomes_a_stream(charm: &CharmRef, cell: &str) -> RuntimeError {
    RuntimeError::Unfit(format!(
        "{charm} cannot be updated: {cell} is a cell of it, and would become a stream; give the stream another name, \
         or deploy the program as a new charm"
    ))
}
