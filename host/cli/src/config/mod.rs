//! The configuration file of `run` and `serve`: the same options as on the command line, in TOML. One file may be for both: each takes
//! what it has an option for.

mod document;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bg_identity::IntegrationId;
use bg_manifest::{CharmCredential, HttpGrant, OperatorGrant, Origin};
use bg_poller::CharmRef;
use bg_server::AllowedOrigin;
use serde::Deserialize;
use url::Url;

use crate::args::{
    EgressMode, GrantAll, HandlerArgs, RefreshUrl, Registration, RunArgs, ServeArgs, ServerArgs, Setting, Size,
    TenantArgs,
};
pub(crate) use document::{Document, Mistake};
use values::{Interval, LimitTable, Parsed, PinTable, within};

/// What a configuration file may say. Every key is optional; an unknown one is an error.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ConfigFile {
    #[serde(default)]
    components: Vec<PathBuf>,
    #[serde(default)]
    allow_http: Vec<Parsed<OperatorGrant>>,
    #[serde(default)]
    allow_charm_http: Vec<Parsed<HttpGrant>>,
    #[serde(default)]
    charm_credential: Vec<Parsed<CharmCredential>>,
    #[serde(default)]
    allow_private: Vec<Parsed<Origin>>,
    grant: Option<GrantAll>,
    oauth_refresh_url: Option<Parsed<RefreshUrl>>,
    charm_api_url: Option<Parsed<Url>>,
    egress: Option<EgressMode>,
    #[serde(default)]
    limits: LimitTable,
    interval: Option<Interval>,
    log_interval: Option<Interval>,
    min_interval: Option<Interval>,
    #[serde(default, deserialize_with = "within::<0, 100, _>")]
    jitter: Option<u32>,
    #[serde(default, deserialize_with = "within::<1, 100_000, _>")]
    max_concurrent: Option<u32>,
    #[serde(default, deserialize_with = "within::<1, 100_000, _>")]
    per_integration: Option<u32>,
    #[serde(default, deserialize_with = "within::<1, 100_000, _>")]
    per_space: Option<u32>,
    #[serde(default, deserialize_with = "within::<1, 1_000, _>")]
    keep_runs: Option<u32>,
    failures: Option<std::num::NonZeroU32>,
    #[serde(default)]
    charms: Vec<Parsed<CharmRef>>,
    #[serde(default)]
    set: BTreeMap<Parsed<IntegrationId>, BTreeMap<String, String>>,
    #[serde(default)]
    sha256: PinTable,
    listen: Option<Parsed<SocketAddr>>,
    #[serde(default)]
    allow_host: Vec<String>,
    #[serde(default)]
    allow_origin: Vec<Parsed<AllowedOrigin>>,
    registration: Option<Registration>,
    #[serde(default)]
    allow_integration: Vec<Parsed<IntegrationId>>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    behind_proxy: Option<bool>,
    open_spaces: Option<bool>,
    max_charms: Option<u64>,
    max_spaces: Option<u64>,
    max_signer_bytes: Option<Parsed<Size>>,
    max_bytes: Option<Parsed<Size>>,
    min_free: Option<Parsed<Size>>,
}

/// A configuration file that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// It can't be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// It says something wrong.
    #[error("the configuration file {} is wrong: {}", path.display(), shown(mistakes))]
    Wrong { path: PathBuf, mistakes: Vec<Mistake> },
}

fn shown(mistakes: &[Mistake]) -> String {
    let start = if mistakes.len() > 1 { "\n" } else { "" };
    start.to_owned() + &mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A configuration file that was read.
#[derive(Debug)]
pub(crate) struct ReadFile {
    file: ConfigFile,
    base: PathBuf,
    document: Document,
}

impl ReadFile {
    /// Reads and checks it.
    pub(crate) fn open(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        let (file, document) =
            Document::parse(text).map_err(|mistakes| ConfigError::Wrong { path: path.into(), mistakes })?;
        Ok(Self { file, base: path.parent().unwrap_or(Path::new("")).to_owned(), document })
    }

    /// Adds what the file says to the options of `run`: what the command line gave wins, lists add up. Paths in the file are relative
    /// to it.
    pub(crate) fn merge(self, args: &mut RunArgs) {
        merge(args, self.file, &self.base);
    }

    /// Both, for who looks into the file; and where in it what is.
    pub(crate) fn merge_both(self, run: &mut RunArgs, serve: &mut ServeArgs) -> Document {
        serve.listen = self.file.listen.as_ref().map(|address| address.0);
        merge(run, self.file, &self.base);
        serve.server = run.server.clone();
        self.document
    }

    /// The same for `serve`.
    pub(crate) fn merge_served(mut self, args: &mut ServeArgs) {
        merge_handlers(&mut args.handlers, &mut self.file);
        merge_server(&mut args.server, &mut self.file, &self.base);
        args.listen = args.listen.or(self.file.listen.map(|address| address.0));
    }
}

fn merge(args: &mut RunArgs, mut file: ConfigFile, base: &Path) {
    merge_handlers(&mut args.handlers, &mut file);
    merge_server(&mut args.server, &mut file, base);
    if args.listen.is_none() {
        args.listen = file.listen.map(|address| address.0);
        args.may_listen = args.listen.is_some();
    }
    args.configured_components = file.components.len();
    args.component.extend(file.components.into_iter().map(|component| base.join(component)));
    args.grants.allow_http.extend(file.allow_http.into_iter().map(|parsed| parsed.0));
    args.grants.grant = args.grants.grant.or(file.grant);
    args.interval = args.interval.or(file.interval.map(|interval| interval.0));
    args.log_interval = args.log_interval.or(file.log_interval.map(|interval| interval.0));
    args.min_interval = args.min_interval.or(file.min_interval.map(|interval| interval.0));
    args.jitter = args.jitter.or(file.jitter.and_then(|percent| u8::try_from(percent).ok()));
    args.max_concurrent = args.max_concurrent.or(file.max_concurrent);
    args.per_integration = args.per_integration.or(file.per_integration);
    args.per_space = args.per_space.or(file.per_space);
    args.failures = args.failures.or(file.failures.map(Into::into));
    if args.charms.is_empty() {
        args.charms = file.charms.into_iter().map(|parsed| parsed.0).collect();
    }
    // The command line's settings come last, and the last one counts.
    let mut set: Vec<Setting> = Vec::new();
    for (Parsed(integration), values) in file.set {
        for (key, value) in values {
            set.push(Setting { integration: integration.clone(), key, value });
        }
    }
    set.append(&mut args.grants.set);
    args.grants.set = set;
    // The command line's pins of an integration are all that count for it.
    let (ours, theirs) = (std::mem::take(&mut args.sha256), file.sha256.0);
    args.sha256 = theirs.into_iter().filter(|pin| !ours.iter().any(|own| own.is_of_the_same(pin))).collect();
    args.sha256.extend(ours);
}

/// What both commands take.
fn merge_handlers(args: &mut HandlerArgs, file: &mut ConfigFile) {
    args.allow_private.extend(std::mem::take(&mut file.allow_private).into_iter().map(|parsed| parsed.0));
    args.allow_charm_http.extend(std::mem::take(&mut file.allow_charm_http).into_iter().map(|parsed| parsed.0));
    args.charm_credential.extend(std::mem::take(&mut file.charm_credential).into_iter().map(|parsed| parsed.0));
    args.charm_api_url = args.charm_api_url.take().or(file.charm_api_url.take().map(|url| url.0));
    args.oauth_refresh_url = args.oauth_refresh_url.take().or(file.oauth_refresh_url.take().map(|url| url.0));
    args.egress = args.egress.or(file.egress);
    args.keep_runs = args.keep_runs.or(file.keep_runs);
    // The command line's come last, and the last one counts.
    let mut limits = std::mem::take(&mut file.limits).0;
    limits.append(&mut args.limit);
    args.limit = limits;
}

/// What listens takes.
fn merge_server(args: &mut ServerArgs, file: &mut ConfigFile, base: &Path) {
    args.allow_host.append(&mut file.allow_host);
    args.allow_origin.extend(std::mem::take(&mut file.allow_origin).into_iter().map(|parsed| parsed.0));
    args.allow_integration.extend(std::mem::take(&mut file.allow_integration).into_iter().map(|parsed| parsed.0));
    args.registration = args.registration.or(file.registration);
    // The two go together, so they come from one place.
    if args.tls_cert.is_none() && args.tls_key.is_none() {
        args.tls_cert = file.tls_cert.take().map(|path| base.join(path));
        args.tls_key = file.tls_key.take().map(|path| base.join(path));
    }
    args.behind_proxy |= file.behind_proxy.unwrap_or_default();
    let TenantArgs { open_spaces, max_charms, max_spaces, max_signer_bytes, max_bytes, min_free } = &mut args.tenants;
    *open_spaces |= file.open_spaces.unwrap_or_default();
    *max_charms = max_charms.or(file.max_charms);
    *max_spaces = max_spaces.or(file.max_spaces);
    *max_signer_bytes = max_signer_bytes.or(file.max_signer_bytes.take().map(|size| size.0));
    *max_bytes = max_bytes.or(file.max_bytes.take().map(|size| size.0));
    *min_free = min_free.or(file.min_free.take().map(|size| size.0));
}

/// The names of all keys, as they are told to who misspells one beyond recognition.
#[cfg(test)]
pub(crate) fn keys() -> Vec<String> {
    let told = toml::from_str::<ConfigFile>("zzzzzz = 1").unwrap_err();
    told.message().split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pins::Pin;

    #[test]
    fn the_command_line_wins_over_the_file_and_lists_add_up() {
        let file: ConfigFile = toml::from_str(
            r#"
            components = ["gmail.wasm"]
            interval = "20s"
            log-interval = 60
            failures = 3
            allow-http = ["gmail=https://gmail.googleapis.com/gmail/v1/"]
            egress = "report"
            [limits]
            charm-time = "5s"
            charm-memory = "256MiB"
            log-lines = 20
            [set.gmail]
            api-base-url = "http://127.0.0.1:9000"
            "#,
        )
        .unwrap();
        let mut args = RunArgs {
            component: vec!["other.wasm".into()],
            interval: Some(Duration::from_secs(5)),
            ..RunArgs::default()
        };
        args.handlers.limit = vec!["charm-time=9s".parse().unwrap()];
        merge(&mut args, file, Path::new("/etc/bg"));
        assert_eq!(args.component, [PathBuf::from("other.wasm"), PathBuf::from("/etc/bg/gmail.wasm")]);
        assert_eq!(args.interval, Some(Duration::from_secs(5)));
        assert_eq!(args.log_interval, Some(Duration::from_mins(1)));
        assert_eq!(args.failures, Some(3));
        assert_eq!(args.grants.allow_http.len(), 1);
        assert_eq!(args.grants.set[0].value, "http://127.0.0.1:9000");
        assert_eq!(args.handlers.egress, Some(EgressMode::Report));
        let limits = args.handlers.limits().sandbox;
        assert_eq!((limits.charm_time.as_secs(), limits.charm_memory >> 20, limits.log_lines), (9, 256, 20));
    }

    #[test]
    fn one_file_serves_both_commands_and_each_takes_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("both.toml");
        let text = "listen = \"127.0.0.1:9\"\nallow-host = [\"bg.example\"]\ninterval = 5\nkeep-runs = 7\n";
        std::fs::write(&path, text).unwrap();
        let (mut run, mut serve) = (RunArgs::default(), ServeArgs::default());
        ReadFile::open(&path).unwrap().merge(&mut run);
        ReadFile::open(&path).unwrap().merge_served(&mut serve);
        assert_eq!((run.interval, run.handlers.keep_runs), (Some(Duration::from_secs(5)), Some(7)));
        assert_eq!((serve.listen.unwrap().port(), serve.handlers.keep_runs), (9, Some(7)));
        assert_eq!(
            (&serve.server.allow_host, &run.server.allow_host),
            (&vec!["bg.example".to_owned()], &vec!["bg.example".to_owned()])
        );
        assert_eq!((run.listen, run.may_listen), (serve.listen, true));
    }

    #[test]
    fn the_command_lines_pins_of_an_integration_are_all_that_count_for_it() {
        let pin = |name: &str, digit: &str| Pin::new(name.parse().unwrap(), &digit.repeat(64)).unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|digit| digit.repeat(64));
        let text = format!("[sha256]\ngmail = [\"{a}\", \"{b}\"]\ngcal = \"{c}\"");
        for (ours, all) in [
            (vec![], vec![pin("gcal", "c"), pin("gmail", "a"), pin("gmail", "b")]),
            (vec![pin("gmail", "d")], vec![pin("gcal", "c"), pin("gmail", "d")]),
        ] {
            let mut args = RunArgs { sha256: ours, ..RunArgs::default() };
            merge(&mut args, toml::from_str(&text).unwrap(), Path::new(""));
            assert_eq!(args.sha256, all);
        }
    }

    #[test]
    fn a_mistake_is_shown_with_its_line() {
        for (text, shown) in [
            ("intervall = 3", "unknown field `intervall`; did you mean `interval`?"),
            ("listen = \"8000\"", "invalid socket address"),
            ("per-space = 100001", "100001 is not between 1 and 100000"),
            ("interval = \"soon\"", "a time is a number of seconds"),
            ("failures = 0", "line 1"),
            ("\n\nallow-private = [\"nonsense\"]", "line 3"),
            ("charms = [\"x\"]", "<space DID>/<charm ID>"),
            ("egress = \"allow\"", "`enforce` or `report`"),
            ("jitter = 101", "101 is not between 0 and 100"),
            ("keep-runs = 0", "0 is not between 1 and 1000"),
            ("[sha256]\ngmail = 5", "a SHA-256, or a list of them"),
            ("[limits]\ncharm-tiem = 5", "there is no limit `charm-tiem`"),
            ("[limits]\ncharm-memory = 0", "out of range"),
            ("[limits]\ncharm-memory = true", "a number, or a text such as"),
        ] {
            let mistakes = Document::parse::<ConfigFile>(text.to_owned()).unwrap_err();
            let [mistake] = mistakes.as_slice() else { panic!("{text}: {mistakes:?}") };
            assert!(mistake.to_string().contains(shown), "{text}: {mistake}");
            assert!(mistake.to_string().contains("line "), "{text}: {mistake}");
        }
    }
}
