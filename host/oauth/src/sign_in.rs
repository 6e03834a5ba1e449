//! One sign-in, from the URL that a person opens to the answer.

use bg_identity::Secret;
use url::Url;

use crate::answer::redirected;
use crate::callback::Callback;
use crate::random::{Nonce, State, Verifier};
use crate::{Client, Endpoints, OAuthError, Provider, Scopes};

/// What to sign in for.
#[derive(Clone, Debug)]
pub struct SignInRequest {
    /// Where the provider sends the browser back to.
    pub redirect: Url,
    /// What to ask for, beside what every sign-in at this provider asks for.
    pub scopes: Scopes,
    /// The account that is meant, for the provider to select: a mail address.
    pub login_hint: Option<String>,
}

/// A sign-in under way: what must be kept until the answer comes. It can be stored (its parts are public), and is good
/// for one answer.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The provider's name. An answer that comes for another one is refused.
    pub provider: String,
    /// The client that asks.
    pub client_id: String,
    /// What was asked for.
    pub asked: Scopes,
    /// Where the provider sends the browser back to.
    pub redirect: Url,
    /// What the answer must repeat.
    pub state: State,
    /// What an ID token must repeat.
    pub nonce: Option<Nonce>,
    /// The secret of PKCE.
    pub verifier: Option<Verifier>,
}

impl SignIn {
    /// Begins a sign-in: what to keep, and the URL to open in a browser.
    pub(crate) fn begin(
        provider: &Provider,
        endpoints: &Endpoints,
        client: &Client,
        request: &SignInRequest,
    ) -> Result<(Self, Url), OAuthError> {
        let asked = provider.scopes_for(&request.scopes);
        let state = State::new()?;
        let nonce = asked.contains("openid").then(Nonce::new).transpose()?;
        let verifier = provider.pkce.then(Verifier::new).transpose()?;
        let mut url = endpoints.authorization.url().clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("response_type", "code");
            query.append_pair("client_id", &client.id);
            query.append_pair("redirect_uri", request.redirect.as_str());
            query.append_pair("state", state.secret().expose());
            if !asked.is_empty() {
                query.append_pair(&provider.scope_param, &asked.joined(&provider.scope_separator));
            }
            if let Some(verifier) = &verifier {
                query.append_pair("code_challenge", &verifier.challenge());
                query.append_pair("code_challenge_method", "S256");
            }
            if let Some(nonce) = &nonce {
                query.append_pair("nonce", nonce.secret().expose());
            }
            if let Some(hint) = &request.login_hint {
                query.append_pair("login_hint", hint);
            }
            for (name, value) in &provider.auth_params {
                query.append_pair(name, value);
            }
        }
        let (provider, client_id) = (provider.name.clone(), client.id.clone());
        Ok((Self { provider, client_id, asked, redirect: request.redirect.clone(), state, nonce, verifier }, url))
    }

    /// Whether an answer belongs to this sign-in. One that does not is to be refused without ending the sign-in: anyone
    /// can open the redirect URL.
    pub fn is_answered_by(&self, callback: &Callback) -> bool {
        self.state.is(callback.state().expose())
    }

    /// The code of an answer, after all checks that need no request.
    pub(crate) fn code<'a>(
        &self,
        provider: &Provider,
        endpoints: &Endpoints,
        client: &Client,
        callback: &'a Callback,
    ) -> Result<&'a Secret, OAuthError> {
        if !self.is_answered_by(callback) || self.provider != provider.name || self.client_id != client.id {
            return Err(OAuthError::Stray);
        }
        // A code of another provider must not be sent to this one (RFC 9207).
        if let Some(issuer) = endpoints.issuer.as_deref().filter(|issuer| !issuer.contains('{')) {
            match callback.iss.as_deref() {
                Some(found) if found != issuer => return Err(OAuthError::OtherIssuer { expected: issuer.to_owned() }),
                None if endpoints.iss => return Err(OAuthError::OtherIssuer { expected: issuer.to_owned() }),
                _ => {}
            }
        }
        callback.answer.as_ref().map_err(|(code, description)| {
            redirected(endpoints.authorization.origin().to_string(), code.clone(), description.clone())
        })
    }
}
