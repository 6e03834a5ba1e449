//! What an integration says about itself and asks for ([`Manifest`]), what an operator grants ([`OperatorGrant`]), and
//! the resulting capability ([`effective()`]): what was asked for *and* granted, never more.
//!
//! The egress gate calls [`find_grant`] before every request, with a URL from [`parse_target`]. Everything here fails
//! closed: ambiguous input is never covered.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use bg_manifest::{Manifest, OperatorGrant, effective, find_grant, parse_target};
//! use http::Method;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let manifest = Manifest::parse(
//!     r#"
//!     [integration]
//!     id = "news"
//!     name = "News"
//!     version = "1.0.0"
//!
//!     [[http]]
//!     url = "https://api.example.com/v1/"
//!     methods = ["GET", "POST"]
//!     credential = "charm.auth.token"
//!     reason = "To ask what has changed."
//!     "#,
//! )?;
//! let asked = manifest.asked(&BTreeMap::new())?;
//!
//! // The operator grants less than the manifest asks for: one folder, and one method.
//! let granted: OperatorGrant = "news=GET https://api.example.com/v1/changes/".parse()?;
//! let (grants, withheld) = effective(&manifest.integration.id, &asked, &[granted]);
//!
//! let url = parse_target("https://api.example.com/v1/changes/today")?;
//! let grant = find_grant(&grants, &Method::GET, &url)?;
//! assert_eq!(grant.credential.as_ref().map(ToString::to_string).as_deref(), Some("charm.auth.token"));
//! assert!(find_grant(&grants, &Method::POST, &url).is_err());
//! // What is missing, as the option that grants it.
//! assert_eq!(withheld[0].option, "--allow-http news=https://api.example.com/v1/");
//! # Ok(())
//! # }
//! ```

mod charm_credential;
mod config;
mod config_error;
mod credential;
mod effective;
mod grant;
mod host;
mod interval;
mod manifest;
mod methods;
mod mismatch;
mod oauth;
mod operator;
mod origin;
mod path;
mod scheme;
mod target;
mod template;
mod text;

#[cfg(test)]
mod gate_tests;

pub use charm_credential::{CharmCredential, ParseCharmCredentialError};
pub use config::AskedHttp;
pub use config_error::ConfigError;
pub use credential::{Credential, CredentialPath, ParseCredentialPathError};
pub use effective::{EffectiveGrant, Withheld, effective, find_grant, granted_as_asked};
pub use grant::{HttpGrant, ParseGrantError};
pub use host::HostPattern;
pub use manifest::{About, ConfigKey, HttpEntry, Manifest, ManifestError, SECTION};
pub use methods::{Methods, ParseMethodsError};
pub use mismatch::Mismatch;
pub use oauth::OAuthEntry;
pub use operator::{OperatorGrant, ParseOperatorGrantError, command_line_option};
pub use origin::{Origin, ParseOriginError, Scheme};
pub use path::{PathMismatch, PathPrefix};
pub use scheme::{CredentialScheme, ParseCredentialSchemeError};
pub use target::{MAX_URL_BYTES, TargetError, parse_target};
pub use template::{ParseUrlTemplateError, UrlTemplate};
