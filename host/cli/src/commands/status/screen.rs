//! The overview for people, on one screen.

use std::fmt::Write as _;

use bg_charm_api::wire::{HealthState, IntegrationHealth};
use bg_poller::{RegistrationState, UnixMillis};

use super::seen::{InState, Named, OfIntegration, Status};
use crate::{health, layout, output};

/// The column of the values.
const INDENT: usize = 15;
/// The column of reasons.
const REASON_INDENT: usize = 6;
/// How many of the last lines of a failing integration are shown; its page has more.
const LOG_LINES: usize = 3;
/// How many damaged registrations are named.
const DAMAGED: usize = 8;
/// How many lines of the terminal a reason may take.
const REASON_LINES: usize = 2;

/// The screen for a terminal of `width` characters. Without a terminal, nothing is omitted.
pub(super) fn of(status: &Status, width: Option<usize>) -> String {
    let mut text = String::new();
    let mut line = |what: &str, found: &str| {
        let lines = width.map_or_else(|| vec![found.to_owned()], |width| layout::wrap(found, width - INDENT));
        for (number, found) in lines.iter().enumerate() {
            let what = if number == 0 { what } else { "" };
            // Writing to a string can't fail.
            let _ = writeln!(text, "{what:<14} {found}");
        }
    };
    line("charm runtime", &status.runtime);
    let services = &status.services;
    if let Some(polls) = &services.polls {
        line("service", &format!("{polls} polls"));
    }
    for one in &services.elsewhere {
        let fix = if one.problem.is_some() { format!("; to fix it: {}", one.fix()) } else { String::new() };
        line("service", &output::printable(&format!("{one}{fix}")));
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
    let registrations = match status.registrations {
        0 => "none".to_owned(),
        count => format!("{count}: {}", counted(&status.states)),
    };
    line("registrations", &registrations);
    for one in status.damaged.iter().take(DAMAGED) {
        line("", &output::printable(&one.to_string()));
    }
    if let Some(more) = status.damaged.len().checked_sub(DAMAGED).filter(|more| *more > 0) {
        line("", &format!("{more} more are damaged; `bg-wasm-host list` names them"));
    }
    for (number, polled) in status.polled.iter().enumerate() {
        let what = if number == 0 { "charms polled" } else { "" };
        line(what, &format!("{} in {} min, {} of them failed", polled.charms, polled.minutes, polled.failed));
    }
    for (number, one) in status.integrations.iter().enumerate() {
        let what = if number == 0 { "integrations" } else { "" };
        line(what, &of_integration(one));
        let is_said = |health: &&IntegrationHealth| health.state != HealthState::Works || one.health_as_of.is_some();
        if let Some(health) = one.health.as_ref().filter(is_said) {
            let fix = one.fix.as_ref().filter(|_| one.health_as_of.is_none());
            let fix = fix.map_or_else(String::new, |fix| format!("; to fix it: {}", output::printable(fix)));
            line("", &format!("  {}{fix}", health::line_as_of(health, one.health_as_of, status.at)));
            for logged in health.log.iter().rev().take(LOG_LINES).rev() {
                line("", &output::printable(&format!("  it logged {}: {}", logged.level, logged.text)));
            }
        }
    }
    let failures = named(&mut text, "newest failures", status.at, &status.failures, width);
    let disabled = named(&mut text, "disabled", status.at, &status.disabled, width);
    if failures || disabled {
        let _ = writeln!(text, "\n`bg-wasm-host runs CHARM` shows lines with … in full");
    }
    text
}

/// How many charms are in each state that occurs.
fn counted(states: &[InState]) -> String {
    let some = states.iter().filter(|one| one.registrations > 0);
    some.map(|one| format!("{} {}", one.registrations, one.state)).collect::<Vec<_>>().join(", ")
}

fn of_integration(one: &OfIntegration) -> String {
    let count = match one.registrations {
        0 => return format!("{}: no registrations", one.integration),
        1 => "1 registration".to_owned(),
        count => format!("{count} registrations"),
    };
    let id = &one.integration;
    match one.states.iter().find(|of| of.registrations == one.registrations) {
        Some(InState { state, .. }) if one.registrations == 1 => format!("{id}: {count}, {state}"),
        Some(InState { state: RegistrationState::Running, .. }) => format!("{id}: {count}, all running"),
        _ => format!("{id}: {count}: {}", counted(&one.states)),
    }
}

/// Whether a reason was cut.
fn named(text: &mut String, heading: &str, now: UnixMillis, charms: &[Named], width: Option<usize>) -> bool {
    if charms.is_empty() {
        return false;
    }
    let _ = writeln!(text, "\n{heading}");
    let mut is_cut = false;
    for (number, one) in charms.iter().enumerate() {
        // Consecutive charms with the same fix: once, below the last one.
        let next = charms.get(number + 1).and_then(remedy);
        let remedy = remedy(one).filter(|remedy| Some(remedy) != next.as_ref());
        let reason = output::printable(&one.status);
        let about = format!("({}, {}, {})", one.integration, one.state, output::ago(now, one.at));
        let Some(width) = width else {
            let _ = writeln!(text, "  {} {about}\n      {reason}", one.charm);
            if let Some(remedy) = remedy {
                let _ = writeln!(text, "      {remedy}");
            }
            continue;
        };
        // A name is never cut, so that it can be copied.
        let _ = writeln!(text, "  {}", one.charm);
        let (lines, is_all) = layout::beginning(&format!("{about} {reason}"), width - REASON_INDENT, REASON_LINES);
        is_cut |= !is_all;
        let remedy = remedy.map(|remedy| layout::wrap(&remedy, width - REASON_INDENT)).unwrap_or_default();
        for line in lines.into_iter().chain(remedy) {
            let _ = writeln!(text, "{:REASON_INDENT$}{line}", "");
        }
    }
    is_cut
}

/// The fix for a charm, which is named above it. A charm that was disabled by hand needs none.
fn remedy(one: &Named) -> Option<String> {
    if one.state == RegistrationState::DisabledByHand {
        return None;
    }
    let fix = one.fix.as_ref()?.replace(&one.charm.to_string(), "CHARM");
    Some(output::printable(&format!("to fix it: {fix}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_screen_says_who_polls_what_runs_and_what_does_not() {
        let shown = of(&super::super::seen::tests::status(), None);
        for part in [
            "service        none of this data directory polls",
            "registrations  104: 100 running, 2 failing, 1 disabled by hand, 1 disabled by failures\n",
            "charms polled  100 in 1 min, 0 of them failed\n               102 in 5 min, 2 of them failed",
            "integrations   feed: 4 registrations: 2 failing, 1 disabled by hand, 1 disabled by failures\n",
            "                 failing: fetch-charms failed: Trapped: on\\u{1b}[31m purpose; to fix it: do what \
             the component's reason says, else replace it",
            "               gmail: 60 registrations, all running\n",
            "(feed, failing, 100 s ago)\n      HandlerFailed: newer\\u{1b}[31m\n",
            "\ndisabled\n",
            "HandlerFailed: older\n      to fix it: find the line in `bg-wasm-host runs CHARM --json`",
            "      to fix it: bg-wasm-host enable CHARM, or wait: it is enabled again after 24 hours.",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(shown.lines().count() <= 24, "{shown}");
        assert_eq!(shown.matches("to fix it: find the line").count(), 1, "once for both: {shown}");
    }

    #[test]
    fn the_state_of_a_single_registration_is_shown() {
        let of = |state| {
            let states = vec![InState { state, registrations: 1 }];
            let integration = "gmail".parse().unwrap();
            of_integration(&OfIntegration {
                integration,
                registrations: 1,
                troubled: 0,
                fix: None,
                health: None,
                health_as_of: None,
                states,
            })
        };
        assert_eq!(of(RegistrationState::Running), "gmail: 1 registration, running");
        assert_eq!(
            of(RegistrationState::BackingOff),
            format!("gmail: 1 registration, {}", RegistrationState::BackingOff)
        );
    }

    #[test]
    fn on_a_terminal_lines_fit_its_width_and_omissions_are_marked() {
        let mut status = super::super::seen::tests::status();
        let long = format!("HandlerFailed: {}", "it went wrong, ".repeat(40));
        status.failures[0].status.clone_from(&long);
        status.runtime = "at a location whose name is long, with several words in it, so that it needs \
            lines"
            .to_owned();
        let charm = status.failures[0].charm.to_string();
        for width in [60, 80, 120] {
            let shown = of(&status, Some(width));
            for line in shown.lines() {
                assert!(line.trim_start().starts_with("did:key:") || line.chars().count() <= width, "{width}: {line}");
            }
            assert!(
                shown.contains(&format!("  {charm}\n      (feed, failing, 100 s ago) HandlerFailed: it went")),
                "{shown}"
            );
            let cut: Vec<&str> = shown.lines().filter(|line| line.contains('…')).collect();
            assert_eq!(cut.len(), 2, "one reason, and where its full text is: {shown}");
            assert_eq!(cut[1], "`bg-wasm-host runs CHARM` shows lines with … in full");
        }
        let whole = of(&status, None);
        assert!(whole.contains(&long) && !whole.contains('…'), "{whole}");
        status.failures[0].status = "HandlerFailed: short".to_owned();
        assert!(!of(&status, Some(80)).contains('…'));
    }
}
