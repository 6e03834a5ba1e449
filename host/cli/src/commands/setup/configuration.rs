//! The configuration file that `setup` writes.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use bg_manifest::Origin;
use url::Url;

/// What the file says.
pub(super) struct Configuration<'a> {
    pub(super) component: &'a Path,
    /// What the integration asks for.
    pub(super) asked: &'a str,
    /// Where the API is, if not at Google.
    pub(super) elsewhere: Option<&'a Url>,
    pub(super) api: &'a Url,
}

impl Configuration<'_> {
    /// The file's text.
    pub(super) fn text(&self) -> anyhow::Result<String> {
        let component = self.component.to_str().context("the component's path is not UTF-8")?;
        let mut text = format!(
            "# Written by `bg-wasm-host setup gmail`. Start the service: bg-wasm-host run --config FILE\n\n\
             components = [{}]\n\n\
             # The integration asks Gmail whether there is news.\n\
             allow-http = [{}]\n\n\
             # The charm fetches its mail.\n\
             allow-charm-http = [{}]\n",
            quoted(component),
            quoted(&format!("gmail={}", self.asked)),
            quoted(self.api.as_str()),
        );
        if let Some(url) = self.elsewhere {
            let origin = Origin::of(url).context("the URL of Gmail's API")?;
            if origin.is_loopback() {
                text.push_str(&format!("\nallow-private = [{}]\n", quoted(&origin.to_string())));
            }
            text.push_str(&format!("\n[set.gmail]\napi-base-url = {}\n", quoted(url.as_str().trim_end_matches('/'))));
        }
        Ok(text)
    }

    /// Writes the file. One that is there and says the same is left alone; another one is never overwritten.
    pub(super) fn write(&self, file: &Path) -> anyhow::Result<bool> {
        let text = self.text()?;
        let shown = file.display();
        match OpenOptions::new().write(true).create_new(true).open(file) {
            Ok(mut new) => {
                new.write_all(text.as_bytes()).with_context(|| format!("cannot write {shown}"))?;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let found = std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
                if found == text {
                    return Ok(false);
                }
                bail!(
                    "{shown} is there already, and says something else; name another file with --config, or put these \
                     lines into it:\n\n{text}"
                )
            }
            Err(error) => Err(error).with_context(|| format!("cannot write {shown}; name another file with --config")),
        }
    }
}

/// A text in TOML. A JSON string is one, but for DEL.
fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_both_grants_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        let (api, asked) =
            (Url::parse("https://gmail.googleapis.com").unwrap(), "https://gmail.googleapis.com/gmail/v1/");
        let component = Path::new("/usr/share/\"odd\"/gmail.wasm");
        let configuration = Configuration { component, asked, elsewhere: None, api: &api };
        assert!(configuration.write(&file).unwrap());
        assert!(!configuration.write(&file).unwrap());
        let read: toml::Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        assert_eq!(
            read["allow-http"].as_array().unwrap()[0].as_str(),
            Some("gmail=https://gmail.googleapis.com/gmail/v1/")
        );
        assert_eq!(read["allow-charm-http"].as_array().unwrap()[0].as_str(), Some("https://gmail.googleapis.com/"));
        assert_eq!(read["components"].as_array().unwrap()[0].as_str(), component.to_str());
        std::fs::write(&file, "interval = 5\n").unwrap();
        let error = configuration.write(&file).unwrap_err().to_string();
        assert!(error.contains("allow-charm-http"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "interval = 5\n");
    }
}
