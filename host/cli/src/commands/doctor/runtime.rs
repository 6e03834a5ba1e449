//! The charm runtime: where it is, its clock, access to its system space, and the engine that runs charms.

use std::time::{Duration, SystemTime};

use bg_charm_client::{Probe, probe};
use bg_identity::http_signature::MAX_CLOCK_SKEW;
use bg_identity::system_space;
use bg_poller::{Registration, RuntimeError, UnixMillis};
use bg_sandbox::{Limits, World};
use bg_server_trust::{Role, tls_advice};
use url::Url;

use super::row::Row;
use crate::args::Common;
use crate::connect::{self, Endpoint};
use crate::damaged;
use crate::paths;
use crate::services::Services;

/// When this program was written: an earlier clock is wrong.
const WRITTEN: UnixMillis = UnixMillis(1_767_225_600_000);
/// How much two clocks may differ, one of which has only seconds, including the time of an answer.
const ALIKE: Duration = Duration::from_secs(5);

/// Where the runtime is, and its answer if it is a server.
pub(super) async fn endpoint(common: &Common) -> (Row, Option<Probe>) {
    const WHAT: &str = "runtime's place";
    const FIX: &str = "bg-wasm-host serve, where the charm runtime is; or name another with --api-url URL or API_URL";
    let (url, trust) = match connect::endpoint(common).await {
        Ok(Endpoint::Remote { url, trust }) => (url, trust),
        Ok(Endpoint::Local(data_dir)) => {
            return (Row::ok(WHAT, format!("the local one in {}", data_dir.path().display())), None);
        }
        Err(error) => return (Row::error(WHAT, &error), None),
    };
    match probe(&url, &trust).await {
        Ok(probe) => (Row::ok(WHAT, format!("at {url}, which answers")), Some(probe)),
        Err(problem) => {
            let row = match tls_advice(&url, &problem) {
                Some(advice) => Row::wrong(WHAT, format!("at {url}, which does not answer as it should: {problem}"))
                    .fixed_by(advice),
                None => Row::wrong(WHAT, format!("at {url}, which does not answer: {problem}")).fixed_by(FIX),
            };
            (row, None)
        }
    }
}

/// Whether the admin page of a `run` that listens works, and its server's answer. `None` without one; a `serve` is
/// covered by [`endpoint`].
pub(super) async fn admin_page(services: &Services) -> Option<(Row, Option<Probe>)> {
    const WHAT: &str = "admin page";
    let (holder, url) = services.listener().filter(|(holder, _)| holder.role == Role::Run)?;
    let probed = match url.parse::<Url>() {
        Ok(parsed) => probe(&parsed, &services.trust).await,
        Err(error) => Err(error.to_string()),
    };
    Some(match probed {
        Ok(probe) => (Row::ok(WHAT, format!("at {url}/admin, which answers")), Some(probe)),
        Err(problem) => {
            let found = format!("at {url}/admin of {holder}, which does not answer: {problem}");
            (Row::weak(WHAT, found).fixed_by("stop that service, and start it again"), None)
        }
    })
}

/// Whether this machine's clock is plausible: compared with the server's, or else with recorded times. `None` if there
/// is nothing to compare it with.
pub(super) fn clock(probe: Option<&Probe>, registrations: Option<&[Registration]>) -> Option<Row> {
    const WHAT: &str = "clock";
    const FIX: &str = "timedatectl set-ntp true";
    if let Some(theirs) = probe.and_then(|probe| probe.clock) {
        let now = SystemTime::now();
        let apart = now.duration_since(theirs).unwrap_or_else(|ahead| ahead.duration());
        let found = format!("{} s apart from the charm runtime's", apart.as_secs());
        return Some(match apart {
            apart if apart > MAX_CLOCK_SKEW => {
                Row::wrong(WHAT, format!("{found}, so it refuses signed requests")).fixed_by(FIX)
            }
            apart if apart > ALIKE => Row::weak(WHAT, found).fixed_by(FIX),
            _ => Row::ok(WHAT, "as that of the charm runtime"),
        });
    }
    let now = UnixMillis::now();
    if now < WRITTEN {
        return Some(Row::wrong(WHAT, "it is set to a time before this program was made").fixed_by(FIX));
    }
    let newest = registrations?.iter().map(|entry| entry.changed_at().max(entry.last_run)).max();
    let newest = newest.unwrap_or(UnixMillis::NEVER);
    Some(if newest > now + ALIKE {
        let ahead = newest.since(now).as_secs();
        Row::weak(WHAT, format!("a registration was polled or changed {ahead} s after now: the clock was set back"))
            .fixed_by(FIX)
    } else {
        Row::ok(WHAT, "no problem found")
    })
}

/// Whether the operator may read the registrations, and if so, all of them; each damaged one has its own row.
pub(super) async fn registrations(common: &Common) -> (Vec<Row>, Option<Vec<Registration>>) {
    const WHAT: &str = "registrations";
    let read = async {
        let runtime = connect::client(common).await?;
        let all = runtime.registrations().await?;
        anyhow::Ok((all, damaged::read(&*runtime).await))
    };
    match read.await {
        Ok((all, damaged)) => {
            let enabled = all.iter().filter(|entry| entry.is_enabled()).count();
            let found = format!("{} in the system space {}, {enabled} enabled", all.len(), system_space());
            let damaged = damaged.into_iter().map(|one| Row::weak(WHAT, one.found()).fixed_by(one.fix));
            ([Row::ok(WHAT, found)].into_iter().chain(damaged).collect(), Some(all))
        }
        Err(error) => {
            let denied = matches!(error.downcast_ref(), Some(RuntimeError::Authorization { .. }));
            let row = Row::error(WHAT, &error);
            (vec![if denied { row.fixed_by("bg-wasm-host add-admin-charm") } else { row }], None)
        }
    }
}

/// Whether charms can run here.
pub(super) async fn script(common: &Common) -> Row {
    const WHAT: &str = "charms' engine";
    let loaded = async {
        let path = paths::script_component()?;
        let sandbox = connect::sandbox(common, &Limits::default())?;
        let loaded =
            sandbox.load(paths::read_component(&path, sandbox.limits().component_bytes)?, World::Charm).await?;
        anyhow::Ok(format!("{} (sha256 {})", path.display(), loaded.info().sha256))
    };
    loaded.await.map_or_else(|error| Row::error(WHAT, &error), |found| Row::ok(WHAT, found))
}

/// Whether buttons on pages of other origins can register charms.
pub(super) fn buttons(probe: Option<&Probe>) -> Row {
    const WHAT: &str = "pages' buttons";
    let Some(probe) = probe else {
        return Row::ok(WHAT, "there is no server that they could reach; `bg-wasm-host serve` would be one");
    };
    if probe.buttons_work() {
        return Row::ok(WHAT, "pages of any origin can register charms; a 400 says why, in `error`");
    }
    if probe.some_buttons_work() {
        let found = "pages of the server's own origin, of this machine, and of origins that --allow-origin names can \
            register charms; others get \
            an error that says so";
        return Row::ok(WHAT, found);
    }
    let found = if probe.pages_may_read {
        format!("the server answers {} instead of a description of what is wrong with a registration", probe.status)
    } else {
        format!("the server answers {}, and lets no page of another origin read it", probe.status)
    };
    Row::weak(WHAT, found).fixed_by(
        "bg-wasm-host serve --allow-host NAME, for the name that pages use; and check the proxy in front of \
            it",
    )
}

#[cfg(test)]
mod tests {
    use bg_server_trust::Holder;

    use super::*;

    #[tokio::test]
    async fn an_admin_page_that_does_not_answer_is_reported() {
        let url = Some("http://127.0.0.1:9".to_owned());
        let of = |role| Some(Holder { pid: 5, role, url: url.clone(), certificate: None, shared: false, polls: None });
        let services = Services { polls: of(Role::Run), ..Services::default() };
        let (row, probe) = admin_page(&services).await.unwrap();
        let row = row.to_string();
        assert!(row.starts_with("weak ") && row.contains("at http://127.0.0.1:9/admin of `bg-wasm-host run`"), "{row}");
        assert_eq!(probe, None);
        let services = Services { serves: of(Role::Serve), ..Services::default() };
        assert!(admin_page(&services).await.is_none(), "the row of the runtime covers a `serve`");
    }

    #[test]
    fn the_clock_is_compared_with_the_servers() {
        let at = |seconds: u64| Probe {
            clock: Some(SystemTime::now() - Duration::from_secs(seconds)),
            status: http::StatusCode::BAD_REQUEST,
            pages_may_read: true,
        };
        for (seconds, state) in [(0, "ok "), (3, "ok "), (15, "weak "), (120, "wrong ")] {
            let row = clock(Some(&at(seconds)), None).unwrap().to_string();
            assert!(row.starts_with(state), "{seconds}: {row}");
        }
        assert!(clock(None, Some(&[])).unwrap().to_string().starts_with("ok "));
        assert!(clock(None, None).is_none());
        let ahead = Probe { clock: Some(SystemTime::now() + Duration::from_mins(5)), ..at(0) };
        let row = clock(Some(&ahead), None).unwrap().to_string();
        assert!(row.contains("refuses signed requests; to fix it: timedatectl"), "{row}");
    }

    #[test]
    fn a_server_that_no_page_can_use_is_reported() {
        let probe = |status: u16, pages_may_read| {
            let status = http::StatusCode::from_u16(status).unwrap();
            buttons(Some(&Probe { clock: None, status, pages_may_read })).to_string()
        };
        assert!(probe(400, true).starts_with("ok "));
        assert!(probe(400, false).contains("lets no page of another origin read it"));
        assert!(probe(421, true).contains("--allow-host"));
        assert!(probe(403, true).starts_with("ok ") && !probe(403, false).starts_with("ok "));
    }
}
