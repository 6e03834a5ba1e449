//! Signing in: in a browser, on another device, and with a token that somebody made.

use bg_charm_api::{
    DeviceAnswer, DeviceBegun, DeviceQuestion, SignInAnswer, SignInBegun, SignInRequest, SignedIn, TokenRequest,
};
use bg_oauth::{Callback, DevicePoll, OAuthClient, OAuthError, Scopes};
use bg_poller::{RuntimeError, UnixMillis};
use url::{Host, Url};

use super::super::LocalRuntime;
use super::errors::sign_in_failed;
use super::keeping::{Came, pasted};
use super::pending::{InBrowser, Purpose, TIME};
use super::{Missing, cells};

impl LocalRuntime {
    pub(super) async fn begin_sign_in(&self, request: &SignInRequest) -> Result<SignInBegun, RuntimeError> {
        let redirect = request.redirect.as_deref().unwrap_or_default();
        let redirect = redirect.parse().ok().filter(is_loopback).ok_or_else(|| {
            RuntimeError::Invalid(
                "the redirect URL is not one of a loopback address, such as http://127.0.0.1:PORT/".into(),
            )
        })?;
        self.begin_at(request, redirect).await
    }

    /// The same with a redirect URL that the host itself has chosen.
    pub(super) async fn begin_at(&self, request: &SignInRequest, redirect: Url) -> Result<SignInBegun, RuntimeError> {
        let (client, purpose, scopes, login_hint) = self.prepared(request).await?;
        let wanted = bg_oauth::SignInRequest { redirect, scopes, login_hint };
        let (sign_in, url) = client.begin(&wanted).map_err(|error| sign_in_failed(&error))?;
        self.accounts.pending.keep(InBrowser { client, sign_in, purpose })?;
        Ok(SignInBegun { url: url.into(), ends_at: UnixMillis::now() + TIME })
    }

    /// `provider` is the one whose redirect URL the answer came to, if each has its own.
    pub(super) async fn finish_sign_in(
        &self,
        provider: Option<&str>,
        answer: &SignInAnswer,
    ) -> Result<SignedIn, RuntimeError> {
        let stray = || sign_in_failed(&OAuthError::Stray);
        let callback = Callback::parse(answer.query.expose()).map_err(|error| sign_in_failed(&error))?;
        let InBrowser { client, sign_in, purpose } = self.accounts.pending.take(&callback).ok_or_else(stray)?;
        if provider.is_some_and(|provider| provider != sign_in.provider) {
            return Err(stray());
        }
        let tokens = client.finish(&sign_in, &callback).await.map_err(|error| sign_in_failed(&error))?;
        let came = Came {
            provider: client.provider(),
            client: sign_in.client_id.clone(),
            tokens,
            asked: sign_in.asked.clone(),
            name: None,
        };
        self.signed_in(came, &purpose).await
    }

    pub(super) async fn begin_device(&self, request: &SignInRequest) -> Result<DeviceBegun, RuntimeError> {
        let (client, purpose, scopes, _) = self.prepared(request).await?;
        let device = client.begin_device(&scopes).await.map_err(|error| sign_in_failed(&error))?;
        let begun = DeviceBegun {
            user_code: device.user_code.clone(),
            verification: device.verification.clone(),
            interval: device.interval.as_secs(),
            ends_at: UnixMillis::now() + device.expires_in,
            ticket: bg_identity::Secret::new(String::new()),
        };
        let ticket = self.accounts.pending.keep_device(client, device, purpose)?;
        Ok(DeviceBegun { ticket: ticket.secret().clone(), ..begun })
    }

    pub(super) async fn poll_device(&self, question: &DeviceQuestion) -> Result<DeviceAnswer, RuntimeError> {
        let over = || RuntimeError::Invalid("this sign-in is over; begin another one".to_owned());
        let waiting = self.accounts.pending.device(question.ticket.expose()).ok_or_else(over)?;
        let mut device = waiting.device.lock().await;
        let (asked, client) = (device.asked.clone(), &waiting.client);
        match client.poll_device(&mut device).await {
            Ok(DevicePoll::Pending(wait)) => Ok(DeviceAnswer { signed_in: None, interval: wait.as_secs().max(1) }),
            Ok(DevicePoll::Done(tokens)) => {
                self.accounts.pending.forget_device(&waiting);
                let id = client.client().id.clone();
                let came = Came { provider: client.provider(), client: id, tokens: *tokens, asked, name: None };
                let signed_in = self.signed_in(came, &waiting.purpose).await?;
                Ok(DeviceAnswer { signed_in: Some(signed_in), interval: 0 })
            }
            Err(error) if error.class() == bg_oauth::Class::Temporary => {
                Ok(DeviceAnswer { signed_in: None, interval: device.interval.as_secs().max(1) })
            }
            Err(error) => {
                self.accounts.pending.forget_device(&waiting);
                Err(sign_in_failed(&error))
            }
        }
    }

    pub(super) async fn keep_token(&self, request: &TokenRequest) -> Result<SignedIn, RuntimeError> {
        let provider = self.accounts.options.provider(&request.provider)?;
        let text = request.token.expose();
        if !(1..=16 * 1024).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RuntimeError::Invalid("a token has visible ASCII characters, and no spaces".to_owned()));
        }
        let attach = match &request.attach {
            Some(wanted) => Some(cells::place(&*self.store, wanted).await?),
            None => None,
        };
        let mut tokens = pasted(request.token.clone());
        // A token needs no client. Whose it is, only a client asks; its ID is not sent.
        let nobody = bg_oauth::Client { id: "none".to_owned(), secret: None };
        let client = OAuthClient::new(self.accounts.options.http(), provider.clone(), nobody).await;
        let person = match &client {
            Ok(client) => client.person(&tokens.access).await,
            Err(_) => Ok(None),
        };
        tokens.person = match (person, &request.name) {
            (Ok(person), _) => person,
            // With a name, it is kept all the same: not every key may ask whose it is.
            (Err(_), Some(_)) => None,
            (Err(error), None) => {
                let text = format!(
                    "whose token it is cannot be said: {error}. Check the token; or give the account a name of its own: \
                     --name NAME"
                );
                return Err(RuntimeError::Invalid(text));
            }
        };
        let came = Came {
            provider,
            client: String::new(),
            tokens,
            asked: Scopes::default(),
            name: request.name.clone().filter(|name| !name.is_empty()),
        };
        self.signed_in(came, &Purpose { account: None, attach }).await
    }

    /// What every sign-in takes.
    async fn prepared(
        &self,
        request: &SignInRequest,
    ) -> Result<(OAuthClient, Purpose, Scopes, Option<String>), RuntimeError> {
        let mut scopes =
            Scopes::new(request.scopes.iter().cloned()).map_err(|error| RuntimeError::Invalid(error.to_string()))?;
        let (mut login_hint, mut account) = (None, None);
        if let Some(wanted) = &request.account {
            let found = self.account_named(wanted).await?;
            if found.provider != request.provider {
                let text = format!("{} is an account at {}, not {}", found.id, found.provider, request.provider);
                return Err(RuntimeError::Invalid(text));
            }
            // What it has is asked for again.
            if let Ok(before) = Scopes::new(found.scopes.iter().cloned()) {
                scopes = scopes.with(&before);
            }
            login_hint = Some(found.label).filter(|label| label.contains('@'));
            account = Some(found.id);
        }
        let attach = match &request.attach {
            Some(wanted) => Some(cells::place(&*self.store, wanted).await?),
            None => None,
        };
        let client = self.accounts.options.client(&*self.store, &request.provider).await;
        let client = client.map_err(|missing: Missing| RuntimeError::from(missing))?;
        Ok((client, Purpose { account, attach }, scopes, login_hint))
    }
}

/// Whether only this machine can be at a URL.
fn is_loopback(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "http" && is_here && url.username().is_empty() && url.password().is_none()
}
