//! The configuration file of `run` and `serve`: the same options as on the command line, in TOML. One file may serve
//! both: each command reads the keys of its own options.

mod document;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::args::{RunArgs, ServeArgs};
use crate::options::Options as _;
pub(crate) use document::{Document, Mistake};

/// The contents of a configuration file: the options of `run`, which include those of `serve`. Every key is optional;
/// an unknown one is an error.
#[derive(Debug)]
struct ConfigFile(RunArgs);

/// The keys of all options.
static KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(RunArgs::keys);

impl<'de> Deserialize<'de> for ConfigFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = ConfigFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("keys with values")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<ConfigFile, M::Error> {
                let mut args = RunArgs::default();
                while let Some(key) = map.next_key_seed(KnownKey)? {
                    args.read(key, &mut map)?;
                }
                Ok(ConfigFile(args))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// The key of an option.
struct KnownKey;

impl<'de> DeserializeSeed<'de> for KnownKey {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KnownKey {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<&'static str, E> {
        let known = KEYS.iter().find(|known| **known == key);
        known.copied().ok_or_else(|| E::unknown_field(key, &KEYS))
    }
}

/// A configuration file that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// It can't be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// It has mistakes.
    #[error("the configuration file {} has mistakes: {}", path.display(), shown(mistakes))]
    Wrong { path: PathBuf, mistakes: Vec<Mistake> },
}

fn shown(mistakes: &[Mistake]) -> String {
    let start = if mistakes.len() > 1 { "\n" } else { "" };
    start.to_owned() + &mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A configuration file that was parsed.
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

    /// Adds the file's options to those of `run`: the command line overrides the file, lists are combined. Paths in the
    /// file are relative to it.
    pub(crate) fn merge(self, args: &mut RunArgs) {
        merge(args, self.file, &self.base);
    }

    /// The same, for callers that inspect the file; also returns the positions of its values.
    pub(crate) fn merge_located(self, args: &mut RunArgs) -> Document {
        merge(args, self.file, &self.base);
        self.document
    }

    /// The same for `serve`.
    pub(crate) fn merge_served(self, args: &mut ServeArgs) {
        let ServeArgs { listen, config: _, server, handlers } = args;
        let mut all = RunArgs {
            listen: listen.take(),
            server: std::mem::take(server),
            handlers: std::mem::take(handlers),
            ..RunArgs::default()
        };
        merge(&mut all, self.file, &self.base);
        (*listen, *server, *handlers) = (all.listen, all.server, all.handlers);
    }
}

fn merge(args: &mut RunArgs, ConfigFile(mut file): ConfigFile, base: &Path) {
    args.may_listen = args.listen.is_none() && file.listen.is_some();
    args.configured_components = file.component.len();
    // The two belong together, so they come from one source.
    if args.server.tls_cert.is_some() || args.server.tls_key.is_some() {
        (file.server.tls_cert, file.server.tls_key) = (None, None);
    }
    args.merge(file, base);
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::args::{EgressMode, Pin};
    use crate::options::Count;

    #[test]
    fn the_command_line_overrides_the_file_and_lists_are_combined() {
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
        assert_eq!(args.failures, NonZeroU32::new(3));
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
        assert_eq!((run.interval, run.handlers.keep_runs), (Some(Duration::from_secs(5)), Some(Count(7))));
        assert_eq!((serve.listen.unwrap().port(), serve.handlers.keep_runs), (9, Some(Count(7))));
        assert_eq!(
            (&serve.server.allow_host, &run.server.allow_host),
            (&vec!["bg.example".to_owned()], &vec!["bg.example".to_owned()])
        );
        assert_eq!((run.listen, run.may_listen), (serve.listen, true));
    }

    #[test]
    fn the_command_lines_pins_of_an_integration_replace_those_of_the_file() {
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
