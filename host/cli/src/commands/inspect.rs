//! `inspect`: what a component is and asks for. Nothing of it runs.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use bg_sandbox::{ComponentInfo, Item, ItemKind, inspect};
use serde_json::json;

use crate::args::GrantArgs;
use crate::integrations::Plan;
use crate::{output, paths};

/// `inspect FILE`
pub(crate) fn run(file: &Path, as_json: bool, grants: &GrantArgs) -> anyhow::Result<()> {
    let bytes = paths::read(file, "the component")?;
    let info = inspect(&bytes).with_context(|| format!("cannot inspect {}", file.display()))?;
    // A component of world `charm` has no manifest; it is shown all the same.
    let plan = if info.manifest.is_some() { Some(Plan::new(file, &info, grants)?) } else { None };
    if as_json {
        output::json(&machine(&info, plan.as_ref())?)
    } else {
        Ok(output::line(human(file, &info, plan.as_ref())?.trim_end())?)
    }
}

fn machine(info: &ComponentInfo, plan: Option<&Plan>) -> anyhow::Result<serde_json::Value> {
    let items = |items: &[Item]| -> Vec<_> {
        items.iter().map(|item| json!({"name": item.name, "functions": item.functions})).collect()
    };
    let manifest: Option<serde_json::Value> = match &info.manifest {
        Some(manifest) => Some(serde_json::from_slice(&manifest.to_json())?),
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
        "imports": items(&info.imports),
        "exports": items(&info.exports),
        "asked": asked,
        "granted": granted,
        "withheld": withheld,
    }))
}

/// Whatever comes out of the file is made safe for a terminal.
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
    if let Some(plan) = plan {
        describe_plan(&mut text, plan)?;
    } else {
        writeln!(text, "\nIt has no manifest: it asks for nothing.")?;
    }
    for (title, items) in [("Imports", &info.imports), ("Exports", &info.exports)] {
        writeln!(text, "\n{title}")?;
        // The world's own names for types are listed as imports, too; nothing can be called through them.
        for item in items.iter().filter(|item| item.kind != ItemKind::Other) {
            let functions = item.functions.iter().map(|name| output::printable(name)).collect::<Vec<_>>().join(", ");
            let shown = if functions.is_empty() { String::new() } else { format!(": {functions}") };
            writeln!(text, "  {}{shown}", output::printable(&item.name))?;
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
            writeln!(text, "    the host adds a token: {credential}")?;
        }
    }
    if plan.asked.is_empty() {
        writeln!(text, "  nothing")?;
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
