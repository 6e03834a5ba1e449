//! What exactly made a poll fail, and what to do about it: the only table of advice.
//!
//! A [`Cause`] is noted where a failure is found, and goes with the outcome to the run history, the registration and
//! the health of an integration. So everything that shows a failure (`status`, `list`, `show`, `doctor`, the admin
//! page, the API, the log) gives the same advice for it, and none of it is guessed from a text.

use std::fmt;

use bg_identity::{CharmRef, IntegrationId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Blame, OutcomeKind};

/// Declares [`Cause`]: each variant with its name, who is to blame for it, and the advice.
macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal $blame:ident => $advice:literal;)+) => {
        /// What exactly made a poll, or a call of a component, fail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Cause {
            /// All of them, in the order of the table in `docs/polling.md`.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name, as in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Who is to blame for it.
            pub fn blame(self) -> Blame {
                match self { $(Self::$variant => Blame::$blame,)+ }
            }

            /// What to do about it, with `CHARM` and `INTEGRATION` in place of their names.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)+ }
            }
        }
    };
}

causes! {
    /// The handler threw an error of its own, or a promise of it was rejected with one.
    HandlerThrew "handler-threw" Charm =>
        "find the line in `bg-wasm-host runs CHARM --json` and what it logged in `bg-wasm-host charm logs CHARM`; \
         then `bg-wasm-host charm deploy FILE --update CHARM`";
    /// The handler took longer than a call may.
    HandlerTime "handler-time" Charm =>
        "have the handler do less in one poll and go on in the next one, or allow more time: --limit charm-time=TIME";
    /// The handler used more memory than a call may.
    HandlerMemory "handler-memory" Charm =>
        "have the handler hold less at a time, or allow more memory: --limit charm-memory=SIZE";
    /// The handler exceeded another limit of a call.
    HandlerLimit "handler-limit" Charm =>
        "have the handler do less in one poll, or raise the limit that the status names (--limit NAME=VALUE; \
         docs/reference.md lists them)";
    /// The program of the charm, or its engine, trapped.
    HandlerTrapped "handler-trapped" Charm =>
        "see where in `bg-wasm-host runs CHARM --json`, and deploy a corrected program: `bg-wasm-host charm deploy \
         FILE --update CHARM`";
    /// The charm has more cells, or more in them, than any charm may.
    CharmFull "charm-full" Charm =>
        "remove cells, or data in them: no option raises this limit. Keep less in the handler, or divide the charm \
         into several";
    /// The owner of the space keeps as much as one owner may.
    OwnerFull "owner-full" Charm =>
        "the owner of the space deletes charms or data, or the operator raises --max-signer-bytes";
    /// The integration finds the charm unfit, or it cannot be used as it is.
    Unfit "unfit" Charm =>
        "change the charm to what its status says that INTEGRATION needs, or end its polls: `bg-wasm-host remove \
         CHARM`";
    /// A cell of the charm, or another part of it, cannot be read from the database.
    Damaged "damaged" Charm =>
        "set again what the status names (`bg-wasm-host charm set CHARM CELL VALUE`), or restore a backup";
    /// The charm does not exist.
    Gone "gone" Charm =>
        "deploy it again, or end its polls: `bg-wasm-host remove CHARM`";
    /// The charm has no stream that a poll could be sent to.
    NoStream "no-stream" Charm =>
        "deploy a program with a stream such as `bgUpdater`: `bg-wasm-host charm deploy FILE --update CHARM`";
    /// The handler sends what no grant could allow.
    NeverAllowed "never-allowed" Charm =>
        "change the program so that it does not send what the status names: no option allows that. `bg-wasm-host \
         charm deploy FILE --update CHARM`";
    /// Other calls of the charm kept it busy, or another process kept changing its cells.
    CharmBusy "charm-busy" Charm =>
        "nothing: the charm is tried again. If it persists, have fewer or shorter calls sent to it, and only one \
         process change its cells";
    /// What the runtime reports about the charm is too long, or takes too long.
    CharmSlow "charm-slow" Charm =>
        "nothing if it was once: the charm is tried again. If it persists, make its cells smaller, or its links fewer";
    /// The access list of the charm's space is damaged.
    SpaceDamaged "space-damaged" Charm =>
        "write the access list of the space again (`bg-wasm-host charm acl --help`), or restore a backup";

    /// The component took longer than a call may.
    ComponentTime "component-time" Integration =>
        "replace the component of INTEGRATION with one that needs less time, or allow more: --limit \
         fetch-charms-time=TIME or is-valid-charm-time=TIME";
    /// The time of a component's call ended while a request of it had no answer.
    ComponentWaited "component-waited" Integration =>
        "check the server that the reason names: it did not answer in time. A component should give a request up \
         before its call ends; if that server is always slow, allow more time: --limit fetch-charms-time=TIME or \
         is-valid-charm-time=TIME";
    /// The component used more memory than a call may.
    ComponentMemory "component-memory" Integration =>
        "replace the component of INTEGRATION with one that needs less memory, or allow more: --limit \
         integration-memory=SIZE";
    /// The component exceeded another limit of a call.
    ComponentLimit "component-limit" Integration =>
        "replace the component of INTEGRATION with one that keeps the limit that the reason names, or raise that: \
         --limit NAME=VALUE";
    /// The component trapped.
    ComponentTrapped "component-trapped" Integration =>
        "replace the component of INTEGRATION with one that works, or report the fault to its authors with what it \
         logged; the service loads the new file by itself";
    /// The component reported a permanent failure, or answered nonsense.
    ComponentFailed "component-failed" Integration =>
        "do what the component's reason says, else replace it with one that works; the service loads the new file by \
         itself. `bg-wasm-host status` has what it logged";
    /// The component sends what no grant could allow.
    ComponentNeverAllowed "component-never-allowed" Integration =>
        "replace the component of INTEGRATION with one that does not send what the reason names: no option allows \
         that";

    /// The charm has no token, or none with which a new one could be had.
    SignInMissing "sign-in-missing" Credential =>
        "sign in for it (`bg-wasm-host oauth login PROVIDER --charm CHARM`), or set its token (`bg-wasm-host charm set \
         CHARM CELL @FILE`); it is then polled at once";
    /// The token service says that the authorization has ended.
    SignInEnded "sign-in-ended" Credential =>
        "sign in again (`bg-wasm-host oauth login PROVIDER --charm CHARM`), or set a new token (`bg-wasm-host charm set \
         CHARM CELL @FILE`), since its authorization was withdrawn or has ended; it is then polled at once";
    /// A server did not accept the charm's credential.
    Unauthorized "unauthorized" Credential =>
        "sign in again (`bg-wasm-host oauth login PROVIDER --charm CHARM`), or set a valid key in it (`bg-wasm-host charm \
         set CHARM CELL @FILE`): the server that the status names does not accept the one that it has";
    /// A server wants an authorization for more than the charm's.
    ScopeMissing "scope-missing" Credential =>
        "sign in again, and allow all that it asks for (`bg-wasm-host oauth login PROVIDER --charm CHARM --scope SCOPE`): \
         the server that the status names needs more than was allowed at the last sign-in";

    /// No grant covers a request.
    NotGranted "not-granted" Configuration =>
        "allow it with the option that the status names, if you want to: in its configuration file, then reload the \
         service (SIGHUP), or restart it with the option";
    /// A request leads to a private, or an otherwise special address.
    PrivateAddress "private-address" Configuration =>
        "if that server is yours, allow its address with the option that the status names: in its configuration file, \
         then reload the service (SIGHUP), or restart it with the option. If the status names none, no option allows it";
    /// A server answered 403.
    Forbidden "forbidden" Configuration =>
        "allow it at the server that the status names: the account may lack the right, or the API be switched off \
         there. Then `bg-wasm-host enable CHARM` has it polled at once, and `bg-wasm-host enable --integration INTEGRATION` \
         all charms that wait for the same";
    /// The service may not use the charm, or its space.
    NoAccess "no-access" Configuration =>
        "the owner of the space gives the service access, as the status says; it is then polled at once";
    /// Nobody said where tokens are renewed.
    NoRefreshUrl "no-refresh-url" Configuration =>
        "sign in with an account, which this host renews itself (`bg-wasm-host oauth login PROVIDER --charm CHARM`), or say \
         where tokens are renewed with --oauth-refresh-url URL: in its configuration file, then reload the service \
         (SIGHUP), or restart it with the option";
    /// The token service does not accept the OAuth client.
    WrongClient "wrong-client" Configuration =>
        "correct the OAuth client (its ID, its secret): `bg-wasm-host oauth client set PROVIDER`; for a token that another \
         service renews, do so where that is set up, or correct --oauth-refresh-url; then reload the service (SIGHUP), or \
         restart it";
    /// A charm runtime of an earlier version says only that the credential cannot be had.
    CredentialRefused "credential-refused" Configuration =>
        "the service cannot read or renew the credential: give it access, or correct the token service, as the status \
         says";
    /// The disk has less room than is to stay free.
    DiskFull "disk-full" Configuration =>
        "free space on the disk of the data directory, or lower --min-free; the charms go on by themselves when there \
         is room";
    /// The database is as large as it may be.
    DatabaseFull "database-full" Configuration =>
        "delete charms or data that nobody needs, or raise --max-bytes; the charms go on by themselves when there is \
         room";

    /// The token service does not answer, fails, or answers nonsense.
    TokenServiceFails "token-service-fails" Upstream =>
        "nothing if it is temporary: renewals are tried again, and go on for all charms when one succeeds. If it \
         persists, check the token service, and --oauth-refresh-url";
    /// The token service asks for fewer requests.
    TokenServiceBusy "token-service-busy" Upstream =>
        "nothing: renewals are tried again, ever more rarely. If it persists, raise the quota at the token service";
    /// The token service refuses without a reason.
    TokenServiceSilent "token-service-silent" Upstream =>
        "nothing if it was once. If it persists, sign in again (`bg-wasm-host oauth login PROVIDER --charm CHARM`); if that \
         does not help either, see the log of the token service, which gives no reason";
    /// The name of a server cannot be looked up.
    NameUnknown "name-unknown" Upstream =>
        "check the name of the server that the status names, and the name resolution of this machine; the charm is \
         tried again";
    /// No connection to a server.
    Unreachable "unreachable" Upstream =>
        "check that the server that the status names runs, and that this machine reaches it (port, firewall); the \
         charm is tried again";
    /// A server could not prove its identity.
    Untrusted "untrusted" Upstream =>
        "check the certificate of the server that the status names, and the clock of this machine: no trusted \
         connection can be made; the charm is tried again";
    /// A server did not answer in time.
    TooSlow "too-slow" Upstream =>
        "nothing if it is temporary: the charm is tried again. If the server that the status names is always slow, \
         allow more time: --limit http-request-time=TIME";
    /// A server broke off its answer, or answered what is not HTTP.
    BadAnswer "bad-answer" Upstream =>
        "nothing if it was once: the charm is tried again. If it persists, check the server that the status names, \
         and what is between it and this machine: its answers are broken";
    /// A server answered 5xx, or 408 or 425.
    ServerFails "server-fails" Upstream =>
        "nothing if it is temporary: the charm is tried again. If it persists, ask the operator of the server that \
         the status names, or see its status page";
    /// A server asked for fewer requests: 429.
    TooManyRequests "too-many-requests" Upstream =>
        "nothing: the charm is tried again, ever more rarely. If it persists, poll it less often (`bg-wasm-host \
         interval CHARM TIME`), or raise the quota at the server that the status names";
    /// The component reported a temporary failure.
    ComponentTemporary "component-temporary" Upstream =>
        "nothing if it is temporary: it is tried again. If it persists, see what the component of INTEGRATION logged \
         (`bg-wasm-host status`), and check the servers that it calls";

    /// The charm runtime does not answer, or failed.
    RuntimeAway "runtime-away" Runtime =>
        "start the charm runtime if it does not run; `bg-wasm-host doctor` says what is wrong with it. Polling goes \
         on by itself";
    /// The charm runtime asks for fewer requests, or refuses more.
    RuntimeBusy "runtime-busy" Runtime =>
        "nothing if it is temporary. If it persists, poll fewer charms at once (--max-concurrent), or raise the \
         limits of the `serve` that the status names (--limit)";

    /// The disk of the charm runtime is full.
    StorageFull "storage-full" Runtime =>
        "free space on the disk of the data directory; what could not be kept is made again by itself";
    /// The database of the charm runtime cannot be read or written.
    StorageFails "storage-fails" Runtime =>
        "see what the status says of the database: another process may lock it, its disk fail, or it may be damaged; \
         `bg-wasm-host doctor` looks closer";

    /// This program has a fault.
    ProgramFault "program-fault" Service =>
        "report it, with the lines of the service's log around it: it is a fault of this program";
    /// The poll got no answer at all in the time that a poll has.
    PollTime "poll-time" Service =>
        "see whether the machine is overloaded; else report it, with the lines of the service's log around it";
    /// The machine had no processor for the call.
    NoProcessor "no-processor" Service =>
        "nothing if it was once: it is tried again. If it persists, the machine is overloaded: stop what else runs on \
         it, or poll fewer charms at once (--max-concurrent)";
    /// There was no room for a further call.
    NoRoomForCall "no-room-for-call" Service =>
        "nothing if it was once: it is tried again. If it persists, poll fewer charms at once (--max-concurrent), or \
         allow more calls: --limit calls=N";
    /// There was no room for a further request.
    NoRoomForRequest "no-room-for-request" Service =>
        "nothing if it was once: it is tried again. If it persists, poll fewer charms at once (--max-concurrent), or \
         allow more requests: --limit http-requests-at-once-in-all=N";
}

impl Cause {
    /// The one with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.as_str() == name)
    }

    /// Whether it is that the gate denied a request, which an option may allow.
    pub fn is_denial(self) -> bool {
        matches!(self, Self::NotGranted | Self::PrivateAddress)
    }

    /// What to do about it, for a charm that is named: where no integration's name is at hand.
    pub(crate) fn fix_of(self, charm: &CharmRef) -> String {
        self.advice().replace("CHARM", &charm.to_string())
    }

    /// What to do about it, for a charm of an integration.
    pub fn fix(self, charm: &CharmRef, integration: &IntegrationId) -> String {
        for_charm(self.advice(), charm, integration)
    }

    /// What to do about it, for an integration whose component failed.
    pub fn fix_of_component(self, integration: &IntegrationId) -> String {
        for_integration(self.advice(), integration)
    }

    /// The usual cause of a failed call of a component: the component, unless it lacks something or says that the
    /// failure is temporary.
    pub fn of_component(kind: OutcomeKind) -> Self {
        match kind {
            OutcomeKind::Timeout => Self::ComponentTime,
            OutcomeKind::OutOfMemory => Self::ComponentMemory,
            OutcomeKind::LimitExceeded => Self::ComponentLimit,
            OutcomeKind::Trapped => Self::ComponentTrapped,
            OutcomeKind::Denied => Self::NotGranted,
            OutcomeKind::Unavailable => Self::ComponentTemporary,
            _ => Self::ComponentFailed,
        }
    }

    /// The usual cause of a failed call of a charm's program.
    pub fn of_handler(kind: OutcomeKind) -> Option<Self> {
        Self::usual(kind, kind.usual_blame()?)
    }

    /// The usual cause of an outcome of that kind for which this one is to blame, if the two say so much.
    fn usual(kind: OutcomeKind, blame: Blame) -> Option<Self> {
        Some(match (blame, kind) {
            (_, OutcomeKind::Success) | (Blame::Credential | Blame::Configuration | Blame::Upstream, _) => return None,
            (Blame::Charm, OutcomeKind::Invalid) => Self::Unfit,
            (Blame::Charm, OutcomeKind::NoStream) => Self::NoStream,
            (Blame::Charm, OutcomeKind::NotFound) => Self::Gone,
            (Blame::Charm, OutcomeKind::HandlerFailed) => Self::HandlerThrew,
            (Blame::Charm, OutcomeKind::Timeout) => Self::HandlerTime,
            (Blame::Charm, OutcomeKind::OutOfMemory) => Self::HandlerMemory,
            (Blame::Charm, OutcomeKind::LimitExceeded) => Self::HandlerLimit,
            (Blame::Charm, OutcomeKind::Trapped) => Self::HandlerTrapped,
            (Blame::Charm, OutcomeKind::Denied) => Self::NeverAllowed,
            (Blame::Charm, OutcomeKind::Unavailable) => Self::CharmBusy,
            (Blame::Integration, OutcomeKind::Timeout) => Self::ComponentTime,
            (Blame::Integration, OutcomeKind::OutOfMemory) => Self::ComponentMemory,
            (Blame::Integration, OutcomeKind::LimitExceeded) => Self::ComponentLimit,
            (Blame::Integration, OutcomeKind::Trapped) => Self::ComponentTrapped,
            (Blame::Integration, OutcomeKind::Denied) => Self::ComponentNeverAllowed,
            (Blame::Integration, _) => Self::ComponentFailed,
            (Blame::Runtime, _) => Self::RuntimeAway,
            (Blame::Service, OutcomeKind::Timeout) => Self::PollTime,
            (Blame::Service, OutcomeKind::Unavailable) => Self::NoRoomForCall,
            (Blame::Service, _) => Self::ProgramFault,
        })
    }
}

/// What to do about a failure, with `CHARM` and `INTEGRATION` in place of their names. None after a success. Without a
/// cause (an earlier version of this program stored or sent it, or a later one with a cause of its own), kind and blame
/// say what they can.
pub fn advice(kind: OutcomeKind, blame: Option<Blame>, cause: Option<Cause>) -> Option<&'static str> {
    let blame = blame.or_else(|| kind.usual_blame())?;
    if kind == OutcomeKind::Success {
        return None;
    }
    if let Some(cause) = cause.or_else(|| Cause::usual(kind, blame)) {
        return Some(cause.advice());
    }
    Some(match blame {
        Blame::Credential => Cause::SignInMissing.advice(),
        Blame::Upstream => {
            "nothing if it is temporary: it is tried again. If it persists, check the service that the status names"
        }
        _ => {
            "do what the status says (a grant, access, room, --oauth-refresh-url, the OAuth client); a grant or an \
             option counts once the service is reloaded (SIGHUP) with it in its configuration file, or restarted"
        }
    })
}

/// What to do about requests that the gate denied, with the option that allows them.
pub fn allowing(option: &str) -> String {
    format!(
        "allow what was denied, if you want to: {option}, in the configuration file, then reload the service (SIGHUP), \
         or restart it with the option"
    )
}

/// What to do about a charm that was disabled for its failures; `after` is the advice for the last of them.
pub(crate) fn for_disabled(after: Option<&str>, charm: &CharmRef, integration: &IntegrationId) -> String {
    let enable = "bg-wasm-host enable CHARM, or wait: it is enabled again after 24 hours";
    let first = after.map(|advice| format!(". First, {advice}")).unwrap_or_default();
    for_charm(&format!("{enable}{first}"), charm, integration)
}

/// The advice for a charm of an integration.
pub(crate) fn for_charm(advice: &str, charm: &CharmRef, integration: &IntegrationId) -> String {
    // In this order: the ID of an integration has no capitals.
    advice.replace("INTEGRATION", integration.as_str()).replace("CHARM", &charm.to_string())
}

/// The advice for an integration whose component fails: a failure of it has a reason, and no status.
pub(crate) fn for_integration(advice: &str, integration: &IntegrationId) -> String {
    advice.replace("INTEGRATION", integration.as_str()).replace("the status ", "the reason ")
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::of_name(&name).ok_or_else(|| serde::de::Error::custom("not the name of a cause"))
    }
}

/// A value that this version knows; `None` for one of a later version.
pub fn known<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_cause_has_its_own_name_and_advice_and_the_documentation_lists_all() {
        let doc = include_str!("../../../docs/polling.md");
        let head = "| cause | to blame | what to do |";
        let rows = doc.lines().skip_while(|line| *line != head).skip(2).take_while(|line| line.starts_with('|'));
        let rows: Vec<&str> = rows.collect();
        let expected: Vec<String> =
            Cause::ALL.iter().map(|cause| format!("| `{cause}` | {} | {} |", cause.blame(), cause.advice())).collect();
        assert_eq!(rows, expected, "{}", expected.join("\n"));
        let advice: BTreeSet<&str> = Cause::ALL.iter().map(|cause| cause.advice()).collect();
        let names: BTreeSet<&str> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        assert_eq!((advice.len(), names.len()), (Cause::ALL.len(), Cause::ALL.len()));
        for cause in Cause::ALL {
            assert_eq!(Cause::of_name(cause.as_str()), Some(*cause));
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
            assert!(cause.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{cause}");
        }
    }

    #[test]
    fn there_is_advice_for_every_failure_with_and_without_a_cause() {
        for kind in OutcomeKind::ALL {
            for blame in Blame::ALL {
                let advice = advice(kind, Some(blame), None);
                assert_eq!(advice.is_none(), kind == OutcomeKind::Success, "{kind} {blame}");
                // Nobody is sent to sign in for what is no credential's fault.
                let signs_in = advice.is_some_and(|advice| advice.contains("sign in"));
                assert_eq!(signs_in, blame == Blame::Credential && advice.is_some(), "{kind} {blame}: {advice:?}");
            }
            assert_eq!(super::advice(kind, None, None).is_none(), kind == OutcomeKind::Success, "{kind}");
        }
        for cause in Cause::ALL {
            assert_eq!(advice(OutcomeKind::Denied, Some(cause.blame()), Some(*cause)), Some(cause.advice()), "{cause}");
        }
    }

    #[test]
    fn a_usual_cause_has_the_blame_that_it_was_derived_from() {
        for kind in OutcomeKind::ALL {
            for blame in Blame::ALL {
                let usual = Cause::usual(kind, blame);
                assert!(usual.is_none_or(|cause| cause.blame() == blame), "{kind} {blame}: {usual:?}");
            }
            assert_eq!(
                Cause::of_handler(kind).map(Cause::blame),
                kind.usual_blame().filter(|_| Cause::of_handler(kind).is_some())
            );
        }
    }
}
