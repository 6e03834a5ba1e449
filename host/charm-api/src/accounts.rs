//! What operators do with accounts at other services, whose tokens charms are given.

use async_trait::async_trait;
use bg_identity::Secret;
use bg_poller::{CharmRef, RuntimeError, UnixMillis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// The operator's client at a provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientRequest {
    /// The provider: `google`.
    pub provider: String,
    /// The ID that the provider gave it.
    pub id: String,
    /// Its secret, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed_if_any")]
    pub secret: Option<Secret>,
}

/// A client, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientSummary {
    /// The provider.
    pub provider: String,
    /// Its ID there.
    pub id: String,
    /// When it was set.
    pub set_at: UnixMillis,
}

/// Whether the token of an account can be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountState {
    /// It works.
    Active,
    /// The last renewal failed, and is tried again.
    Failing,
    /// The authorization has ended: somebody must sign in again.
    Ended,
}

/// An account, without its tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountSummary {
    /// Its name here: `google-1`.
    pub id: String,
    /// The provider.
    pub provider: String,
    /// Who signed in, for people: an e-mail address, or a name.
    pub label: String,
    /// What is allowed.
    pub scopes: Vec<String>,
    /// Whether it works.
    pub state: AccountState,
    /// What is wrong with it, and what to do.
    pub problem: Option<String>,
    /// When somebody last signed in.
    pub signed_in_at: UnixMillis,
    /// When the present access token came.
    pub renewed_at: UnixMillis,
    /// When the present access token ends; never if null.
    pub expires_at: Option<UnixMillis>,
    /// The charms that get it.
    pub charms: Vec<AccountCharm>,
}

/// A charm that gets the access token of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountCharm {
    /// The charm.
    #[serde(flatten)]
    pub charm: CharmRef,
    /// The cell that has it.
    pub cell: String,
}

/// Which charm is to get the access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForCharm {
    /// The charm, as `<space DID>/<charm ID>`.
    pub charm: String,
    /// The cell; the charm's cell of a sign-in if none, `auth` first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
}

/// A sign-in to begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignInRequest {
    /// The provider.
    pub provider: String,
    /// What to ask for, beside what every sign-in there asks for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Where the provider sends the browser back to: a loopback address of the caller's. None for the device flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// The account that must sign in again, by its ID; any may if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The charm that is to get the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<ForCharm>,
}

/// A sign-in that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignInBegun {
    /// What to open in a browser.
    pub url: String,
    /// Until when an answer is accepted.
    pub ends_at: UnixMillis,
}

/// The provider's answer to a sign-in, as the browser brought it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignInAnswer {
    /// The query of the URL that the browser was sent to.
    #[serde(serialize_with = "exposed")]
    pub query: Secret,
}

/// Somebody has signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    /// The account.
    pub account: AccountSummary,
    /// What was asked for and not allowed.
    pub missing: Vec<String>,
}

/// A sign-in on another device that was begun.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceBegun {
    /// What to ask with whether the person has finished.
    #[serde(serialize_with = "exposed")]
    pub ticket: Secret,
    /// What the person types.
    pub user_code: String,
    /// Where they type it.
    pub verification: String,
    /// How long to wait before each question, seconds.
    pub interval: u64,
    /// Until when they can.
    pub ends_at: UnixMillis,
}

/// Asks whether a person has finished on another device.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceQuestion {
    /// Of [`DeviceBegun`].
    #[serde(serialize_with = "exposed")]
    pub ticket: Secret,
}

/// Whether they have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceAnswer {
    /// They have.
    pub signed_in: Option<SignedIn>,
    /// They have not: how long to wait before the next question, seconds.
    pub interval: u64,
}

/// A token or key that somebody made at a provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenRequest {
    /// The provider.
    pub provider: String,
    /// The token.
    #[serde(serialize_with = "exposed")]
    pub token: Secret,
    /// What to call the account, if the provider does not say whose token it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The charm that is to get the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<ForCharm>,
}

/// A charm that is to get the token of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttachRequest {
    /// The account, by its ID or by its label, if only one has it.
    pub account: String,
    /// The charm.
    pub attach: ForCharm,
}

/// A charm that is to get no token any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DetachRequest {
    /// The charm, as `<space DID>/<charm ID>`.
    pub charm: String,
}

/// An account that something is done with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountRequest {
    /// Its ID, or its label, if only one has it.
    pub account: String,
}

/// What came of a logout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoggedOut {
    /// The account's ID.
    pub id: String,
    /// Who that was.
    pub label: String,
    /// Whether the provider has ended the authorization.
    pub revoked: bool,
    /// Why it has not.
    pub problem: Option<String>,
}

/// Accounts and clients. All of it is for the operator alone.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Sets the client for a provider, in place of another one. Answers it.
    async fn set_client(&self, request: &ClientRequest) -> Result<ClientSummary, RuntimeError>;

    /// All clients.
    async fn clients(&self) -> Result<Vec<ClientSummary>, RuntimeError>;

    /// All accounts, oldest first.
    async fn accounts(&self) -> Result<Vec<AccountSummary>, RuntimeError>;

    /// Begins a sign-in in a browser. It is forgotten after ten minutes, or when the runtime ends.
    async fn begin_sign_in(&self, request: &SignInRequest) -> Result<SignInBegun, RuntimeError>;

    /// Finishes a sign-in: keeps the account, and gives its token to the charm. An answer that belongs to no sign-in is
    /// refused, and ends none.
    async fn finish_sign_in(&self, answer: &SignInAnswer) -> Result<SignedIn, RuntimeError>;

    /// Begins a sign-in on another device.
    async fn begin_device(&self, request: &SignInRequest) -> Result<DeviceBegun, RuntimeError>;

    /// Whether the person has finished; then the same as with [`finish_sign_in`](Self::finish_sign_in).
    async fn poll_device(&self, question: &DeviceQuestion) -> Result<DeviceAnswer, RuntimeError>;

    /// Keeps a token that somebody made, as an account that is not renewed.
    async fn keep_token(&self, request: &TokenRequest) -> Result<SignedIn, RuntimeError>;

    /// Gives the token of an account to a charm.
    async fn attach(&self, request: &AttachRequest) -> Result<AccountSummary, RuntimeError>;

    /// Takes its accounts from a charm, and empties the cells that had their tokens. Answers the cells.
    async fn detach(&self, request: &DetachRequest) -> Result<Vec<String>, RuntimeError>;

    /// Renews the token of an account now.
    async fn renew(&self, request: &AccountRequest) -> Result<AccountSummary, RuntimeError>;

    /// Removes an account: revokes its authorization at the provider, and empties the cells of its charms.
    async fn logout(&self, request: &AccountRequest) -> Result<LoggedOut, RuntimeError>;
}

/// For a request's body, which goes to the runtime alone.
fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn exposed_if_any<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}
