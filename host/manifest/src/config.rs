//! What a manifest asks for, with the operator's config values filled in.

use std::collections::BTreeMap;

use crate::config_error::ConfigError;
use crate::credential::Credential;
use crate::grant::HttpGrant;
use crate::host::HostPattern;
use crate::manifest::Manifest;

/// What an integration asks for, with config values filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedHttp {
    /// Where to, and with which methods.
    pub grant: HttpGrant,
    /// The secret that the gate adds, if any.
    pub credential: Option<Credential>,
    /// The reason, for the operator.
    pub reason: String,
}

impl Manifest {
    /// All config values, as the integration reads them: the defaults, overridden by what the operator `set`.
    pub fn config_values(&self, set: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
        if let Some(key) = set.keys().find(|key| !self.config.contains_key(*key)) {
            let names: Vec<&str> = self.config.keys().map(String::as_str).collect();
            let known = if names.is_empty() { "it has none".into() } else { format!("it has {}", names.join(", ")) };
            return Err(ConfigError::Unknown { key: key.clone(), known });
        }
        let mut values = set.clone();
        for (key, declared) in &self.config {
            if let (false, Some(default)) = (values.contains_key(key), &declared.default) {
                values.insert(key.clone(), default.clone());
            }
        }
        Ok(values)
    }

    /// What the integration asks for, with the operator's config values (`set`) filled in.
    pub fn asked(&self, set: &BTreeMap<String, String>) -> Result<Vec<AskedHttp>, ConfigError> {
        let values = self.config_values(set)?;
        let asked = (1..).zip(&self.http).map(|(entry, http)| {
            let filled = http.url.fill(&values).map_err(|key| ConfigError::Missing {
                key: key.into(),
                description: self.config.get(key).map(|declared| declared.description.clone()).unwrap_or_default(),
            })?;
            let grant = HttpGrant::of_url(&filled).map_err(|problem| ConfigError::Url { entry, filled, problem })?;
            if let (Some(_), host @ HostPattern::Under(_)) = (&http.credential, grant.host()) {
                return Err(ConfigError::CredentialForMany { entry, host: host.to_string() });
            }
            Ok(AskedHttp {
                grant: grant.with_methods(http.methods.clone()),
                credential: http.credential.clone().map(|path| Credential { path, scheme: http.scheme.clone() }),
                reason: http.reason.clone(),
            })
        });
        let asked: Vec<AskedHttp> = asked.collect::<Result<_, _>>()?;
        check_credentials(&asked)?;
        Ok(asked)
    }
}

/// If two entries overlap, they must agree on the credential that is sent there.
fn check_credentials(asked: &[AskedHttp]) -> Result<(), ConfigError> {
    for (second, b) in asked.iter().enumerate() {
        for (first, a) in asked[..second].iter().enumerate() {
            let same_place = a.grant.host() == b.grant.host() && a.grant.path() == b.grant.path();
            if same_place && a.credential != b.credential && a.grant.intersection(&b.grant).is_some() {
                return Err(ConfigError::TwoCredentials { first: first + 1, second: second + 1 });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(rest: &str) -> Manifest {
        let about = "[integration]\nid = \"a\"\nname = \"A\"\nversion = \"1\"\n";
        Manifest::parse(&format!("{about}{rest}")).unwrap()
    }

    fn set(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|&(key, value)| (key.into(), value.into())).collect()
    }

    const BASE: &str = "[[http]]\nurl = \"${base}/v1/\"\ncredential = \"charm.t\"\nreason = \"r\"\n[config.base]\n";

    #[test]
    fn values_override_defaults() {
        let manifest = manifest(&format!("{BASE}default = \"https://a.example\"\n[config.other]\n"));
        let url = |values| manifest.asked(&values).unwrap()[0].grant.to_string();
        assert_eq!(url(set(&[])), "GET,HEAD https://a.example/v1/");
        assert_eq!(url(set(&[("base", "http://127.0.0.1:8080/")])), "GET,HEAD http://127.0.0.1:8080/v1/");
        assert_eq!(
            manifest.config_values(&set(&[("other", "x")])),
            Ok(set(&[("base", "https://a.example"), ("other", "x")]))
        );
    }

    #[test]
    fn invalid_values_are_explained() {
        let manifest = manifest(&format!("{BASE}description = \"where it is\"\n"));
        let cases = [
            (set(&[]), "base must be set: where it is"),
            (set(&[("bsae", "x")]), "it has base"),
            (set(&[("base", "a.example")]), "entry 1 (a.example/v1/)"),
            (set(&[("base", "GET https://a.example")]), "no spaces"),
            (set(&[("base", "https://u:p@a.example")]), "user name"),
            (set(&[("base", "https://a.example?x=")]), "queries"),
            (set(&[("base", "https://*.a.example")]), "not to *.a.example"),
        ];
        for (values, expected) in cases {
            let message = manifest.asked(&values).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn one_place_has_one_credential() {
        let entries = |methods: &str| {
            format!(
                "[[http]]\nurl = \"${{b}}/\"\ncredential = \"charm.t\"\nreason = \"r\"\n\
                 [[http]]\nurl = \"https://a.example\"\nmethods = [\"{methods}\"]\nreason = \"r\"\n[config.b]\n"
            )
        };
        let values = set(&[("b", "https://a.example")]);
        let both = manifest(&entries("GET")).asked(&values);
        assert_eq!(both, Err(ConfigError::TwoCredentials { first: 1, second: 2 }));
        assert!(manifest(&entries("POST")).asked(&values).is_ok());
    }
}
