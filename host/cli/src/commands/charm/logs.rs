//! `charm logs`.

use std::time::Duration;

use bg_charm_api::{LogEntry, LogQuery};
use bg_poller::RuntimeError;

use crate::args::{Common, LogsArgs};
use crate::{connect, output};

/// Lines per request while a log is followed.
const PAGE: usize = 1_000;

/// The pause before an unavailable runtime is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints the newest lines, and follows the log if requested.
pub(super) async fn run(common: &Common, args: &LogsArgs) -> anyhow::Result<()> {
    let runtime = connect::client(common).await?;
    // A limit of 0 skips the existing lines: the newest one is fetched for its cursor.
    let mut query = LogQuery { after: None, limit: args.limit.max(1), wait: false };
    let mut wanted = args.limit;
    let mut away = false;
    loop {
        match runtime.logs(&args.charm, query).await {
            Ok(entries) => {
                away = false;
                for entry in entries.iter().take(wanted) {
                    if !output::line_if_read(shown(entry, args.json)?)? {
                        return Ok(());
                    }
                }
                if entries.is_empty() && wanted > 0 && !args.follow {
                    output::note(&[format!("{} has no log lines", args.charm)]);
                }
                query.after = entries.last().map(|entry| entry.cursor).or(query.after).or(Some(0));
            }
            // It may be restarting; lines logged meanwhile are not lost.
            Err(RuntimeError::Unavailable { message: problem, .. }) if args.follow && query.after.is_some() => {
                if !away {
                    tracing::warn!("{problem}; trying again until it answers");
                }
                away = true;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
        if !args.follow {
            return Ok(());
        }
        query = LogQuery { limit: PAGE, wait: true, ..query };
        wanted = PAGE;
    }
}

fn shown(entry: &LogEntry, json: bool) -> anyhow::Result<String> {
    if json {
        return Ok(output::json_line(entry)?);
    }
    let line = &entry.line;
    Ok(format!("{}  {:<5}  {}", output::time(line.at), line.level, output::printable(&line.text)))
}
