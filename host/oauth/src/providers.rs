//! The known providers: built in, overridden and extended by the operator.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::Provider;
use crate::endpoint::Endpoint;

const BUILT_IN: &str = include_str!("providers.toml");

/// All known providers, by name.
#[derive(Clone, Debug)]
pub struct Providers {
    rows: Table,
    all: BTreeMap<String, Provider>,
}

/// Why a provider cannot be used. Names the provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The text is not TOML.
    #[error("the providers are not TOML: {0}")]
    Toml(String),
    /// Its name cannot be part of a URL.
    #[error("{0:?} is not the name of a provider: 1 to 32 of a to z, 0 to 9 and -, a letter first")]
    Name(String),
    /// A key is unknown, or has a value that it cannot have.
    #[error("provider {name}: {problem}")]
    Key {
        /// The provider.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl Providers {
    /// The providers that the program ships with.
    pub fn built_in() -> Self {
        let rows = BUILT_IN.parse().expect("a test parses the file that is compiled in");
        Self::read(rows).expect("a test reads the file that is compiled in")
    }

    /// These providers, with the keys of `rows` in place of their own, and those that only `rows` has.
    ///
    /// ```
    /// use bg_oauth::Providers;
    ///
    /// let more = r#"
    ///     [google]
    ///     scopes = ["openid", "email", "profile"]
    ///
    ///     [work]
    ///     title = "Our own"
    ///     issuer = "https://sso.example.com/realms/work"
    ///     scopes = ["openid", "email", "offline_access"]
    /// "#;
    /// let providers = Providers::built_in().extended(&more.parse().unwrap()).unwrap();
    /// assert!(providers.get("work").unwrap().is_discovered());
    /// assert!(!providers.get("google").unwrap().is_discovered());
    /// ```
    pub fn extended(mut self, rows: &Table) -> Result<Self, ProviderError> {
        for (name, row) in rows {
            let Value::Table(row) = row else {
                return Err(ProviderError::Key { name: name.clone(), problem: "it is not a table".to_owned() });
            };
            match self.rows.get_mut(name) {
                Some(Value::Table(known)) => known.extend(row.clone()),
                _ => {
                    self.rows.insert(name.clone(), Value::Table(row.clone()));
                }
            }
        }
        Self::read(self.rows)
    }

    /// The same, from the text of a TOML file.
    pub fn extended_by(self, toml: &str) -> Result<Self, ProviderError> {
        self.extended(&toml.parse().map_err(|error: toml::de::Error| ProviderError::Toml(error.to_string()))?)
    }

    fn read(rows: Table) -> Result<Self, ProviderError> {
        let mut all = BTreeMap::new();
        for (name, row) in &rows {
            all.insert(name.clone(), provider(name, row.clone())?);
        }
        Ok(Self { rows, all })
    }

    /// The provider of that name.
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.all.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.all.values()
    }

    /// The names, for messages.
    pub fn names(&self) -> String {
        self.all.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

fn provider(name: &str, row: Value) -> Result<Provider, ProviderError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=32).contains(&name.len()) || !name.bytes().all(fits) || !name.starts_with(|c: char| c.is_ascii_lowercase())
    {
        return Err(ProviderError::Name(name.to_owned()));
    }
    let failed = |problem: String| ProviderError::Key { name: name.to_owned(), problem };
    let mut provider: Provider = row.try_into().map_err(|error: toml::de::Error| failed(error.message().to_owned()))?;
    name.clone_into(&mut provider.name);
    if provider.title.is_empty() {
        name.clone_into(&mut provider.title);
    }
    if provider.is_discovered() && provider.issuer.is_none() {
        return Err(failed(
            "it needs `authorization` and `token`, or an `issuer` with a discovery document".to_owned(),
        ));
    }
    if provider.is_discovered()
        && let Some(issuer) = &provider.issuer
    {
        issuer.parse::<Endpoint>().map_err(|error| failed(format!("`issuer`: {error}")))?;
    }
    if let Some(url) = &provider.revocation {
        let url = url.replace("{client_id}", "id");
        url.parse::<Endpoint>().map_err(|error| failed(format!("`revocation`: {error}")))?;
    }
    let reserved = ["client_id", "redirect_uri", "response_type", "state", "code_challenge", "code_challenge_method"];
    if let Some(taken) = provider.auth_params.keys().find(|key| reserved.contains(&key.as_str())) {
        return Err(failed(format!("`auth-params` cannot set {taken}")));
    }
    for (name, value) in &provider.headers {
        let fits = http::HeaderName::try_from(name).is_ok() && http::HeaderValue::try_from(value).is_ok();
        if !fits || name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("host") {
            return Err(failed(format!("`headers` cannot set {name:?}")));
        }
    }
    for pointer in [Some(&provider.user.id), provider.user.email.as_ref(), Some(&provider.token_at)] {
        if let Some(pointer) = pointer.filter(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            return Err(failed(format!("{pointer:?} is not a JSON pointer, which starts with /")));
        }
    }
    Ok(provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_providers_are_read() {
        let names = "airtable, discord, github, google, linear, microsoft, notion, slack, spotify, strava";
        assert_eq!(Providers::built_in().names(), names);
        for provider in Providers::built_in().iter() {
            assert!(!provider.is_discovered() && !provider.title.is_empty(), "{provider:?}");
        }
    }

    #[test]
    fn a_mistake_names_provider_and_key() {
        for (toml, expected) in [
            ("[google]\nauthorisation = \"x\"", "google: unknown field `authorisation`"),
            ("[google]\ntoken = \"http://a.example/\"", "google: an endpoint's URL starts with https://"),
            ("[work]\ntitle = \"W\"", "work: it needs `authorization`"),
            ("[work]\nissuer = \"file:///x\"", "work: `issuer`"),
            ("[Work]\nissuer = \"https://a.example\"", "\"Work\" is not the name"),
            ("[google]\nauth-params = { state = \"x\" }", "cannot set state"),
            ("[google]\nheaders = { Authorization = \"x\" }", "cannot set \"Authorization\""),
            ("[google]\nheaders = { \"a b\" = \"x\" }", "cannot set \"a b\""),
            ("[google]\nuser = { id = \"sub\" }", "is not a JSON pointer"),
            ("[google]\nscopes = [\"a b\"]", "google: \"a b\" is not a scope"),
            ("google = 1", "it is not a table"),
            ("[", "not TOML"),
        ] {
            let error = Providers::built_in().extended_by(toml).unwrap_err().to_string();
            assert!(error.contains(expected), "{toml}: {error}");
        }
    }
}
