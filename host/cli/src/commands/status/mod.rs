//! `status`: an overview of the service.

mod screen;
mod seen;

use std::time::Duration;

use bg_identity::printable_lines;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Common, StatusArgs};
use crate::{layout, output};
use seen::Status;

/// The interval of `--watch`.
const AGAIN: Duration = Duration::from_secs(2);

/// Moves the cursor to the top left of a terminal's screen, and clears the screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows the state of the service: once, or repeatedly until Ctrl-C.
pub(crate) async fn run(common: &Common, args: StatusArgs) -> anyhow::Result<()> {
    if args.watch {
        return watch(common).await;
    }
    let status = Status::look(common).await?;
    if args.json {
        return output::json(&status);
    }
    output::line(screen::of(&status, layout::width()).trim_end())?;
    Ok(())
}

async fn watch(common: &Common) -> anyhow::Result<()> {
    // From now on, so that a Ctrl-C during the first query is not lost.
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        let looked = tokio::select! {
            looked = Status::look(common) => looked,
            _ = interrupt.recv() => return Ok(()),
        };
        // A runtime that is temporarily unavailable comes back.
        let drawn = match looked {
            Ok(status) => screen::of(&status, layout::width()),
            Err(error) => format!("{}\n", output::printable(&format!("error: {error:#}"))),
        };
        // `screen` has made all foreign texts printable; the codes that clear the screen are ours.
        if !output::raw(&format!("{CLEAR}{}\nevery {} s; Ctrl-C ends it", printable_lines(&drawn), AGAIN.as_secs()))? {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = interrupt.recv() => return Ok(()),
        }
    }
}
