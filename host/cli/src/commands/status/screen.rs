//! The same for people, on one screen.

use std::fmt::Write as _;

use bg_poller::UnixMillis;

use super::seen::{Named, Status};
use crate::output;

/// As much of a reason as is shown: a line of a wide terminal.
const REASON: usize = 120;

pub(super) fn of(status: &Status) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    let mut line = |what: &str, found: &str| {
        let _ = writeln!(text, "{what:<14} {found}");
    };
    line("charm runtime", &status.runtime);
    let services = &status.services;
    if let Some(polls) = &services.polls {
        line("service", &format!("{polls} polls"));
    }
    for one in &services.elsewhere {
        let mend = if one.problem.is_some() { format!("; to mend it: {}", one.mend()) } else { String::new() };
        line("service", &output::printable(&format!("{one}{mend}")));
    }
    if services.polls.is_none() && services.elsewhere.is_empty() {
        line("service", "none of this data directory polls; `bg-wasm-host run` would");
    }
    if let Some(serves) = &services.serves {
        line("server", &serves.to_string());
    }
    if let Some((_, url)) = services.listener() {
        line("admin page", &format!("{url}/admin"));
    }
    let counts: Vec<String> = status
        .states
        .iter()
        .filter(|one| one.registrations > 0)
        .map(|one| format!("{} {}", one.registrations, one.state))
        .collect();
    let registrations = match counts.as_slice() {
        [] => "none".to_owned(),
        counts => format!("{}: {}", status.registrations, counts.join(", ")),
    };
    line("registrations", &registrations);
    for (number, polled) in status.polled.iter().enumerate() {
        let what = if number == 0 { "charms polled" } else { "" };
        line(what, &format!("{} in {} min, {} of them failed", polled.charms, polled.minutes, polled.failed));
    }
    for (number, one) in status.integrations.iter().enumerate() {
        let what = if number == 0 { "integrations" } else { "" };
        let (id, count, troubled) = (one.integration.as_str(), one.registrations, one.troubled);
        line(what, &format!("{id}: {count} registrations, {troubled} of them not running"));
    }
    named(&mut text, "newest failures", status.at, &status.failures);
    named(&mut text, "disabled", status.at, &status.disabled);
    text
}

fn named(text: &mut String, heading: &str, now: UnixMillis, charms: &[Named]) {
    if charms.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{heading}");
    for one in charms {
        let reason: String = output::printable(&one.status).chars().take(REASON).collect();
        let _ = writeln!(text, "  {} ({}, {}, {})", one.charm, one.integration, one.state, output::ago(now, one.at));
        let _ = writeln!(text, "      {reason}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_screen_says_who_polls_what_runs_and_what_does_not() {
        let shown = of(&super::super::seen::tests::status());
        for part in [
            "service        none of this data directory polls",
            "registrations  104: 100 running, 2 failing, 1 disabled by hand, 1 disabled by failures\n",
            "charms polled  100 in 1 min, 0 of them failed\n               102 in 5 min, 2 of them failed",
            "integrations   gmail: 60 registrations, 0 of them not running\n",
            "(feed, failing, 100 s ago)\n      HandlerFailed: newer\\u{1b}[31m\n",
            "\ndisabled\n",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(shown.lines().count() <= 24, "{shown}");
    }
}
