//! Fixes for charms whose polls do not succeed: the only table, used by `doctor`, `show`, `list` and `status`.

use bg_poller::{Blame, OutcomeKind, Registration, RegistrationState};

/// The fix, if something is wrong. The registration's status describes the problem, and quotes a token service's answer
/// if that is the cause.
pub(crate) fn of(entry: &Registration) -> Option<String> {
    let charm = &entry.charm;
    match entry.state(0) {
        RegistrationState::Running => return None,
        RegistrationState::DisabledByHand => return Some(format!("bg-wasm-host enable {charm}")),
        RegistrationState::DisabledByFailures => {
            return Some(format!("bg-wasm-host enable {charm}, or wait: it is enabled again after 24 hours"));
        }
        RegistrationState::BackingOff | RegistrationState::Failing | RegistrationState::Waiting => {}
    }
    let kind = entry.last_outcome?;
    Some(match (entry.last_blame.or_else(|| kind.usual_blame())?, kind) {
        (Blame::Charm, OutcomeKind::NoStream) => {
            format!("bg-wasm-host charm deploy FILE --update {charm}, with a stream such as `bgUpdater`")
        }
        (Blame::Charm, OutcomeKind::NotFound) => format!("bg-wasm-host remove {charm}"),
        (Blame::Charm, _) => {
            format!("see where it fails: bg-wasm-host runs {charm} --json, bg-wasm-host charm logs {charm}")
        }
        (Blame::Integration, _) => {
            format!("see what the component of {} logs, and its health: bg-wasm-host status", entry.integration)
        }
        (Blame::Credential, _) => "authorize the charm again, on its page; it is then polled at once".to_owned(),
        (Blame::Configuration, _) => {
            "follow its status (a grant, access, room, --oauth-refresh-url, the OAuth client), and send the service SIGHUP or \
            restart it; access counts at once"
                .to_owned()
        }
        (Blame::Upstream, _) => {
            "nothing, if it is temporary: the charm is tried again. If it persists, check the service that its status \
            names: another --oauth-refresh-url with SIGHUP, or a new sign-in, is tried at once"
                .to_owned()
        }
        (Blame::Runtime, _) => "start the charm runtime again, if it does not answer: bg-wasm-host doctor".to_owned(),
        (Blame::Service, _) => {
            "see the service's log, and report what it says: it is a fault of this program, or its limits".to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};
    use bg_poller::{CharmRef, DisabledBy, UnixMillis};

    use super::*;

    fn failed(kind: OutcomeKind, blame: Blame) -> Registration {
        Registration {
            charm: CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"x") },
            integration: "mail".parse().unwrap(),
            created_at: UnixMillis(1),
            updated_at: UnixMillis(1),
            last_run: UnixMillis(2),
            disabled_at: UnixMillis::NEVER,
            disabled_by: None,
            interval: None,
            status: "x".to_owned(),
            last_success: UnixMillis::NEVER,
            woken_at: UnixMillis::NEVER,
            last_outcome: Some(kind),
            last_blame: Some(blame),
        }
    }

    #[test]
    fn every_failure_has_a_fix_and_only_a_credentials_is_a_new_sign_in() {
        for kind in OutcomeKind::ALL.into_iter().filter(|kind| *kind != OutcomeKind::Success) {
            for blame in Blame::ALL {
                let helps = of(&failed(kind, blame)).unwrap();
                assert_eq!(helps.starts_with("authorize"), blame == Blame::Credential, "{kind} {blame}: {helps}");
            }
        }
        assert_eq!(of(&failed(OutcomeKind::Success, Blame::Charm)), None);
    }

    #[test]
    fn a_disabled_charm_can_be_enabled_after_any_outcome() {
        for by in DisabledBy::ALL {
            let disabled = Registration {
                disabled_at: UnixMillis(3),
                disabled_by: Some(by),
                ..failed(OutcomeKind::Denied, Blame::Credential)
            };
            let charm = disabled.charm.clone();
            assert!(of(&disabled).unwrap().starts_with(&format!("bg-wasm-host enable {charm}")));
        }
    }
}
