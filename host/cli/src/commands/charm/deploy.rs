//! `charm deploy`.

use anyhow::Context as _;
use bg_charm_api::Deployed;
use bg_identity::SpaceDid;
use bg_poller::CharmRef;
use serde_json::{Map, Value, json};

use super::source::{self, Source};
use super::trigger;
use crate::args::{Common, DeployArgs, EventArgs};
use crate::commands::space;
use crate::connect::{self, Runner};
use crate::output;

/// Where to deploy: into a space, or over an existing charm.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) space: SpaceDid,
    pub(super) charm: Option<CharmRef>,
}

impl Target {
    pub(super) async fn of(args: &DeployArgs, runner: &Runner) -> anyhow::Result<Self> {
        if let Some(charm) = &args.update {
            return Ok(Self { space: charm.space.clone(), charm: Some(charm.clone()) });
        }
        let space = args.space.as_deref().context("name a space with --space NAME, or a charm with --update CHARM")?;
        Ok(Self { space: space::resolve(&*runner.runtime, space).await?, charm: None })
    }
}

/// Deploys once.
pub(super) async fn run(common: &Common, args: &DeployArgs) -> anyhow::Result<()> {
    let (source, inputs) = (source::read(&args.source)?, source::inputs(args.inputs.as_deref())?);
    let runner = connect::with_handlers(common, &args.handlers).await?;
    let target = Target::of(args, &runner).await?;
    let deployed = deploy(&runner, &target, &source, &inputs).await?;
    output::line(&deployed.charm.charm)?;
    if args.trigger && !poll(&runner, &deployed.charm).await? {
        anyhow::bail!("the charm is deployed, but its handler failed; its writes were discarded");
    }
    Ok(())
}

/// Deploys, and reports it.
pub(super) async fn deploy(
    runner: &Runner,
    target: &Target,
    source: &Source,
    inputs: &Map<String, Value>,
) -> anyhow::Result<Deployed> {
    let request = source.request(inputs, target.charm.as_ref().map(|charm| charm.charm.clone()));
    let deployed = runner.runtime.deploy(&target.space, &request).await?;
    let Deployed { charm, created, updated, warnings, .. } = &deployed;
    for warning in warnings {
        tracing::warn!("{}", output::printable(warning));
    }
    if *updated {
        tracing::info!(%charm, "updated in place; its cells are kept");
    } else if *created || target.charm.is_none() {
        tracing::info!(
            %charm,
            created,
            "deployed; register it with `bg-wasm-host register {charm} --integration NAME`"
        );
    } else {
        tracing::info!(%charm, "unchanged: it already has this program");
    }
    Ok(deployed)
}

/// Polls a charm once, prints the outcome, and returns whether it succeeded.
pub(super) async fn poll(runner: &Runner, charm: &CharmRef) -> anyhow::Result<bool> {
    let args = EventArgs { stream: None, event: String::new() };
    let stream = trigger::stream(&*runner.runtime, charm, &args).await?;
    let outcome = trigger::send(runner, charm, &stream, &json!({})).await?;
    // Standard output contains only the ID.
    output::note(&trigger::outcome_lines("", &outcome));
    Ok(outcome.is_success())
}
