//! `add-admin-charm`, `register`, `interval`, `list`, `show`, `enable`, `disable`, `remove`, `runs`.

use std::time::Duration;

use anyhow::bail;
use bg_charm_api::names::nearest;
use bg_charm_api::wire::HealthState;
use bg_charm_api::{AccessLevel, RegistrationFilter, Runtime, Subject};
use bg_identity::{IntegrationId, system_space};
use bg_poller::{CharmRef, Counters, DisabledBy, Registration, RegistrationState, RuntimeError, UnixMillis};
use serde::Serialize;

use super::{list, space};
use crate::args::{Common, EnableArgs, ListArgs};
use crate::health::Known;
use crate::names::{self, Names};
use crate::states::States;
use crate::{connect, damaged, health, layout, output, states};

/// Gives the operator's key access to the system space: signed with that space's own key, or, on a server that others
/// reach, where that key has no rights, as the operator of the server.
pub(crate) async fn add_admin_charm(common: &Common) -> anyhow::Result<()> {
    let operator = connect::operator(common)?.did();
    let system = system_space();
    let mut runtime = connect::as_system_space(common).await?;
    let acl = match runtime.acl(&system).await {
        Err(RuntimeError::Authorization { .. }) => {
            runtime = connect::client(common).await?;
            runtime.acl(&system).await?
        }
        acl => acl?,
    };
    let subject = Subject::Did(operator.clone());
    if acl.level(&system, &operator) >= Some(AccessLevel::Write) {
        output::line(format_args!("{operator} has access to the system space {system} already"))?;
        return Ok(());
    }
    runtime.set_acl(&system, &subject, Some(AccessLevel::Write)).await?;
    output::line(format_args!("{operator} now has access to the system space {system}"))?;
    Ok(())
}

/// Registers a charm to be polled.
pub(crate) async fn register(
    common: &Common,
    charm: &CharmRef,
    integration: &IntegrationId,
    interval: Option<Duration>,
) -> anyhow::Result<()> {
    let runtime = connect::client(common).await?;
    let registration = runtime.register(charm, integration).await?;
    if interval.is_some() {
        runtime.set_interval(charm, interval).await?;
    }
    output::line(format_args!("{charm} is registered for {} ({})", registration.integration, registration.status))?;
    let known = health::read(common).await;
    let near = nearest(integration.as_str(), known.iter().map(|one| one.integration.as_str()));
    if let Some(near) = near.filter(|_| known.of_integration(integration).is_none()) {
        output::note(&[format!("no component is known for {integration}; if you mean {near}, register it again")]);
    }
    Ok(())
}

/// Sets how often a charm is polled.
pub(crate) async fn set_interval(common: &Common, charm: &CharmRef, interval: Option<Duration>) -> anyhow::Result<()> {
    let runtime = connect::client(common).await?;
    match runtime.set_interval(charm, interval).await {
        Ok(entry) => Ok(output::line(format_args!("{charm}: {}", shown_interval(&entry)))?),
        Err(error) => Err(explained(&*runtime, charm, error).await),
    }
}

fn shown_interval(entry: &Registration) -> String {
    match entry.interval {
        Some(interval) => format!("every {interval:?}, or as often as the service allows"),
        None => format!("as often as the charms of {}", entry.integration),
    }
}

/// Lists all registrations.
pub(crate) async fn list(common: &Common, args: ListArgs) -> anyhow::Result<()> {
    let runtime = connect::client(common).await?;
    let registrations = runtime.registrations().await?;
    let damaged: Vec<String> = damaged::read(&*runtime).await.iter().map(ToString::to_string).collect();
    let known = States::read(common).await;
    let health = health::read(common).await;
    if args.json.json {
        output::note(&damaged);
        let listed = registrations.iter().map(|registration| Listed::new(registration, &known, &health));
        return output::json(&listed.collect::<Vec<_>>());
    }
    let rows: Vec<[String; 5]> = registrations
        .iter()
        .map(|entry| {
            [
                entry.charm.to_string(),
                entry.integration.to_string(),
                shown_state(entry, known.of(entry), &health),
                ago(entry.last_run),
                output::printable(&entry.status),
            ]
        })
        .collect();
    let (lines, is_whole) = list::lines(&rows, if args.wide { None } else { layout::width() });
    lines.into_iter().try_for_each(output::line)?;
    if !is_whole {
        output::note(&["shortened for this terminal; `bg-wasm-host list --wide` has names to copy".to_owned()]);
    }
    output::note(&damaged);
    let (now, troubled) = (UnixMillis::now(), health.iter().filter(|one| one.state != HealthState::Works));
    let notes: Vec<String> =
        troubled.map(|one| format!("the integration {} is {}", one.integration, health.line(one, now))).collect();
    output::note(&notes);
    Ok(())
}

/// The state of a registration; its integration's, if that keeps it from being polled.
fn shown_state(entry: &Registration, state: RegistrationState, health: &Known) -> String {
    let of_it = health.of_polled(&entry.integration).filter(|one| entry.is_enabled() && !one.polls());
    of_it.map_or_else(|| state.to_string(), |one| format!("{} ({})", one.state, one.integration))
}

/// A registration with its state, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    #[serde(flatten)]
    registration: &'a Registration,
    #[serde(serialize_with = "states::named")]
    state: RegistrationState,
    /// The health of its integration, if it is known and has a component that is called now.
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_health: Option<HealthState>,
    /// The fix, if it is not polled successfully.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl<'a> Listed<'a> {
    fn new(registration: &'a Registration, states: &States, health: &Known) -> Self {
        let of_it = health.of_polled(&registration.integration);
        Self {
            registration,
            state: states.of(registration),
            integration_health: of_it.map(|health| health.state),
            fix: registration.fix(),
        }
    }
}

/// The same with the outcomes of its runs.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    listed: Listed<'a>,
    counters: &'a Counters,
}

/// Shows one registration.
pub(crate) async fn show(common: &Common, charm: &CharmRef, json: bool) -> anyhow::Result<()> {
    let runtime = connect::client(common).await?;
    let registrations = runtime.registrations().await?;
    let Some(entry) = registrations.iter().find(|entry| entry.charm == *charm) else {
        if let Some(damaged) = damaged::read(&*runtime).await.iter().find(|one| one.charm == charm.to_string()) {
            bail!("{damaged}");
        }
        names::check(Names::of(&registrations).no_charm(charm))?;
        bail!("{charm} is not registered");
    };
    let counters = runtime.counters(charm).await?;
    let (states, health) = (States::read(common).await, health::read(common).await);
    if json {
        return output::json(&Shown { listed: Listed::new(entry, &states, &health), counters: &counters });
    }
    let state = shown_state(entry, states.of(entry), &health);
    output::line(format_args!("charm        {}", entry.charm))?;
    output::line(format_args!("integration  {}", entry.integration))?;
    output::line(format_args!("state        {state}"))?;
    output::line(format_args!("registered   {}", ago(entry.created_at)))?;
    output::line(format_args!("polled       {}", shown_interval(entry)))?;
    output::line(format_args!("last run     {}", ago(entry.last_run)))?;
    output::line(format_args!("status       {}", output::printable(&entry.status)))?;
    if let Some(fix) = entry.fix() {
        output::line(format_args!("to fix it    {fix}"))?;
    }
    let Counters { runs, failed, shortest, longest, last, .. } = &counters;
    output::line(format_args!("runs         {runs}, of which {failed} failed"))?;
    if *runs > 0 {
        let [mean, shortest, longest, last] =
            [counters.mean(), *shortest, *longest, *last].map(|time| time.as_millis());
        output::line(format_args!(
            "durations    {mean} ms on average, {shortest} to {longest} ms; the last one {last} ms"
        ))?;
    }
    if let Some(failure) = &counters.failure {
        output::line(format_args!("last failure {}: {}", ago(counters.failed_at), output::printable(failure)))?;
    }
    Ok(())
}

/// Enables one registration, or many.
pub(crate) async fn enable(common: &Common, args: EnableArgs) -> anyhow::Result<()> {
    let runtime = connect::client(common).await?;
    let EnableArgs { charm, integration, state, space, all: _ } = args;
    if let Some(charm) = charm {
        return match runtime.set_disabled(&charm, None).await {
            Ok(entry) => Ok(output::line(format_args!("{charm}: {}", output::printable(&entry.status)))?),
            Err(error) => Err(explained(&*runtime, &charm, error).await),
        };
    }
    let names = Names::read(&*runtime).await?;
    let mut problems: Vec<String> = integration.iter().filter_map(|id| names.no_integration(id)).collect();
    let mut spaces = Vec::new();
    for named in &space {
        let did = space::resolve(&*runtime, named).await?;
        let known = space::names(&*runtime).await;
        problems.extend(names.no_space(&did, named, &known));
        spaces.push(did);
    }
    names::check(problems)?;
    let mut enabled = 0;
    // A repeated option matches any of its values; an absent one matches everything.
    for integration in any_of(integration) {
        for space in any_of(spaces.clone()) {
            for state in any_of(state.clone()) {
                let filter =
                    RegistrationFilter { search: None, space: space.clone(), integration: integration.clone(), state };
                enabled += runtime.enable_all(&filter).await?;
            }
        }
    }
    if enabled == 0 {
        let why =
            if state.is_empty() { "run as they should, or were disabled by hand" } else { "are in another state" };
        output::note(&[format!("nothing to enable: all registrations of these {why}")]);
    }
    let plural = if enabled == 1 { "registration" } else { "registrations" };
    output::line(format_args!("{enabled} {plural} enabled"))?;
    Ok(())
}

/// Each value once, or `[None]` if there are none.
fn any_of<T: PartialEq>(all: Vec<T>) -> Vec<Option<T>> {
    let mut once: Vec<Option<T>> = Vec::new();
    for one in all.into_iter().map(Some) {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    if once.is_empty() { vec![None] } else { once }
}

/// The same error; for an unknown or unregistered charm, with a suggestion.
async fn explained(runtime: &dyn Runtime, charm: &CharmRef, error: RuntimeError) -> anyhow::Error {
    if matches!(error, RuntimeError::NotFound(_) | RuntimeError::Unfit(_))
        && let Ok(names) = Names::read(runtime).await
        && let Some(problem) = names.no_charm(charm)
        && !damaged::read(runtime).await.iter().any(|one| one.charm == charm.to_string())
    {
        return anyhow::anyhow!(error).context(problem);
    }
    error.into()
}

/// Disables a registration.
pub(crate) async fn disable(common: &Common, charm: &CharmRef) -> anyhow::Result<()> {
    let runtime = connect::client(common).await?;
    match runtime.set_disabled(charm, Some((DisabledBy::Hand, "by hand"))).await {
        Ok(entry) => Ok(output::line(format_args!("{charm}: {}", output::printable(&entry.status)))?),
        Err(error) => Err(explained(&*runtime, charm, error).await),
    }
}

/// Removes a registration.
pub(crate) async fn remove(common: &Common, charm: &CharmRef) -> anyhow::Result<()> {
    let runtime = connect::client(common).await?;
    if !runtime.remove(charm).await? {
        names::check(Names::read(&*runtime).await?.no_charm(charm))?;
        bail!("{charm} is not registered");
    }
    output::line(format_args!("{charm} is no longer registered"))?;
    Ok(())
}

/// Prints the newest runs of a charm.
pub(crate) async fn runs(common: &Common, charm: &CharmRef, limit: usize, json: bool) -> anyhow::Result<()> {
    let runtime = connect::client(common).await?;
    let runs = match runtime.runs(charm, limit).await {
        Ok(runs) => runs,
        Err(error) => return Err(explained(&*runtime, charm, error).await),
    };
    if json {
        return output::json(&runs);
    }
    if runs.is_empty() && limit > 0 {
        output::note(&[format!("{charm} was not polled yet; `bg-wasm-host show {charm}` says whether it will be")]);
    }
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            vec![
                ago(run.started_at),
                format!("{} ms", run.duration.as_millis()),
                output::printable(&run.outcome.to_string()),
            ]
        })
        .collect();
    output::table(&["STARTED", "TOOK", "OUTCOME"], &rows)?;
    Ok(())
}

/// A time in the past, for people.
fn ago(time: UnixMillis) -> String {
    output::ago(UnixMillis::now(), time)
}
