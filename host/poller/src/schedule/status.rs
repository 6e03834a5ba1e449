//! Registrations that are to be disabled after failures, or enabled again.

use crate::CharmRef;

/// A registration that the runtime is to disable or enable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// Which charm.
    pub charm: CharmRef,
    /// Why it is to be disabled; none if it is to be enabled.
    pub disable: Option<String>,
}

/// Why the loop disables a charm, for people.
pub(crate) fn in_a_row(failures: u32, last: Option<&str>) -> String {
    let last = last.map_or(String::new(), |last| format!(": {last}"));
    format!("{failures} failures in a row{last}")
}
