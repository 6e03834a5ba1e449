//! How integrations are doing, as far as it can be told from here: the service that polls them keeps that beside its other state.

use bg_charm_api::wire::{HealthState, IntegrationHealth};
use bg_charm_runtime::SqlitePollStore;
use bg_identity::IntegrationId;
use bg_poller::UnixMillis;

use crate::args::Common;
use crate::connect::{self, Place};
use crate::output;
use crate::paths::DataDir;

/// How all integrations with a component are doing; of the others, and where no service of this data directory polls, nothing is known.
pub(crate) async fn read(common: &Common) -> Vec<IntegrationHealth> {
    match try_read(common).await {
        Ok(all) => all,
        Err(error) => {
            tracing::debug!("it is not known how integrations are doing: {error:#}");
            Vec::new()
        }
    }
}

async fn try_read(common: &Common) -> anyhow::Result<Vec<IntegrationHealth>> {
    let databases = match connect::place(common).await? {
        Place::Remote { url, .. } => {
            let data_dir = DataDir::open(common)?;
            // A `run` elsewhere tells the server of this data directory, which keeps it as well.
            let of_server = common.api_url.is_none().then(|| data_dir.runtime_database());
            [Some(data_dir.poll_database(&url)), of_server].into_iter().flatten().collect()
        }
        Place::Local(data_dir) => vec![data_dir.runtime_database()],
    };
    for database in databases.into_iter().filter(|database| database.exists()) {
        let store = tokio::task::spawn_blocking(move || SqlitePollStore::open(&database)).await??;
        let all = store.health().await?;
        if !all.is_empty() {
            return Ok(all);
        }
    }
    Ok(Vec::new())
}

/// That of one of them.
pub(crate) fn of<'a>(all: &'a [IntegrationHealth], integration: &IntegrationId) -> Option<&'a IntegrationHealth> {
    all.iter().find(|health| health.integration == *integration)
}

/// In a line, for people: the state, until when it is paused, and why.
pub(crate) fn line(health: &IntegrationHealth, now: UnixMillis) -> String {
    let IntegrationHealth { state, reason, paused_until, failure, .. } = health;
    let left = paused_until.since(now).as_secs();
    let until = match state {
        HealthState::Paused if left > 0 => format!(" until {}, for {}", output::time(*paused_until), wait(left)),
        _ => String::new(),
    };
    let why = if reason.is_empty() { String::new() } else { format!(": {}", output::printable(reason)) };
    let failure = failure.as_ref().filter(|_| *state >= HealthState::Failing);
    let ago = failure.map(|failure| format!(" ({})", output::ago(now, failure.at))).unwrap_or_default();
    format!("{state}{until}{why}{ago}")
}

fn wait(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        _ => format!("{} min", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use bg_poller::{ComponentFailure, OutcomeKind};

    use super::*;

    #[test]
    fn a_line_says_what_is_wrong_and_until_when() {
        let now = UnixMillis(1_800_000_000_000);
        let failure = ComponentFailure {
            at: UnixMillis(now.0 - 5_000),
            function: "fetch-charms".to_owned(),
            kind: OutcomeKind::Trapped,
            reason: "wasm trap".to_owned(),
            in_a_row: 5,
        };
        let works = IntegrationHealth::working("mail".parse().unwrap());
        assert_eq!(line(&works, now), "works");
        let paused = IntegrationHealth {
            state: HealthState::Paused,
            reason: "fetch-charms failed: \u{1b}[2J".to_owned(),
            paused_until: UnixMillis(now.0 + 240_000),
            failure: Some(failure),
            ..works.clone()
        };
        assert_eq!(
            line(&paused, now),
            "paused until 2027-01-15T08:04:00.000Z, for 4 min: fetch-charms failed: \\u{1b}[2J (5 s ago)"
        );
        let degraded =
            IntegrationHealth { state: HealthState::Degraded, reason: "all were denied".to_owned(), ..works };
        assert_eq!(line(&degraded, now), "degraded: all were denied");
    }
}
