//! Which origins the secrets of charms are for.
//!
//! A charm's handler may send what it knows wherever `--allow-charm-http` lets charms send. For a token that is too
//! wide: who may write to a charm's cells often decides where its handler sends. So a secret is bound to the origins
//! for which the manifest of the charm's integration names it as credential, and to those that the operator marks.
//! Anybody may register a charm, for any integration; so where that integration does not name the secret, every other
//! one that does binds it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bg_egress::KnownSecret;
use bg_identity::IntegrationId;
use bg_manifest::{AskedHttp, CharmCredential, HttpGrant};
use bg_store::SecretText;
use bg_store::secret_names::{names_refresh_token, names_secret};

/// Where secrets of charms may go. Shared by the runtime that sends them and the code that loads integrations.
#[derive(Debug, Default)]
pub struct CredentialOrigins {
    marked: Vec<Binding>,
    asked: RwLock<BTreeMap<IntegrationId, Vec<Binding>>>,
}

/// A secret, and an origin that it is for.
#[derive(Clone, Debug)]
struct Binding {
    path: Vec<String>,
    origin: HttpGrant,
}

impl CredentialOrigins {
    /// With what the operator marks.
    pub fn new(marked: &[CharmCredential]) -> Self {
        let binding = |one: &CharmCredential| Binding { path: one.path.path().to_vec(), origin: one.origin.clone() };
        Self { marked: marked.iter().map(binding).collect(), asked: RwLock::default() }
    }

    /// Notes what an integration's manifest asks for, in place of what it asked for before.
    pub fn set_asked(&self, integration: IntegrationId, asked: &[AskedHttp]) {
        let binding = |asked: &AskedHttp| {
            let path = asked.credential.as_ref()?.path.path().to_vec();
            Some(Binding { path, origin: asked.grant.clone() })
        };
        let bindings = asked.iter().filter_map(binding).collect();
        self.asked.write().unwrap_or_else(PoisonError::into_inner).insert(integration, bindings);
    }

    /// The secrets of a charm that is registered for that integration, if it is, with where they may go.
    pub(super) fn known(&self, integration: Option<&str>, texts: Vec<SecretText>) -> Vec<KnownSecret> {
        let asked = self.asked.read().unwrap_or_else(PoisonError::into_inner);
        let own: Vec<&Binding> =
            asked.iter().filter(|(id, _)| Some(id.as_str()) == integration).flat_map(|(_, own)| own).collect();
        let named_by_own = |binding: &Binding| own.iter().any(|own| own.path == binding.path);
        let others = asked.iter().filter(|(id, _)| Some(id.as_str()) != integration).flat_map(|(_, others)| others);
        let others = others.filter(|binding| !named_by_own(binding));
        let bindings: Vec<&Binding> = own.iter().copied().chain(others).chain(&self.marked).collect();
        texts
            .into_iter()
            .map(|SecretText { path, text }| KnownSecret {
                origins: origins(&bindings, &path),
                path: path.join("."),
                text,
            })
            .collect()
    }
}

/// Where the secret at a path may go; none if it is not bound. What stands beside a bound secret and is one by its name
/// is bound, too: an ID token goes where the access token goes, a refresh token nowhere.
fn origins(bindings: &[&Binding], path: &[String]) -> Option<Arc<[HttpGrant]>> {
    let to = |bound: &dyn Fn(&Binding) -> bool| -> Vec<HttpGrant> {
        bindings.iter().filter(|binding| bound(binding)).map(|binding| binding.origin.clone()).collect()
    };
    let itself = to(&|binding| path.starts_with(&binding.path));
    if !itself.is_empty() {
        return Some(itself.into());
    }
    let beside = to(&|binding| {
        let parent = &binding.path[..binding.path.len().saturating_sub(1)];
        !parent.is_empty() && path.starts_with(parent) && path[parent.len()..].iter().any(|key| names_secret(key))
    });
    if beside.is_empty() {
        return None;
    }
    let is_refresh_token = path.iter().any(|key| names_refresh_token(key));
    Some(if is_refresh_token { Arc::default() } else { beside.into() })
}

#[cfg(test)]
mod tests {
    use bg_identity::Secret;
    use bg_manifest::Manifest;

    use super::*;

    fn asked(id: &str, entries: &[(&str, &str)]) -> (IntegrationId, Vec<AskedHttp>) {
        let entry = |(credential, url): &(&str, &str)| {
            format!("[[http]]\nurl = \"{url}\"\ncredential = \"charm.{credential}\"\nreason = \"r\"\n")
        };
        let http = entries.iter().map(entry).collect::<Vec<_>>().concat();
        let about = format!("[integration]\nid = \"{id}\"\nname = \"{id}\"\nversion = \"1\"\n");
        (id.parse().unwrap(), Manifest::parse(&(about + &http)).unwrap().asked(&BTreeMap::new()).unwrap())
    }

    fn origins_of(origins: &CredentialOrigins, integration: Option<&str>, path: &str) -> Option<Vec<String>> {
        let path = path.split('.').map(str::to_owned).collect();
        let known = origins.known(integration, vec![SecretText { path, text: Secret::new("x".into()) }]);
        known[0].origins.as_ref().map(|all| all.iter().map(|one| one.origin().unwrap().to_string()).collect())
    }

    #[test]
    fn a_secret_is_bound_by_its_integration_by_the_operator_and_where_neither_is_known_by_every_integration_that_names_it()
     {
        let attempt =
            bg_abuse::Attempt::begin("bound-secrets", "a charm registered for another integration, or for none");
        let origins = CredentialOrigins::new(&["auth.token=https://marked.example".parse().unwrap()]);
        for (id, asked) in [
            asked("gmail", &[("auth.token", "https://gmail.example/v1/")]),
            asked("github", &[("auth.token", "https://github.example/"), ("key", "https://key.example/")]),
            asked("rss", &[]),
        ] {
            origins.set_asked(id, &asked);
        }
        let of = |integration: Option<&str>, path: &str| origins_of(&origins, integration, path);
        let all = ["https://github.example", "https://gmail.example", "https://marked.example"];
        for (integration, path, expected) in [
            (Some("gmail"), "auth.token", Some(&["https://gmail.example", "https://marked.example"][..])),
            (Some("github"), "auth.token", Some(&["https://github.example", "https://marked.example"])),
            // Who may register it for another integration, or without one, gains nothing that no integration names.
            (Some("rss"), "auth.token", Some(&all)),
            (Some("unknown"), "auth.token", Some(&all)),
            (None, "auth.token", Some(&all)),
            (Some("gmail"), "auth.idToken", Some(&["https://gmail.example", "https://marked.example"])),
            (Some("gmail"), "auth.refreshToken", Some(&[])),
            (Some("gmail"), "auth.google.refresh_token", Some(&[])),
            (Some("gmail"), "auth.token.inner", Some(&["https://gmail.example", "https://marked.example"])),
            (Some("gmail"), "key", Some(&["https://key.example"])),
            (Some("gmail"), "settings.pin", None),
            (Some("gmail"), "auth.user.email", None),
        ] {
            let expected = expected.map(|all| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>());
            assert_eq!(of(integration, path), expected, "{integration:?} {path}");
        }
        attempt.ended("bound by all that name the secret");
        let (id, asked) = asked("gmail", &[("auth.token", "https://new.example/")]);
        origins.set_asked(id, &asked);
        assert_eq!(of(Some("gmail"), "auth.token").unwrap(), ["https://new.example", "https://marked.example"]);
        assert_eq!(origins_of(&CredentialOrigins::default(), Some("gmail"), "auth.token"), None);
    }
}
