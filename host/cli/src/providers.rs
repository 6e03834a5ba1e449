//! The providers that the operator knows: those of the program, and those of `providers.toml` in the data directory.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, bail};
use bg_charm_runtime::AccountOptions;
use bg_manifest::Origin;
use bg_oauth::{Provider, Providers};
use bg_sandbox::ChildCommand;
use toml::{Table, Value};

use crate::args::Common;
use crate::paths::DataDir;

/// The file.
const FILE: &str = "providers.toml";

/// The key for origins that may have a private address, beside the tables of the providers.
const ALLOW_PRIVATE: &str = "allow-private";

/// How tokens of accounts are had, for a database in that folder.
pub(crate) fn options(folder: &Path) -> anyhow::Result<AccountOptions> {
    let path = folder.join(FILE);
    let mut options =
        AccountOptions { renewer: Some(ChildCommand::this_program(["renew-account"])), ..AccountOptions::default() };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(options),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let (providers, allow_private) = parse(&text).with_context(|| path.display().to_string())?;
    options.providers = providers;
    options.allow_private = allow_private;
    Ok(options)
}

fn parse(text: &str) -> anyhow::Result<(Providers, Vec<Origin>)> {
    let mut rows: Table = text.parse().context("it is not TOML")?;
    let allowed = match rows.remove(ALLOW_PRIVATE) {
        None => Vec::new(),
        Some(Value::Array(allowed)) => allowed,
        Some(_) => bail!("{ALLOW_PRIVATE} is not a list of origins, such as [\"http://127.0.0.1:9000\"]"),
    };
    let origin = |value: &Value| {
        let text = value.as_str().with_context(|| format!("{ALLOW_PRIVATE} has something that is not a text"))?;
        text.parse::<Origin>().with_context(|| format!("{ALLOW_PRIVATE} has {text:?}"))
    };
    let allowed = allowed.iter().map(origin).collect::<anyhow::Result<_>>()?;
    Ok((Providers::built_in().extended(&rows)?, allowed))
}

/// A provider by its name.
pub(crate) fn one(common: &Common, name: &str) -> anyhow::Result<Provider> {
    let known = options(DataDir::open(common)?.path())?.providers;
    match known.get(name) {
        Some(provider) => Ok(provider.clone()),
        None => bail!(
            "there is no provider {name}; known are {}. Others are added in {FILE} in the data directory",
            known.names()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_adds_providers_and_names_the_origins_that_may_be_private() {
        let (providers, allowed) =
            parse("allow-private = [\"http://127.0.0.1:9\"]\n[mine]\nissuer = \"http://127.0.0.1:9\"\n").unwrap();
        assert!(providers.get("mine").is_some() && providers.get("google").is_some());
        assert_eq!(allowed[0].to_string(), "http://127.0.0.1:9");
        for (text, expected) in [
            ("=", "it is not TOML"),
            ("allow-private = 1", "is not a list of origins"),
            ("allow-private = [1]", "is not a text"),
            ("allow-private = [\"x\"]", "allow-private has \"x\""),
            ("[mine]\nodd = 1", "mine"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
