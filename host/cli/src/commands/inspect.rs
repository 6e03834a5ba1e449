//! `inspect`: describes a component without running it.

mod context;

use std::fmt::Write as _;
use std::path::Path;

use bg_sandbox::{ComponentInfo, Item, ItemKind, World, WorldError};
use serde_json::json;

use crate::args::GrantArgs;
use crate::integrations::{Plan, manifest_beside};
use crate::{connect, output};

/// `inspect FILE`
pub(crate) async fn run(file: &Path, as_json: bool, grants: &GrantArgs) -> anyhow::Result<()> {
    let info = connect::inspect(file).await?;
    // A component of world `charm` has no manifest, and an integration may not have one yet: both are shown anyway.
    let has_manifest = info.manifest.is_some() || (is_integration(&info) && manifest_beside(file).is_file());
    let plan = if has_manifest { Some(Plan::new(file, &info, grants)?) } else { None };
    if as_json {
        output::json(&machine(&info, plan.as_ref())?)
    } else {
        Ok(output::line(human(file, &info, plan.as_ref())?.trim_end())?)
    }
}

fn machine(info: &ComponentInfo, plan: Option<&Plan>) -> anyhow::Result<serde_json::Value> {
    let imports: Vec<_> = info.imports.iter().map(|import| {
        json!({"name": import.name, "functions": import.functions, "behind": context::behind(&import.name)})
    }).collect();
    let exports: Vec<_> =
        info.exports.iter().map(|export| json!({"name": export.name, "functions": export.functions})).collect();
    let manifest: Option<serde_json::Value> = match plan {
        Some(plan) => Some(serde_json::from_slice(&plan.manifest.to_json())?),
        None => None,
    };
    let asked = plan.map(|plan| plan.asked.iter().map(|asked| asked.grant.to_string()).collect::<Vec<_>>());
    let granted = plan.map(|plan| plan.granted.iter().map(|granted| granted.grant.to_string()).collect::<Vec<_>>());
    let withheld = plan.map(|plan| plan.withheld.iter().map(|withheld| withheld.option.clone()).collect::<Vec<_>>());
    Ok(json!({
        "size": info.size,
        "sha256": info.sha256,
        "metadata": {
            "name": info.metadata.name,
            "version": info.metadata.version,
            "authors": info.metadata.authors,
            "licenses": info.metadata.licenses,
            "description": info.metadata.description,
            "homepage": info.metadata.homepage,
        },
        "manifest": manifest,
        "world": world(info).ok().map(|world| world.to_string()),
        "imports": imports,
        "exports": exports,
        "asked": asked,
        "granted": granted,
        "withheld": withheld,
    }))
}

/// The world that it fits, by names; or what is wrong for each world that it may be meant for.
fn world(info: &ComponentInfo) -> Result<World, Vec<WorldError>> {
    let as_integration = match World::Integration.check(info) {
        Ok(()) => return Ok(World::Integration),
        Err(error) => error,
    };
    match World::Charm.check(info) {
        Ok(()) => Ok(World::Charm),
        // Only integrations have a manifest.
        Err(_) if info.manifest.is_some() => Err(vec![as_integration]),
        Err(as_charm) => Err(vec![as_integration, as_charm]),
    }
}

fn is_integration(info: &ComponentInfo) -> bool {
    World::Integration.check(info).is_ok()
}

/// A function that says what an import gives access to.
type Behind = fn(&str) -> Option<&'static str>;

/// All text from the file is made safe for a terminal.
fn human(file: &Path, info: &ComponentInfo, plan: Option<&Plan>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let metadata = &info.metadata;
    writeln!(text, "{}", file.display())?;
    for (label, value) in [
        ("name", &metadata.name),
        ("version", &metadata.version),
        ("authors", &metadata.authors),
        ("licences", &metadata.licenses),
        ("about", &metadata.description),
        ("homepage", &metadata.homepage),
    ] {
        if let Some(value) = value {
            writeln!(text, "  {label:<9} {}", output::printable(value))?;
        }
    }
    writeln!(text, "  {:<9} {} bytes", "size", info.size)?;
    writeln!(text, "  {:<9} {}", "sha256", info.sha256)?;
    match world(info) {
        Ok(world) => writeln!(text, "  {:<9} {world}", "world")?,
        Err(errors) => {
            writeln!(text, "\nIt cannot run here:")?;
            for line in
                errors.iter().flat_map(|error| error.to_string().lines().map(output::printable).collect::<Vec<_>>())
            {
                writeln!(text, "  {line}")?;
            }
        }
    }
    if let Some(plan) = plan {
        describe_plan(&mut text, plan)?;
    } else if is_integration(info) {
        writeln!(text, "\nIt has no manifest: to run it, put its integration.toml next to it.")?;
    } else {
        writeln!(text, "\nIt has no manifest: it asks for nothing.")?;
    }
    let lists: [(&str, &[Item], Behind); 2] =
        [("Imports", &info.imports, context::behind), ("Exports", &info.exports, |_| None)];
    for (title, items, behind) in lists {
        writeln!(text, "\n{title}")?;
        // The world's own names for types are imports, too; nothing can be called through them.
        for item in items.iter().filter(|item| item.kind != ItemKind::Other) {
            let functions = item.functions.iter().map(|name| output::printable(name)).collect::<Vec<_>>().join(", ");
            let shown = if functions.is_empty() { String::new() } else { format!(": {functions}") };
            let behind = behind(&item.name).map(|behind| format!(" ({behind})")).unwrap_or_default();
            writeln!(text, "  {}{behind}{shown}", output::printable(&item.name))?;
        }
    }
    Ok(text)
}

fn describe_plan(text: &mut String, plan: &Plan) -> std::fmt::Result {
    let about = &plan.manifest.integration;
    writeln!(text, "\nIntegration {} ({})", about.id, output::printable(&about.name))?;
    if let Some(interval) = about.interval {
        writeln!(text, "  asks to be polled every {} s", interval.as_secs())?;
    }
    for (key, value) in &plan.manifest.config {
        let set = plan.config.get(key).or(value.default.as_ref());
        let set = set.map_or("(must be set)".into(), |set| output::printable(set));
        writeln!(text, "  config {key} = {set}: {}", output::printable(&value.description))?;
    }
    writeln!(text, "\nAsks for HTTP")?;
    for asked in &plan.asked {
        writeln!(text, "  {}", asked.grant)?;
        if !asked.reason.is_empty() {
            writeln!(text, "    why: {}", output::printable(&asked.reason))?;
        }
        if let Some(credential) = &asked.credential {
            writeln!(text, "    the host adds a secret: {credential}")?;
        }
    }
    if plan.asked.is_empty() {
        writeln!(text, "  nothing")?;
    }
    if let Some(oauth) = &plan.manifest.oauth {
        writeln!(text, "\nIts people sign in at {}", oauth.provider)?;
        for scope in &oauth.scopes {
            writeln!(text, "  {scope}")?;
        }
    }
    writeln!(text, "\nWould get")?;
    for granted in &plan.granted {
        writeln!(text, "  {}", granted.grant)?;
    }
    if plan.granted.is_empty() {
        writeln!(text, "  no HTTP")?;
    }
    for withheld in &plan.withheld {
        writeln!(text, "  withheld; to grant it: {}", withheld.option)?;
    }
    Ok(())
}
