//! The resulting configuration: every option with its value, whether the file sets it or not.

use super::components::Seen;
use super::sections::sections;
use crate::args::RunArgs;

/// A key, and its values.
type Row = (&'static str, Vec<String>);

/// The options of each command.
pub(super) fn of(args: &RunArgs, seen: &[Seen]) -> [(&'static str, Vec<Row>); 3] {
    sections(args).map(|(heading, options)| {
        let rows = options.into_iter().map(|option| match option.key() {
            // They were inspected, which shows more than their paths.
            key @ "components" if !seen.is_empty() => (key, seen.iter().flat_map(component).collect()),
            key => (key, option.values()),
        });
        (heading, rows.collect())
    })
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

#[cfg(test)]
mod tests {
    use bg_charm_runtime::RUNS_KEPT;
    use bg_poller::PollerOptions;
    use bg_server::RegistrationPolicy;

    use super::*;
    use crate::args::{Registration, ServeArgs};

    #[test]
    fn options_that_are_not_set_are_shown_with_the_programs_defaults() {
        let shown: Vec<Row> = of(&RunArgs::default(), &[]).into_iter().flat_map(|(_, rows)| rows).collect();
        let defaults = PollerOptions::default();
        assert_eq!(RegistrationPolicy::from(Registration::Open), RegistrationPolicy::default());
        assert_eq!(defaults.per_integration, usize::MAX);
        for (key, value) in [
            ("components", "none".to_owned()),
            ("interval", format!("{:?}, unless a component asks for another", defaults.interval)),
            ("min-interval", "the interval that it has otherwise".to_owned()),
            ("jitter", format!("{} %", defaults.jitter * 100.0)),
            ("max-concurrent", defaults.max_concurrent.to_string()),
            ("per-integration", "max-concurrent".to_owned()),
            ("per-space", defaults.per_space.to_string()),
            ("failures", defaults.failures.to_string()),
            ("log-interval", format!("{:?}", defaults.log_interval)),
            ("listen", ServeArgs::default().listen().to_string()),
            ("registration", "open".to_owned()),
            ("allow-integration", "all".to_owned()),
            ("behind-proxy", "false".to_owned()),
            ("max-charms", "1000".to_owned()),
            ("max-signer-bytes", "1GiB".to_owned()),
            ("charm-api-url", "http://localhost:8000/".to_owned()),
            ("egress", "enforce".to_owned()),
            ("keep-runs", RUNS_KEPT.to_string()),
            ("limits", "as in `run --help`".to_owned()),
        ] {
            let row = shown.iter().find(|(name, _)| *name == key).unwrap();
            assert_eq!(row.1, [value], "{key}");
        }
    }
}
