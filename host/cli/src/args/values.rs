//! The values that options take.

use std::time::Duration;

use bg_identity::{IntegrationId, Secret};
use url::Url;

use crate::units::parse_duration;

/// One configuration value of an integration, `gmail.api-base-url=http://127.0.0.1:9000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The integration.
    pub(crate) integration: IntegrationId,
    /// The key.
    pub(crate) key: String,
    /// The value.
    pub(crate) value: String,
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a setting is NAME.KEY=VALUE, such as gmail.api-base-url=http://127.0.0.1:9000";
        let (name, value) = text.split_once('=').ok_or(FORM)?;
        let (integration, key) = name.split_once('.').ok_or(FORM)?;
        let integration = integration.parse().map_err(|error| format!("{error}; {FORM}"))?;
        if key.is_empty() {
            return Err(FORM.into());
        }
        Ok(Self { integration, key: key.into(), value: value.into() })
    }
}

/// The path of a value in a charm, `settings.tags.0`; or a JSON pointer (RFC 6901), `/settings/a.b`, if a key contains
/// a dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CellPath(pub(crate) Vec<String>);

impl std::str::FromStr for CellPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str =
            "a path is a cell and what is in it, such as settings.tags.0, or /settings/a.b where a key has a dot";
        let keys: Vec<String> = match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect(),
            None => text.split('.').map(str::to_owned).collect(),
        };
        // A pointer's keys may be empty, except the name of the cell.
        let empty = keys.iter().enumerate().any(|(at, key)| key.is_empty() && (at == 0 || !text.starts_with('/')));
        if empty { Err(FORM.into()) } else { Ok(Self(keys)) }
    }
}

/// In a form that is parsed back to the same path.
impl std::fmt::Display for CellPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = |key: &String| !key.is_empty() && !key.contains('.');
        if self.0.iter().all(plain) && !self.0.first().is_some_and(|key| key.starts_with('/')) {
            return f.write_str(&self.0.join("."));
        }
        self.0.iter().try_for_each(|key| write!(f, "/{}", key.replace('~', "~0").replace('/', "~1")))
    }
}

/// A registration's own interval, or `None` for its integration's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnInterval(pub(crate) Option<Duration>);

/// A time for [`parse_duration`], or `default`.
pub(super) fn parse_interval(text: &str) -> Result<OwnInterval, String> {
    match text {
        "default" => Ok(OwnInterval(None)),
        text => {
            parse_duration(text).map(|time| OwnInterval(Some(time))).map_err(|error| format!("{error}; or `default`"))
        }
    }
}

pub(super) fn parse_api_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{error}; expected something like http://localhost:8000"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("expected an http or https URL such as http://localhost:8000".into());
    }
    Ok(url)
}

/// Where to send refresh tokens: over TLS, or to this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefreshUrl(pub(crate) Url);

impl std::fmt::Display for RefreshUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for RefreshUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "expected an https URL, or an http one of this machine, such as \
                            https://toolshed.example/api/integrations/google-oauth/refresh: refresh tokens are sent there";
        let url: Url = text.parse().map_err(|error| format!("{error}; {FORM}"))?;
        let stays = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        match url.scheme() {
            "https" if url.host().is_some() => Ok(Self(url)),
            "http" if stays => Ok(Self(url)),
            _ => Err(FORM.into()),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature that clap requires")]
pub(super) fn parse_secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresh_tokens_go_over_tls_or_stay_on_this_machine() {
        for text in ["https://a.example/refresh", "http://localhost:8000/x", "http://127.0.0.1:9/", "http://[::1]/"] {
            assert!(text.parse::<RefreshUrl>().is_ok(), "{text}");
        }
        for text in ["", "x", "http://a.example/", "http://localhost.example/", "http://10.0.0.1/", "ftp://localhost/"]
        {
            assert!(text.parse::<RefreshUrl>().unwrap_err().contains("https"), "{text}");
        }
    }

    #[test]
    fn a_path_is_keys_with_dots_or_a_json_pointer() {
        let cases: [(&str, &[&str]); 8] = [
            ("count", &["count"]),
            ("settings.tags.0", &["settings", "tags", "0"]),
            ("a.$UI", &["a", "$UI"]),
            ("/a.b", &["a.b"]),
            ("/settings/a.b/0", &["settings", "a.b", "0"]),
            ("/a~1b/~0", &["a/b", "~"]),
            ("/a~01", &["a~1"]),
            ("/a//b", &["a", "", "b"]),
        ];
        for (text, keys) in cases {
            let path: CellPath = text.parse().unwrap();
            assert_eq!(path.0, keys, "{text}");
            assert_eq!(path.to_string().parse(), Ok(path), "{text}");
        }
        for text in ["", ".", "a.", "a..b", "/", "//a"] {
            assert!(text.parse::<CellPath>().unwrap_err().contains("settings.tags.0"), "{text}");
        }
    }

    #[test]
    fn a_setting_names_integration_key_and_value() {
        let setting: Setting = "gmail.api-base-url=http://127.0.0.1:9000/?a=b".parse().unwrap();
        assert_eq!((setting.integration.to_string().as_str(), setting.key.as_str()), ("gmail", "api-base-url"));
        assert_eq!(setting.value, "http://127.0.0.1:9000/?a=b");
        for text in ["", "gmail", "gmail=1", "gmail.=1", ".key=1", "gm ail.key=1"] {
            assert!(text.parse::<Setting>().is_err(), "{text}");
        }
    }
}
