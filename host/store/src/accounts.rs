//! Accounts at other services, whose tokens charms are given; a part of [`Store`](crate::Store).
//!
//! An account keeps what a sign-in brought, its *grant*: the access token, and what renews it. Its number of
//! *generation* rises with each grant, so that a grant replaces only the one that it was made from: with a service that
//! rotates its refresh tokens, the older of two is worth nothing, and sending it again may end the newer one.

use std::time::Duration;

use async_trait::async_trait;
use bg_identity::Secret;
use bg_poller::{CharmRef, RuntimeError, UnixMillis};
use serde_json::{Map, Value, json};

use crate::store::CellEdit;

/// The operator's client at a provider: under which name this host asks for tokens there.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    /// The provider's name.
    pub provider: String,
    /// The ID that the provider gave it.
    pub id: String,
    /// Its secret; some have none.
    pub secret: Option<Secret>,
    /// When it was set.
    pub set_at: UnixMillis,
}

/// What a sign-in or a renewal brought.
#[derive(Clone, Debug)]
pub struct Grant {
    /// What opens the service.
    pub access_token: Secret,
    /// What a new access token is had with. None if the access token does not end, or cannot be renewed.
    pub refresh_token: Option<Secret>,
    /// How the access token is sent: `Bearer`.
    pub token_type: String,
    /// How long the access token was good for, seconds, when it came.
    pub expires_in: Option<u64>,
    /// When it ends, by the clock of this host.
    pub expires_at: Option<UnixMillis>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// Who signed in, as charms see it: `email`, `name`, `picture`.
    pub user: Map<String, Value>,
}

impl Grant {
    /// As JSON. It has the secrets in the clear: for a store to seal.
    pub fn text(&self) -> Secret {
        let grant = json!({
            "accessToken": self.access_token.expose(),
            "refreshToken": self.refresh_token.as_ref().map(Secret::expose),
            "tokenType": self.token_type,
            "expiresIn": self.expires_in,
            "expiresAt": self.expires_at.map(|at| at.0),
            "scopes": self.scopes,
            "user": self.user,
        });
        Secret::new(grant.to_string())
    }

    /// Reads what [`text`](Self::text) has written; none if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let grant: Value = serde_json::from_str(text).ok()?;
        let secret = |name: &str| Some(Secret::new(grant.get(name)?.as_str()?.to_owned()));
        let scopes = grant.get("scopes")?.as_array()?.iter();
        Some(Self {
            access_token: secret("accessToken")?,
            refresh_token: secret("refreshToken"),
            token_type: grant.get("tokenType")?.as_str()?.to_owned(),
            expires_in: grant.get("expiresIn").and_then(Value::as_u64),
            expires_at: grant.get("expiresAt").and_then(Value::as_u64).map(UnixMillis),
            scopes: scopes.map(|scope| scope.as_str().map(str::to_owned)).collect::<Option<_>>()?,
            user: grant.get("user")?.as_object()?.clone(),
        })
    }
}

/// A person, or another owner of data, at a provider, who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name here, which no other account gets: `google-1`.
    pub id: String,
    /// The provider's name.
    pub provider: String,
    /// Who that is for the provider, which never changes.
    pub subject: String,
    /// Who that is for people: an e-mail address, or a name.
    pub label: String,
    /// The ID of the client that the grant belongs to: no other one can renew it. Empty for a token that somebody
    /// pasted.
    pub client: String,
    /// What is allowed.
    pub scopes: Vec<String>,
    /// Rises with each grant.
    pub generation: u64,
    /// When somebody last signed in.
    pub signed_in_at: UnixMillis,
    /// When the present access token came.
    pub renewed_at: UnixMillis,
    /// When it ends; never if none.
    pub expires_at: Option<UnixMillis>,
    /// Whether it can be renewed.
    pub is_renewable: bool,
    /// When the authorization ended, if it has. Somebody must sign in again.
    pub ended_at: Option<UnixMillis>,
    /// The error code of the last renewal, if that failed.
    pub error: Option<String>,
    /// The charms that get its access token.
    pub links: Vec<Link>,
}

/// A charm that gets the access token of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The account.
    pub account: String,
    /// The charm.
    pub charm: CharmRef,
    /// The cell that has the token.
    pub cell: String,
    /// The name of the token in it: `token`, or `accessToken`.
    pub token_field: String,
    /// The digest of the handle that the cell has in place of the refresh token.
    pub handle: [u8; 32],
    /// The generation that was last written into the cell.
    pub written: u64,
}

impl Link {
    /// Whether it is of this cell.
    pub fn is_of(&self, charm: &CharmRef, cell: &str) -> bool {
        self.charm == *charm && self.cell == cell
    }
}

/// Somebody who has signed in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The provider's name.
    pub provider: String,
    /// Who that is for the provider.
    pub subject: String,
    /// Who that is for people.
    pub label: String,
    /// The client that the grant belongs to; empty for a token that somebody pasted.
    pub client: String,
    /// What that brought.
    pub grant: Grant,
}

/// Who renews a grant.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub enum Turn {
    /// The caller, until its time is over: with this grant, of that generation.
    Yours {
        /// The account.
        account: Account,
        /// What is to be renewed.
        grant: Grant,
    },
    /// Another one does, until then at the latest.
    Anothers {
        /// When its time is over.
        until: UnixMillis,
    },
    /// There is nothing to renew: the account is gone, has ended, cannot be renewed, or is of another generation by
    /// now.
    Over,
}

/// Clients, accounts, and which charms have which. A part of [`Store`](crate::Store).
///
/// Callers have checked that they act for the operator; what is written into cells is written for the operator.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Sets the client for a provider, in place of another one.
    async fn set_client(&self, client: OAuthClient) -> Result<(), RuntimeError>;

    /// The client for a provider.
    async fn client(&self, provider: &str) -> Result<Option<OAuthClient>, RuntimeError>;

    /// All clients, by the names of their providers; without their secrets.
    async fn clients(&self) -> Result<Vec<OAuthClient>, RuntimeError>;

    /// All accounts, oldest first.
    async fn accounts(&self) -> Result<Vec<Account>, RuntimeError>;

    /// An account by its ID.
    async fn account(&self, id: &str) -> Result<Option<Account>, RuntimeError>;

    /// What an account has, with its generation.
    async fn grant(&self, id: &str) -> Result<Option<(u64, Grant)>, RuntimeError>;

    /// Keeps a sign-in: as a new account, or as a new grant of the one that has this provider and subject, also
    /// while it is renewed. Answers the account.
    async fn sign_in(&self, sign_in: SignIn) -> Result<Account, RuntimeError>;

    /// Removes an account with its links; false if there is none. The cells of its charms stay as they are.
    async fn remove_account(&self, id: &str) -> Result<bool, RuntimeError>;

    /// Links a charm's cell to an account, in place of another one, and edits the cell; both or neither.
    async fn attach(&self, link: Link, edit: CellEdit) -> Result<(), RuntimeError>;

    /// The links of a charm, by the names of their cells.
    async fn links(&self, charm: &CharmRef) -> Result<Vec<Link>, RuntimeError>;

    /// The link whose handle has that digest.
    async fn link_by_handle(&self, handle: &[u8; 32]) -> Result<Option<Link>, RuntimeError>;

    /// Edits the cell of a link, and notes the generation that is in it from then on; both or neither. Fails without a
    /// change if the charm's cell is not linked so any more.
    async fn fill(&self, link: &Link, generation: u64, edit: CellEdit) -> Result<(), RuntimeError>;

    /// Removes a link, and edits its cell; both or neither. Passes if there is no such link.
    async fn detach(&self, link: &Link, edit: CellEdit) -> Result<(), RuntimeError>;

    /// Begins a renewal of that generation, for at most that time, unless somebody else is at it. `owner` names the
    /// caller among all processes.
    async fn take_renewal(
        &self,
        account: &str,
        generation: u64,
        owner: &str,
        time: Duration,
    ) -> Result<Turn, RuntimeError>;

    /// Ends a renewal: keeps the new grant in place of that generation. False, without a change, if there is another
    /// one by now, or the account is gone.
    async fn keep_grant(&self, account: &str, generation: u64, grant: Grant) -> Result<bool, RuntimeError>;

    /// Ends a renewal that failed, with the error's code. `ended` says that the authorization of that generation has
    /// ended for good. False, without a change, if there is another generation by now, or the account is gone.
    async fn fail_renewal(
        &self,
        account: &str,
        generation: u64,
        owner: &str,
        code: &str,
        ended: bool,
    ) -> Result<bool, RuntimeError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_read_as_it_was_written_and_shows_no_token() {
        let grant = Grant {
            access_token: Secret::new("access-1".into()),
            refresh_token: Some(Secret::new("refresh-1".into())),
            token_type: "Bearer".into(),
            expires_in: Some(3_599),
            expires_at: Some(UnixMillis(1_764_000_000_000)),
            scopes: vec!["a".into(), "b".into()],
            user: json!({"email": "ann@example.com"}).as_object().cloned().unwrap_or_default(),
        };
        let again = Grant::parse(grant.text().expose()).unwrap();
        assert_eq!(again.text().expose(), grant.text().expose());
        assert!(!format!("{grant:?}").contains("-1"), "{grant:?}");
        let bare = Grant { refresh_token: None, expires_in: None, expires_at: None, user: Map::new(), ..grant };
        assert_eq!(Grant::parse(bare.text().expose()).unwrap().text().expose(), bare.text().expose());
        for text in ["", "[]", "{}", r#"{"accessToken": 1}"#] {
            assert!(Grant::parse(text).is_none(), "{text}");
        }
    }
}
