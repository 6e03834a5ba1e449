//! The manifest: what an integration says about itself and asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use bg_identity::IntegrationId;
use serde::{Deserialize, Deserializer, Serialize, de};
use url::Url;

use crate::config_error::ConfigError;
use crate::credential::CredentialPath;
use crate::methods::Methods;
use crate::oauth::OAuthEntry;
use crate::scheme::CredentialScheme;
use crate::template::{UrlTemplate, is_config_key};
use crate::text::{line, non_empty_line, optional_line};
use crate::{interval, text};

/// The name of the custom section of a component that contains its manifest, as JSON.
pub const SECTION: &str = "commontools:manifest";

/// The largest manifest that is accepted; ours have about 1 KiB.
const MAX_BYTES: usize = 256 * 1024;
/// More entries than an operator would read.
const MAX_ENTRIES: usize = 64;

/// What an integration says about itself and asks for; written as `integration.toml`, embedded as JSON of the same
/// structure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What it says about itself.
    pub integration: About,
    /// What it asks for: at most 64 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpEntry>,
    /// Where the people of its charms sign in, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OAuthEntry>,
    /// The config values that it reads, by name: at most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "config_keys")]
    pub config: BTreeMap<String, ConfigKey>,
}

/// What an integration says about itself. All texts are single lines without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The name under which it is configured and registered.
    pub id: IntegrationId,
    /// Its display name; at most 100 characters.
    #[serde(deserialize_with = "non_empty_line::<_, 100>")]
    pub name: String,
    /// Its version; at most 50 characters.
    #[serde(deserialize_with = "non_empty_line::<_, 50>")]
    pub version: String,
    /// What it does; at most 1,000 characters.
    #[serde(default, deserialize_with = "line::<_, 1000>")]
    pub description: String,
    /// Its authors; at most 64, of at most 200 characters each.
    #[serde(default, deserialize_with = "authors")]
    pub authors: Vec<String>,
    /// Its licence, as an SPDX expression; at most 200 characters.
    #[serde(default, deserialize_with = "line::<_, 200>")]
    pub license: String,
    /// Its home page: an `https` or `http` URL.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "homepage")]
    pub homepage: Option<String>,
    /// How often it wants to be polled: 1 s to 24 h, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "interval")]
    pub interval: Option<Duration>,
}

/// One request of an integration for access to the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpEntry {
    /// Where to: scheme, host, port and path prefix, with config values in it.
    pub url: UrlTemplate,
    /// The methods: GET and HEAD by default.
    #[serde(default = "Methods::read")]
    pub methods: Methods,
    /// The secret of a charm that the gate adds, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialPath>,
    /// How it is sent: `bearer` by default, `bot`, `token`, `basic`, or `header:NAME`.
    #[serde(default, skip_serializing_if = "CredentialScheme::is_bearer")]
    pub scheme: CredentialScheme,
    /// The reason, shown to the operator, who decides by it. At most 300 characters.
    #[serde(deserialize_with = "non_empty_line::<_, 300>")]
    pub reason: String,
}

/// A config value that an integration reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigKey {
    /// What it is for; at most 300 characters.
    #[serde(default, deserialize_with = "line::<_, 300>")]
    pub description: String,
    /// Its default; at most 4,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_line::<_, 4000>")]
    pub default: Option<String>,
}

/// Why a manifest can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is not a manifest. The text names the field, and the line if there are lines.
    #[error("the manifest is not valid: {0}")]
    Syntax(String),
    /// It is larger than 256 KiB.
    #[error("the manifest is larger than {} KiB", MAX_BYTES / 1024)]
    TooLarge,
    /// It has more than 64 entries of a kind.
    #[error("the manifest has more than {MAX_ENTRIES} entries of [[http]] or [config]")]
    TooMany,
    /// An entry uses a config key that the manifest does not declare.
    #[error("[[http]] entry {entry} uses ${{{key}}}, which is not declared; add a table [config.{key}]")]
    Undeclared {
        /// The entry, counted from 1.
        entry: usize,
        /// The key.
        key: String,
    },
    /// An entry says how to send a credential that it does not name.
    #[error("[[http]] entry {entry} has a scheme without a credential; add credential = \"charm.auth.token\"")]
    SchemeAlone {
        /// The entry, counted from 1.
        entry: usize,
    },
    /// With the default config values, it asks for something that can't be granted.
    #[error("the manifest asks for something that can't be granted: {0}")]
    Asked(ConfigError),
}

impl Manifest {
    /// Parses `integration.toml`. An error shows the wrong line.
    pub fn parse(toml: &str) -> Result<Self, ManifestError> {
        check_size(toml.len())?;
        toml::from_str::<Self>(toml)
            .map_err(|error| ManifestError::Syntax(error.to_string().trim_end().to_owned()))?
            .checked()
    }

    /// The JSON to embed in a component, in the custom section [`SECTION`]. The same manifest gives the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it has texts, lists and maps keyed by text only, which JSON can always hold")
    }

    /// Parses the JSON of a component.
    pub fn from_json(json: &[u8]) -> Result<Self, ManifestError> {
        check_size(json.len())?;
        serde_json::from_slice::<Self>(json)
            .map_err(|error| ManifestError::Syntax(bg_identity::printable(&error.to_string()).into_owned()))?
            .checked()
    }

    fn checked(self) -> Result<Self, ManifestError> {
        if self.http.len() > MAX_ENTRIES || self.config.len() > MAX_ENTRIES {
            return Err(ManifestError::TooMany);
        }
        for (index, http) in self.http.iter().enumerate() {
            if let Some(key) = http.url.keys().find(|key| !self.config.contains_key(*key)) {
                return Err(ManifestError::Undeclared { entry: index + 1, key: key.into() });
            }
            if http.credential.is_none() && !http.scheme.is_bearer() {
                return Err(ManifestError::SchemeAlone { entry: index + 1 });
            }
        }
        // A key without a default is for the operator to set; other mistakes should be found when the component is
        // built.
        match self.asked(&BTreeMap::new()) {
            Ok(_) | Err(ConfigError::Missing { .. }) => Ok(self),
            Err(error) => Err(ManifestError::Asked(error)),
        }
    }
}

fn check_size(bytes: usize) -> Result<(), ManifestError> {
    if bytes > MAX_BYTES { Err(ManifestError::TooLarge) } else { Ok(()) }
}

fn config_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, ConfigKey>, D::Error> {
    let keys = BTreeMap::<String, ConfigKey>::deserialize(deserializer)?;
    match keys.keys().find(|key| !is_config_key(key)) {
        None => Ok(keys),
        Some(key) => Err(de::Error::custom(format!(
            "{key:?} is not the name of a config value: 1 to 64 letters, digits, '.', '_' and '-', a letter or a \
            digit first"
        ))),
    }
}

fn authors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let authors = Vec::<String>::deserialize(deserializer)?;
    if authors.len() > MAX_ENTRIES {
        return Err(de::Error::custom(format!("it has more than {MAX_ENTRIES} authors")));
    }
    match authors.iter().find_map(|author| text::unfit(author, 200)) {
        None => Ok(authors),
        Some(problem) => Err(de::Error::custom(problem)),
    }
}

fn homepage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = non_empty_line::<D, 1000>(deserializer)?;
    match Url::parse(&text) {
        // The normal form may be longer, and must be valid when it is parsed from a component again.
        Ok(url) if matches!(url.scheme(), "https" | "http") => match text::unfit(url.as_str(), 1000) {
            None => Ok(Some(url.into())),
            Some(problem) => Err(de::Error::custom(problem)),
        },
        _ => Err(de::Error::custom("a homepage is a URL that starts with https:// or http://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GMAIL: &str = r#"
[integration]
id = "gmail"
name = "Gmail"
version = "0.1.0"
description = "Polls charms that read mail."
authors = ["A. Author <a@example.com>"]
license = "Apache-2.0"
homepage = "https://example.com/gmail"
interval = "20s"

[[http]]
url = "${api-base-url}/gmail/v1/"
methods = ["GET"]
credential = "charm.auth.token"
reason = "To ask whether there is new mail."

[[http]]
url = "https://status.example.com"
reason = "To ask whether it is up."

[oauth]
provider = "google"
scopes = ["https://www.googleapis.com/auth/gmail.readonly"]

[config.api-base-url]
description = "Where the API is."
default = "https://gmail.googleapis.com"
"#;

    #[test]
    fn a_manifest_is_parsed_and_survives_json() {
        let manifest = Manifest::parse(GMAIL).unwrap();
        assert_eq!(manifest.integration.id.as_str(), "gmail");
        assert_eq!(manifest.integration.interval, Some(Duration::from_secs(20)));
        assert_eq!(manifest.http[0].methods.to_string(), "GET");
        assert_eq!(manifest.http[1].methods.to_string(), "GET,HEAD");
        assert_eq!(manifest.http[1].credential, None);
        assert_eq!(manifest.oauth.as_ref().map(|oauth| oauth.provider.as_str()), Some("google"));
        let json = manifest.to_json();
        assert_eq!(Manifest::from_json(&json).unwrap(), manifest);
        assert_eq!(Manifest::from_json(&json).unwrap().to_json(), json);
    }

    #[test]
    fn a_scheme_is_kept_beside_the_path_and_the_usual_one_leaves_no_trace() {
        assert!(!String::from_utf8(Manifest::parse(GMAIL).unwrap().to_json()).unwrap().contains("scheme"));
        let text = GMAIL.replace("methods = [\"GET\"]", "scheme = \"header:X-Api-Key\"");
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!(Manifest::from_json(&manifest.to_json()).unwrap(), manifest);
        let asked = manifest.asked(&BTreeMap::new()).unwrap();
        assert_eq!(asked[0].credential.as_ref().unwrap().to_string(), "charm.auth.token as header:x-api-key");
        assert_eq!(
            Manifest::parse(GMAIL).unwrap().asked(&BTreeMap::new()).unwrap()[0]
                .credential
                .as_ref()
                .unwrap()
                .to_string(),
            "charm.auth.token"
        );
    }

    #[test]
    fn a_homepage_that_is_too_long_in_normal_form_is_refused_at_build_time() {
        let homepage =
            |letters| GMAIL.replace("example.com/gmail", &format!("example.com/{}", "\u{fc}".repeat(letters)));
        let manifest = Manifest::parse(&homepage(100)).unwrap();
        assert_eq!(Manifest::from_json(&manifest.to_json()).unwrap(), manifest);
        let message = Manifest::parse(&homepage(200)).unwrap_err().to_string();
        assert!(message.contains("longer than 1000 characters"), "{message}");
    }

    #[test]
    fn the_smallest_manifest_asks_for_nothing() {
        let manifest = Manifest::parse("[integration]\nid = \"a\"\nname = \"A\"\nversion = \"1\"\n").unwrap();
        assert_eq!(Manifest::from_json(&manifest.to_json()).unwrap(), manifest);
        assert!(manifest.http.is_empty() && manifest.config.is_empty());
    }

    #[test]
    fn a_mistake_is_shown_with_its_line() {
        let cases = [
            ("id = \"gmail\"", "id = \"g mail\"", "line 3"),
            ("id = \"gmail\"", "", "missing field `id`"),
            ("name = \"Gmail\"", "name = \" \"", "it is empty"),
            ("name = \"Gmail\"", "name = \"\\u001b[2J\"", "control character U+001B"),
            ("name = \"Gmail\"", "name = \"\\u202eliamG\"", "control character U+202E"),
            ("name = \"Gmail\"", "name = \"Gmail\"\nnmae = 1", "unknown field `nmae`"),
            ("interval = \"20s\"", "interval = \"20\"", "line 10"),
            ("homepage = \"https:", "homepage = \"javascript:", "line 9"),
            ("methods = [\"GET\"]", "methods = []", "at least one method"),
            ("methods = [\"GET\"]", "methods = [\"get\"]", "in capitals"),
            ("methods = [\"GET\"]", "methods = [\"CONNECT\"]", "line 14"),
            ("charm.auth.token\"", "env.HOME\"", "line 15"),
            ("reason = \"To ask whether it is up.\"", "", "missing field `reason`"),
            ("methods = [\"GET\"]", "scheme = \"digest\"", "`header:NAME`"),
            ("methods = [\"GET\"]", "scheme = \"header:Host\"", "in the header \"Host\""),
            ("credential = \"charm.auth.token\"", "scheme = \"bot\"", "without a credential"),
            ("provider = \"google\"", "provider = \"Google Inc.\"", "a letter first"),
            ("provider = \"google\"", "", "missing field `provider`"),
            ("gmail.readonly\"", "gmail.readonly mail\"", "is not a scope"),
            ("${api-base-url}", "${api-base-url", "without a }"),
            ("${api-base-url}", "${other}", "[config.other]"),
            ("https://status.example.com", "https://status.example.com/../x", "entry 2"),
            ("https://status.example.com", "status.example.com", "starts with https://"),
            ("https://gmail.googleapis.com", "gmail.googleapis.com", "entry 1"),
            ("[config.api-base-url]", "[config.\"a b\"]", "is not the name of a config value"),
            ("[integration]", "[integration", "line 2"),
        ];
        for (from, to, expected) in cases {
            let text = GMAIL.replacen(from, to, 1);
            assert_ne!(text, GMAIL);
            let message = Manifest::parse(&text).unwrap_err().to_string();
            assert!(message.contains(expected), "{to}: {message}");
        }
    }

    #[test]
    fn a_manifest_with_too_much_in_it_is_refused() {
        let entry = "\n[[http]]\nurl = \"https://a.example/\"\nreason = \"x\"\n";
        assert_eq!(Manifest::parse(&format!("{GMAIL}{}", entry.repeat(63))), Err(ManifestError::TooMany));
        assert_eq!(Manifest::from_json(&vec![b' '; MAX_BYTES + 1]), Err(ManifestError::TooLarge));
        assert!(matches!(Manifest::from_json(b"\0asm"), Err(ManifestError::Syntax(_))));
    }

    #[test]
    fn an_error_quotes_no_control_characters() {
        let message = Manifest::from_json(br#"{"\u001b[2J\nx\u202e": 1}"#).unwrap_err().to_string();
        assert!(message.contains("`\\u{1b}[2J\\nx\\u{202e}`"), "{message}");
    }

    #[test]
    fn a_value_without_a_default_is_for_the_operator_to_set() {
        let text = GMAIL.replace("default = \"https://gmail.googleapis.com\"", "");
        assert!(Manifest::parse(&text).unwrap().config["api-base-url"].default.is_none());
    }
}
