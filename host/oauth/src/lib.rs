//! Signing in at a provider, and staying signed in: OAuth 2.0 (RFC 6749, 7009, 7636, 8252, 8628, 9207) and as much of
//! OpenID Connect as tells who signed in.
//!
//! Providers are data ([`Providers`]): what the program knows, and what an operator adds. An [`OAuthClient`] is a client
//! at one of them. Nothing here is stored; that is for the callers.
//!
//! Every request goes over TLS to an address that the egress rules permit, follows no redirect, and reads at most 64
//! KiB of answer. A URL without TLS is for a peer on this machine that the operator names. Errors ([`OAuthError`]) have a
//! [`Class`], and contain no token, code or secret.
//!
//! ```
//! use bg_oauth::{Callback, Client, Http, HttpOptions, OAuthClient, Providers, Scopes, SignInRequest};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let providers = Providers::built_in();
//! let google = providers.get("google").unwrap().clone();
//! let client = Client::new("1-a.apps.googleusercontent.com", Some("GOCSPX-x".to_owned().into()))?;
//! let client = OAuthClient::new(Http::new(HttpOptions::default()), google, client).await?;
//!
//! // The URL is for the browser, the rest is kept until the answer comes.
//! let scopes = Scopes::parse("https://www.googleapis.com/auth/gmail.readonly")?;
//! let redirect = "http://127.0.0.1:51234/callback".parse()?;
//! let (sign_in, url) = client.begin(&SignInRequest { redirect, scopes, login_hint: None })?;
//! assert!(url.as_str().starts_with("https://accounts.google.com/o/oauth2/v2/auth?response_type=code&"));
//!
//! // Anyone can open the redirect URL. Only the provider's answer has the state.
//! let stray = Callback::parse("code=4%2F0Ab&state=guessed")?;
//! assert!(!sign_in.is_answered_by(&stray));
//! assert!(client.finish(&sign_in, &stray).await.is_err());
//! # Ok(())
//! # }
//! ```

mod answer;
mod callback;
mod client;
mod device;
mod discovery;
mod encode;
mod endpoint;
mod error;
mod oauth_client;
mod person;
mod pointer;
mod provider;
mod providers;
mod random;
mod scopes;
mod sender;
mod sign_in;
mod tokens;

pub use callback::Callback;
pub use client::{Client, ClientError, ClientKind};
pub use device::{DevicePoll, DeviceSignIn};
pub use discovery::Endpoints;
pub use endpoint::{Endpoint, EndpointError};
pub use error::{Class, OAuthError};
pub use oauth_client::OAuthClient;
pub use person::Person;
pub use provider::{Provider, Redirect, Revoke, TokenAuth, TokenBody, TokenField, UserPointers, UserSource};
pub use providers::{ProviderError, Providers};
pub use random::{Nonce, State, Verifier};
pub use scopes::{ScopeError, Scopes};
pub use sender::{Http, HttpOptions};
pub use sign_in::{SignIn, SignInRequest};
pub use tokens::Tokens;
