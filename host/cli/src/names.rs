//! Names that nothing has: what is done to them would be done to nothing, without a word.

use std::collections::BTreeSet;

use anyhow::bail;
use bg_charm_api::Runtime;
use bg_charm_api::names::{nearest, no_integration, no_space};
use bg_identity::{IntegrationId, SpaceDid};
use bg_poller::{CharmRef, Registration};

/// The names that registrations have.
#[derive(Debug, Default)]
pub(crate) struct Names {
    integrations: BTreeSet<String>,
    spaces: BTreeSet<SpaceDid>,
    charms: BTreeSet<String>,
}

impl Names {
    /// Those of all registrations.
    pub(crate) async fn read(runtime: &dyn Runtime) -> anyhow::Result<Self> {
        Ok(Self::of(&runtime.registrations().await?))
    }

    /// Those of these.
    pub(crate) fn of(registrations: &[Registration]) -> Self {
        let mut names = Self::default();
        for entry in registrations {
            names.integrations.insert(entry.integration.to_string());
            names.spaces.insert(entry.charm.space.clone());
            names.charms.insert(entry.charm.to_string());
        }
        names
    }

    /// What is wrong with the name of an integration, if no charm is registered for it.
    pub(crate) fn no_integration(&self, id: &IntegrationId) -> Option<String> {
        (!self.integrations.contains(id.as_str()))
            .then(|| no_integration(id, self.integrations.iter().map(String::as_str)))
    }

    /// What is wrong with a space, if no charm in it is registered. `named` is how it was named.
    pub(crate) fn no_space(&self, space: &SpaceDid, named: &str, known: &[String]) -> Option<String> {
        (!self.spaces.contains(space)).then(|| {
            let dids: Vec<String> = self.spaces.iter().map(ToString::to_string).collect();
            no_space(space, named, known.iter().chain(&dids).map(String::as_str))
        })
    }

    /// What is wrong with the name of a charm, if it is not registered.
    pub(crate) fn no_charm(&self, charm: &CharmRef) -> Option<String> {
        let name = charm.to_string();
        (!self.charms.contains(&name)).then(|| {
            let known = self.charms.iter().map(String::as_str);
            let near = nearest(&name, known).map_or_else(String::new, |near| format!("; did you mean {near}?"));
            format!("{charm} is not registered{near}; `bg-wasm-host list` shows what is")
        })
    }
}

/// Fails if one of these names is nothing's: before anything is done for the others.
pub(crate) fn check(problems: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let problems: Vec<String> = problems.into_iter().collect();
    if !problems.is_empty() {
        bail!("{}", problems.join("; "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};

    use super::*;

    #[test]
    fn what_may_have_been_meant_is_named() {
        let charm = CharmRef { space: space_did("mine"), charm: CharmId::for_content(b"a") };
        let names = Names {
            integrations: ["gmail", "gcal"].map(str::to_owned).into(),
            spaces: [charm.space.clone()].into(),
            charms: [charm.to_string()].into(),
        };
        let integration = |text: &str| names.no_integration(&text.parse().unwrap());
        assert_eq!(integration("gmail"), None);
        assert!(integration("gmial").unwrap().ends_with("did you mean gmail?"));

        assert_eq!(names.no_space(&charm.space, "mine", &[]), None);
        let wrong = names.no_space(&space_did("mien"), "mien", &["mine".to_owned()]).unwrap();
        assert!(wrong.ends_with("is registered; did you mean mine?") && wrong.contains("(did:key:"), "{wrong}");

        assert_eq!(names.no_charm(&charm), None);
        let other = CharmRef { charm: CharmId::for_content(b"b"), ..charm.clone() };
        assert!(!names.no_charm(&other).unwrap().contains("did you mean"), "an ID that is another one is no slip");
    }
}
