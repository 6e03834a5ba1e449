//! Whole flows, against a certified OpenID provider and a Google, both on loopback; and what a hostile provider tries.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

mod google;
mod hostile;
mod openid;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_egress::Resolver;
use bg_oauth::{
    Callback, Client, Http, HttpOptions, OAuthClient, OAuthError, Providers, Scopes, SignIn, SignInRequest, Tokens,
};

const REDIRECT: &str = "http://127.0.0.1:51234/callback";

/// Sends requests, also to these servers on loopback.
fn http(allowed: &[&str]) -> Http {
    let allow_private = allowed.iter().map(|origin| origin.parse().unwrap()).collect();
    Http::new(HttpOptions { allow_private, ..HttpOptions::default() })
}

/// Names with these addresses, and no others.
struct Names(HashMap<&'static str, Vec<IpAddr>>);

impl Names {
    fn new(names: &[(&'static str, &[&str])]) -> Arc<Self> {
        let addresses = |list: &[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self(names.iter().map(|(name, list)| (*name, addresses(list))).collect()))
    }
}

#[async_trait]
impl Resolver for Names {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.0.get(host).cloned().ok_or_else(|| io::Error::other("no such name"))
    }
}

/// The client `id` of a provider that `toml` describes.
async fn client(toml: &str, name: &str, id: &str, secret: &str, http: Http) -> Result<OAuthClient, OAuthError> {
    let providers = Providers::built_in().extended_by(toml).unwrap();
    let secret = (!secret.is_empty()).then(|| secret.to_owned().into());
    let client = Client::new(id, secret).unwrap();
    OAuthClient::new(http, providers.get(name).unwrap().clone(), client).await
}

fn request(scopes: &str) -> SignInRequest {
    let scopes = Scopes::parse(scopes).unwrap();
    SignInRequest { redirect: REDIRECT.parse().unwrap(), scopes, login_hint: None }
}

/// A sign-in, as far as the redirect URL: what was kept, and what the browser brings.
fn answered(client: &OAuthClient, scopes: &str, visit: impl FnOnce(&str) -> String) -> (SignIn, String) {
    let (sign_in, url) = client.begin(&request(scopes)).unwrap();
    (sign_in, visit(url.as_str()))
}

async fn sign_in(client: &OAuthClient, scopes: &str, visit: impl FnOnce(&str) -> String) -> Result<Tokens, OAuthError> {
    let (sign_in, url) = answered(client, scopes, visit);
    client.finish(&sign_in, &Callback::pasted(&url, &sign_in.redirect)?).await
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}
