//! What a configuration amounts to: every option with its value, whether the file sets it or not.

use std::fmt::Display;
use std::path::PathBuf;

use clap::ValueEnum as _;

use super::components::Seen;
use crate::args::{EgressMode, GrantAll, RunArgs, ServeArgs, Size};
use crate::commands::run;

/// A key, and its values.
type Row = (&'static str, Vec<String>);

/// What each command gets of the file.
pub(super) fn of(run: &RunArgs, serve: &ServeArgs, seen: &[Seen]) -> [(&'static str, Vec<Row>); 3] {
    let options = run::options(run);
    let grants = &run.grants;
    let unlimited = |n: usize| if n == usize::MAX { "as many as in all".to_owned() } else { n.to_string() };
    let polling = vec![
        ("components", listed(seen.iter().flat_map(component))),
        ("sha256", listed(run.sha256.iter())),
        ("grant", one(grants.grant.map(|GrantAll::Requested| "requested"), "nothing but what allow-http says")),
        ("allow-http", listed(&grants.allow_http)),
        ("set", listed(grants.set.iter().map(|set| format!("{}.{} = {}", set.integration, set.key, set.value)))),
        ("interval", one(run.interval.map(|time| format!("{time:?}")), "60s, unless a component asks for another")),
        (
            "min-interval",
            one(run.min_interval.map(|time| format!("{time:?}")), "no shorter than it would be otherwise"),
        ),
        ("jitter", vec![format!("{} %", run.jitter.unwrap_or_default())]),
        ("max-concurrent", vec![options.max_concurrent.to_string()]),
        ("per-integration", vec![unlimited(options.per_integration)]),
        ("per-space", vec![options.per_space.to_string()]),
        ("failures", vec![options.failures.to_string()]),
        ("log-interval", vec![format!("{:?}", options.log_interval)]),
        ("charms", if run.charms.is_empty() { vec!["all that are registered".into()] } else { listed(&run.charms) }),
    ];
    let server = &serve.server;
    let quotas = server.tenants.quotas();
    let path = |path: &Option<PathBuf>| one(path.as_ref().map(|path| path.display()), "none");
    let serving = vec![
        ("listen", vec![serve.listen().to_string()]),
        ("allow-host", listed(&server.allow_host)),
        ("allow-origin", listed(&server.allow_origin)),
        (
            "registration",
            one(
                server.registration.and_then(|who| who.to_possible_value()).map(|who| who.get_name().to_owned()),
                "open",
            ),
        ),
        (
            "allow-integration",
            if server.allow_integration.is_empty() { vec!["all".into()] } else { listed(&server.allow_integration) },
        ),
        ("tls-cert", path(&server.tls_cert)),
        ("tls-key", path(&server.tls_key)),
        ("behind-proxy", vec![server.behind_proxy.to_string()]),
        ("open-spaces", vec![server.tenants.open_spaces.to_string()]),
        ("max-charms", vec![quotas.charms_per_space.to_string()]),
        ("max-spaces", vec![quotas.spaces_per_signer.to_string()]),
        ("max-signer-bytes", vec![Size(quotas.bytes_per_signer).to_string()]),
        ("max-bytes", vec![Size(quotas.bytes).to_string()]),
        ("min-free", vec![Size(quotas.free_disk).to_string()]),
    ];
    let handlers = &run.handlers;
    let egress = if handlers.egress == Some(EgressMode::Report) { "report" } else { "enforce" };
    let both = vec![
        ("allow-charm-http", listed(&handlers.allow_charm_http)),
        ("charm-credential", listed(&handlers.charm_credential)),
        ("allow-private", listed(&handlers.allow_private)),
        (
            "oauth-refresh-url",
            one(handlers.oauth_refresh_url.as_ref().map(|url| &url.0), "none: tokens are not renewed"),
        ),
        ("charm-api-url", one(handlers.charm_api_url.as_ref(), "http://localhost:8000/")),
        ("egress", vec![egress.to_owned()]),
        ("keep-runs", vec![handlers.keep_runs.unwrap_or(bg_charm_runtime::RUNS_KEPT).to_string()]),
        ("limits", if handlers.limit.is_empty() { vec!["as in `run --help`".into()] } else { listed(&handlers.limit) }),
    ];
    [
        ("for `run`", polling),
        ("for `serve`, and for `run` if it listens", serving),
        ("for both, where charms run", both),
    ]
}

fn component(seen: &Seen) -> Vec<String> {
    let Seen { path, plan, sha256 } = seen;
    let mut lines =
        vec![format!("{}: {} {}, sha256 {sha256}", path.display(), plan.id(), plan.manifest.integration.version)];
    lines.extend(plan.granted.iter().map(|granted| format!("  granted: {}", granted.grant)));
    let withheld = plan.withheld.iter();
    lines.extend(withheld.map(|one| format!("  withheld: {}; to grant it: {}", one.asked.grant, one.option)));
    lines
}

fn listed<T: Display>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if values.is_empty() { vec!["none".to_owned()] } else { values }
}

fn one(value: Option<impl Display>, otherwise: &str) -> Vec<String> {
    vec![value.map_or_else(|| otherwise.to_owned(), |value| value.to_string())]
}
