//! The operator's client at a provider.

use bg_identity::Secret;
use serde::Deserialize;
use serde_json::Value;

/// A client as registered with a provider: its ID, and its secret if it has one.
#[derive(Clone, Debug)]
pub struct Client {
    /// The ID, which is public.
    pub id: String,
    /// The secret. A "Desktop app" of Google's has one as well, and Google wants it.
    pub secret: Option<Secret>,
}

/// A client that cannot be used. Contains no part of the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The ID has characters that no client ID has.
    #[error("a client ID has 1 to 512 visible ASCII characters")]
    Id,
    /// The secret has characters that no secret has.
    #[error("a client secret has 1 to 4096 visible ASCII characters")]
    Secret,
    /// The file is not the one that Google's console offers.
    #[error(
        "the file is not one that Google's console offers under \"Download JSON\": it has neither \"installed\" nor \
        \"web\" with a client_id; download it again, or give the ID with --id"
    )]
    NotGoogles,
    /// The file is a key of a service account.
    #[error("the file is the key of a service account; create an OAuth client of the type \"Desktop app\" instead")]
    ServiceAccount,
}

/// The kind of a client in Google's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// "Desktop app": any port of the loopback address as redirect URL.
    Installed,
    /// "Web application": redirect URLs must be registered.
    Web,
}

#[derive(Deserialize)]
struct Entry {
    client_id: String,
    client_secret: Option<Secret>,
}

impl Client {
    /// A client with this ID and secret.
    pub fn new(id: impl Into<String>, secret: Option<Secret>) -> Result<Self, ClientError> {
        let id = id.into();
        if !(1..=512).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ClientError::Id);
        }
        let fits = |secret: &Secret| {
            let text = secret.expose();
            (1..=4096).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !secret.as_ref().is_none_or(fits) {
            return Err(ClientError::Secret);
        }
        Ok(Self { id, secret })
    }

    /// The client in the file `client_secret_….json` from Google's console.
    ///
    /// ```
    /// use bg_oauth::{Client, ClientKind};
    ///
    /// let file = r#"{"installed": {"client_id": "1-a.apps.googleusercontent.com", "client_secret": "GOCSPX-x"}}"#;
    /// let (client, kind) = Client::from_google(file).unwrap();
    /// assert_eq!((client.id.as_str(), kind), ("1-a.apps.googleusercontent.com", ClientKind::Installed));
    /// ```
    pub fn from_google(json: &str) -> Result<(Self, ClientKind), ClientError> {
        let file: Value = serde_json::from_str(json).map_err(|_| ClientError::NotGoogles)?;
        if file.get("type").and_then(Value::as_str) == Some("service_account") {
            return Err(ClientError::ServiceAccount);
        }
        for (name, kind) in [("installed", ClientKind::Installed), ("web", ClientKind::Web)] {
            if let Some(entry) = file.get(name) {
                let entry = Entry::deserialize(entry).map_err(|_| ClientError::NotGoogles)?;
                return Ok((Self::new(entry.client_id, entry.client_secret)?, kind));
            }
        }
        Err(ClientError::NotGoogles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_file_is_read_in_both_kinds_and_other_files_are_refused() {
        let web = r#"{"web":{"client_id":"w","client_secret":"s","redirect_uris":["http://localhost"]}}"#;
        let (client, kind) = Client::from_google(web).unwrap();
        assert_eq!((kind, client.secret.unwrap().expose()), (ClientKind::Web, "s"));
        for (file, error) in [
            ("", ClientError::NotGoogles),
            ("{}", ClientError::NotGoogles),
            (r#"{"installed":{"client_secret":"s"}}"#, ClientError::NotGoogles),
            (r#"{"installed":{"client_id":"a b"}}"#, ClientError::Id),
            (r#"{"installed":{"client_id":"a","client_secret":"a\nb"}}"#, ClientError::Secret),
            (r#"{"type":"service_account","private_key":"-----BEGIN"}"#, ClientError::ServiceAccount),
        ] {
            assert_eq!(Client::from_google(file).unwrap_err(), error, "{file}");
        }
    }
}
