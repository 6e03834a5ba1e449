//! The components: whether each loads, what it asks for, and what is granted.

use std::path::Path;

use bg_identity::IntegrationId;
use bg_sandbox::{Sandbox, World};

use super::row::Row;
use crate::args::{Common, Pin, RunArgs};
use crate::commands::config;
use crate::integrations::Plan;
use crate::{connect, paths, pins};

pub(super) async fn configuration(path: &Path) -> Row {
    const WHAT: &str = "configuration";
    match config::look(path).await {
        Ok(_) => Row::ok(WHAT, format!("{} has no problems", path.display())),
        Err(error) => Row::error(WHAT, &error).fixed_by(format!("bg-wasm-host config check {}", path.display())),
    }
}

/// All components, and their integrations.
pub(super) async fn all(common: &Common, run: &RunArgs) -> (Vec<Row>, Vec<IntegrationId>) {
    const WHAT: &str = "components";
    if run.component.is_empty() {
        let found = "none to check; name them with --component FILE or --config FILE";
        return (vec![Row::ok(WHAT, found)], Vec::new());
    }
    let sandbox = match connect::sandbox(common, &run.handlers.limits().sandbox) {
        Ok(sandbox) => sandbox,
        Err(error) => return (vec![Row::error(WHAT, &error)], Vec::new()),
    };
    let (mut rows, mut integrations) = (Vec::new(), Vec::new());
    for path in &run.component {
        let what = format!("component {}", path.display());
        rows.push(match one(&sandbox, path, run).await {
            Ok((found, plan)) => {
                integrations.push(plan.id().clone());
                let options: Vec<_> = plan.withheld.iter().map(|withheld| withheld.option.clone()).collect();
                if options.is_empty() {
                    Row::ok(what, found)
                } else {
                    Row::weak(what, found).fixed_by(options.join(" "))
                }
            }
            Err(error) => Row::error(what, &error),
        });
    }
    for stray in run.sha256.iter().map(Pin::integration).filter(|id| !integrations.contains(id)) {
        rows.push(
            Row::wrong("pins", format!("a pin names {stray}, but it has no component"))
                .fixed_by("remove the --sha256, or add the component"),
        );
    }
    (rows, integrations)
}

/// Loads one as the service would, which also compiles it.
async fn one(sandbox: &Sandbox, path: &Path, run: &RunArgs) -> anyhow::Result<(String, Plan)> {
    let bytes = paths::read_component(path, sandbox.limits().component_bytes)?;
    let loaded = sandbox.load(bytes, World::Integration).await?;
    let info = loaded.info();
    let plan = Plan::new(path, info, &run.grants)?;
    let id = plan.id();
    pins::check_one(&run.sha256, path, id, &info.sha256)?;
    let pinned = if run.sha256.iter().any(|pin| pin.integration() == id) { ", as pinned" } else { "" };
    let listed = |all: Vec<String>| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    let granted = listed(plan.granted.iter().map(|granted| granted.grant.to_string()).collect());
    let withheld = listed(plan.withheld.iter().map(|withheld| withheld.asked.grant.to_string()).collect());
    let asked = match plan.asked.len() {
        0 => "asks for no HTTP".to_owned(),
        _ => format!("of the HTTP that it asks for, granted: {granted}; not granted: {withheld}"),
    };
    let version = &plan.manifest.integration.version;
    Ok((format!("{id} {version} loads (sha256 {}{pinned}); {asked}", info.sha256), plan))
}
