//! What was tried, with the results.

use std::collections::BTreeMap;
use std::fmt;

/// Requests by operation and status.
#[derive(Default)]
pub struct Tally(BTreeMap<String, BTreeMap<u16, usize>>);

impl Tally {
    pub fn add(&mut self, operation: &str, status: u16) {
        *self.0.entry(operation.to_owned()).or_default().entry(status).or_default() += 1;
    }

    fn all(&self) -> impl Iterator<Item = (u16, usize)> {
        self.0.values().flatten().map(|(status, many)| (*status, *many))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (operation, statuses) in &self.0 {
            let many: usize = statuses.values().sum();
            let statuses: Vec<String> = statuses.iter().map(|(status, many)| format!("{status}: {many}")).collect();
            writeln!(f, "{operation:20} {many:5} requests  {}", statuses.join("  "))?;
        }
        let many: usize = self.all().map(|(_, many)| many).sum();
        let failed: usize = self.all().filter(|(status, _)| *status >= 500).map(|(_, many)| many).sum();
        write!(f, "{many} requests to {} operations, {failed} answered with 5xx", self.0.len())
    }
}
