//! `doctor`: checks everything the service needs, and prints a fix for each problem.

mod charms;
mod components;
mod machine;
mod port;
mod row;
mod runtime;
mod strangers;

use std::process::ExitCode;

use crate::args::{Common, DoctorArgs, RunArgs, ServeArgs};
use crate::config::ReadFile;
use crate::{connect, health, output, services};
use row::{Row, State, said_once};

/// Checks the keys, the configuration, the folders, the database, the charm runtime and its clock, access to the system
/// space, the engine that runs charms, the components, who polls, and what keeps charms from being polled. Status 1 if
/// the service would not run.
pub(crate) async fn run(common: &Common, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let rows = rows(common, args.clone()).await;
    let is_wrong = rows.iter().any(|row| row.state == State::Wrong);
    if args.json.json {
        output::json(&rows)?;
    } else {
        for row in &rows {
            output::line(output::printable(&row.to_string()))?;
        }
    }
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn rows(common: &Common, args: DoctorArgs) -> Vec<Row> {
    let mut rows = vec![machine::key(common)];
    let mut run = RunArgs { component: args.component, sha256: args.sha256, grants: args.grants, ..RunArgs::default() };
    let mut serve = ServeArgs { listen: args.listen, ..ServeArgs::default() };
    if let Some(path) = &args.config {
        rows.push(components::configuration(path).await);
        // If it can't be read, that was just reported.
        if let (Ok(for_run), Ok(for_serve)) = (ReadFile::open(path), ReadFile::open(path)) {
            for_run.merge(&mut run);
            for_serve.merge_served(&mut serve);
        }
    }
    rows.extend(connect::unbound_tokens(&serve.handlers).map(|problem| {
        Row::weak("charms' tokens", problem).fixed_by("--charm-credential auth.token=https://…, for `serve`")
    }));
    rows.extend(machine::tls_key(serve.server.tls_key.as_deref()));
    rows.extend([machine::data_directory(common), machine::cache_directory(common)]);
    rows.push(machine::database(common).await);
    rows.push(machine::room(common));
    let (runtime, probe) = runtime::endpoint(common).await;
    let is_found = runtime.state == State::Ok;
    rows.push(runtime);
    let (registered, registrations) = runtime::registrations(common).await;
    let registrations = registrations.as_deref();
    rows.extend(runtime::clock(probe.as_ref(), registrations));
    rows.extend(registered);
    rows.push(runtime::script(common).await);
    let (checked, integrations) = components::all(common, &run).await;
    rows.extend(checked);
    let services = services::find(common).await.unwrap_or_default();
    rows.extend(charms::polled(common, &services, registrations.unwrap_or_default()));
    rows.extend(charms::health(&health::read(common).await));
    let (admin_page, listener) = runtime::admin_page(&services).await.unzip();
    rows.extend(admin_page);
    // Nothing is known about registrations that could not be read.
    if let Some(registrations) = registrations {
        rows.push(charms::without_component(registrations, &integrations));
        rows.extend(charms::troubles(registrations));
    }
    let answers = is_found && listener != Some(None);
    let probe = probe.or(listener.flatten());
    if answers || probe.is_some() {
        rows.push(runtime::buttons(probe.as_ref()));
    }
    rows.extend(port::listen(common, &serve, &services));
    rows.extend(strangers::rows(common, &serve, &services).await);
    rows.push(machine::confinement());
    said_once(rows)
}
