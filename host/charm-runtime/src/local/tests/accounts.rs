//! Accounts against a provider that answers as a test says. With real ones: `tests/accounts.rs` of the product.

use std::sync::{Arc, Mutex};

use bg_charm_api::{AccountState, Accounts, ClientRequest, ForCharm, SetRequest, SignInAnswer, SignInRequest, Spaces};
use bg_identity::Secret;
use bg_poller::{Cause, CharmRef, CharmRuntime, RuntimeError};
use bg_test_support::{RawAnswer, RawServer};
use serde_json::{Value, json};

use super::super::AccountOptions;
use super::super::testing::Home;

/// A provider whose token endpoint answers this, and notes what it was asked.
struct Provider {
    answer: Arc<Mutex<(&'static str, String)>>,
    asked: Arc<Mutex<Vec<String>>>,
    server: RawServer,
}

impl Provider {
    fn start() -> Self {
        let (answer, asked) = (Arc::new(Mutex::new(("200 OK", String::new()))), Arc::new(Mutex::new(Vec::new())));
        let (says, notes) = (Arc::clone(&answer), Arc::clone(&asked));
        let server = RawServer::start(move |request| {
            notes.lock().unwrap().push(String::from_utf8_lossy(request.body()).into_owned());
            let (status, body) = says.lock().unwrap().clone();
            RawAnswer::new(status, "Content-Type: application/json\r\n", &body)
        });
        Self { answer, asked, server: server.unwrap() }
    }

    fn says(&self, status: &'static str, body: &Value) {
        *self.answer.lock().unwrap() = (status, body.to_string());
    }

    /// Hands out tokens with that number.
    fn gives(&self, number: u32) {
        let body = json!({
            "access_token": format!("access-{number}"), "refresh_token": format!("refresh-{number}"),
            "token_type": "Bearer", "expires_in": 3_600, "who": "ann",
        });
        self.says("200 OK", &body);
    }

    fn options(&self) -> AccountOptions {
        let base = format!("http://{}", self.server.address());
        let row = format!(
            "[mine]\nauthorization = \"{base}/authorize\"\ntoken = \"{base}/token\"\nuser-source = \"token\"\nuser = \
             {{ id = \"/who\" }}\n"
        );
        let options = AccountOptions::default();
        let providers = options.providers.clone().extended_by(&row).unwrap();
        AccountOptions { providers, allow_private: vec![base.parse().unwrap()], renewer: None }
    }

    async fn home(&self) -> Home {
        let home = Home::with(|options| options.accounts = self.options()).await;
        let client =
            ClientRequest { provider: "mine".into(), id: "me".into(), secret: Some("client-secret".to_owned().into()) };
        home.operator().set_client(&client).await.unwrap();
        home
    }

    fn exchanges(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

async fn sign_in(home: &Home, charm: &CharmRef) -> Result<String, RuntimeError> {
    let request = SignInRequest {
        provider: "mine".into(),
        scopes: Vec::new(),
        redirect: Some("http://127.0.0.1:7/callback".into()),
        account: None,
        attach: Some(ForCharm { charm: charm.to_string(), cell: None }),
    };
    let begun = home.operator().begin_sign_in(&request).await?;
    let url: url::Url = begun.url.parse().unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let answer = SignInAnswer { query: Secret::new(format!("code=a-code&state={state}")) };
    Ok(home.operator().finish_sign_in(&answer).await?.account.id)
}

async fn secret(home: &Home, charm: &CharmRef, field: &str) -> String {
    let path = ["auth".to_owned(), field.to_owned()];
    home.operator().secret(charm, &path).await.unwrap().expose().to_owned()
}

fn empty() -> Value {
    json!({"auth": {"accessToken": "", "refreshToken": ""}})
}

#[tokio::test]
async fn a_charm_gets_the_access_token_and_a_handle_that_is_good_here_alone() {
    let provider = Provider::start();
    let home = provider.home().await;
    let (charm, other) = (home.deploy(empty()).await, home.deploy(json!({"auth": {"accessToken": "x"}})).await);
    provider.gives(1);
    let account = sign_in(&home, &charm).await.unwrap();
    assert_eq!(secret(&home, &charm, "accessToken").await, "access-1");
    let handle = secret(&home, &charm, "refreshToken").await;
    assert!(handle.starts_with("bg-handle-") && !handle.contains("refresh-1"), "{handle}");

    let attempt = bg_abuse::Attempt::begin("accounts", "a handle at another provider, a guessed one, the real token");
    for (name, token) in [("google", handle.as_str()), ("mine", "refresh-1"), ("mine", "bg-handle-x")] {
        let refused = home.runtime.refresh_by_handle(name, &Secret::new(token.to_owned())).await.unwrap_err();
        assert!(matches!(&refused, RuntimeError::Invalid(text) if text.contains("none that this host")), "{refused}");
    }
    assert_eq!(provider.exchanges(), 1);
    attempt.ended("refused, and the provider is not asked");

    provider.gives(2);
    let info = home.runtime.refresh_by_handle("mine", &Secret::new(handle.clone())).await.unwrap();
    assert_eq!((&info["accessToken"], &info["refreshToken"]), (&json!("access-2"), &json!(handle)));
    // The charm has not written it yet: its next renewal needs no exchange.
    home.operator().refresh_auth(&charm).await.unwrap();
    assert_eq!((provider.exchanges(), secret(&home, &charm, "accessToken").await.as_str()), (2, "access-2"));
    assert_eq!(secret(&home, &charm, "refreshToken").await, handle);
    assert!(provider.asked.lock().unwrap()[1].contains("refresh_token=refresh-1"));

    // Another charm of the account takes part without an exchange.
    let attach = ForCharm { charm: other.to_string(), cell: None };
    let request = bg_charm_api::AttachRequest { account: account.clone(), attach };
    assert_eq!(home.operator().attach(&request).await.unwrap().charms.len(), 2);
    assert_eq!((provider.exchanges(), secret(&home, &other, "accessToken").await.as_str()), (2, "access-2"));
}

#[tokio::test]
async fn an_ended_account_says_so_to_all_its_charms_without_asking_again_until_somebody_signs_in() {
    let provider = Provider::start();
    let home = provider.home().await;
    let charm = home.deploy(empty()).await;
    provider.gives(1);
    sign_in(&home, &charm).await.unwrap();
    provider.says("400 Bad Request", &json!({"error": "invalid_grant"}));
    for _ in 0..3 {
        let error = home.operator().refresh_auth(&charm).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Unmet { cause: Cause::SignInEnded, .. }), "{error:?}");
        assert!(error.to_string().contains("oauth login mine --account mine-1"), "{error}");
    }
    assert_eq!(provider.exchanges(), 2, "the sign-in, and one renewal");
    let accounts = home.operator().accounts().await.unwrap();
    assert_eq!(accounts[0].state, AccountState::Ended);
    provider.gives(3);
    sign_in(&home, &charm).await.unwrap();
    assert_eq!(secret(&home, &charm, "accessToken").await, "access-3");
    provider.gives(4);
    home.operator().refresh_auth(&charm).await.unwrap();
    assert_eq!(secret(&home, &charm, "accessToken").await, "access-4");
}

#[tokio::test]
async fn what_is_temporary_or_the_clients_fault_ends_no_account() {
    let provider = Provider::start();
    for (status, body, cause) in [
        ("503 Service Unavailable", json!({}), Cause::TokenServiceFails),
        ("429 Too Many Requests", json!({}), Cause::TokenServiceBusy),
        ("401 Unauthorized", json!({"error": "invalid_client"}), Cause::WrongClient),
        ("200 OK", json!({"nothing": 1}), Cause::TokenServiceFails),
    ] {
        let home = provider.home().await;
        let charm = home.deploy(empty()).await;
        provider.gives(1);
        sign_in(&home, &charm).await.unwrap();
        provider.says(status, &body);
        let error = home.operator().refresh_auth(&charm).await.unwrap_err();
        let found = match &error {
            RuntimeError::Unmet { cause, .. } | RuntimeError::Unavailable { cause, .. } => *cause,
            other => panic!("{other}"),
        };
        assert_eq!(found, cause, "{error}");
        assert_eq!(home.operator().accounts().await.unwrap()[0].state, AccountState::Failing, "{error}");
        provider.gives(2);
        // The operator has looked at it.
        let request = bg_charm_api::AccountRequest { account: "mine-1".into() };
        home.operator().renew(&request).await.unwrap();
        home.operator().refresh_auth(&charm).await.unwrap();
        assert_eq!(secret(&home, &charm, "accessToken").await, "access-2");
    }
}

#[tokio::test]
async fn a_charm_that_somebody_signed_out_gets_no_token_back() {
    let provider = Provider::start();
    let home = provider.home().await;
    let charm = home.deploy(empty()).await;
    provider.gives(1);
    sign_in(&home, &charm).await.unwrap();
    let signed_out =
        SetRequest { path: vec!["auth".into()], value: json!({"accessToken": "", "refreshToken": ""}), create: false };
    home.operator().set(&charm, &signed_out).await.unwrap();
    provider.gives(2);
    let error = home.operator().refresh_auth(&charm).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unmet { cause: Cause::SignInMissing, .. }), "{error:?}");
    home.operator().renew(&bg_charm_api::AccountRequest { account: "mine-1".into() }).await.unwrap();
    let error = home.operator().refresh_auth(&charm).await.unwrap_err();
    assert!(error.to_string().contains("oauth attach mine-1"), "{error}");
    // A charm with a token of another kind renews it as before.
    let own = SetRequest { value: json!({"token": "t", "refreshToken": "own"}), ..signed_out };
    home.operator().set(&charm, &own).await.unwrap();
    let error = home.operator().refresh_auth(&charm).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unmet { cause: Cause::NoRefreshUrl, .. }), "{error:?}");
}

#[tokio::test]
async fn only_the_operator_has_accounts() {
    let attempt = bg_abuse::Attempt::begin("accounts", "a stranger, and the owner of a charm's space, who sign in");
    let provider = Provider::start();
    let home = provider.home().await;
    for handle in [home.signed("eve"), home.runtime.as_actor(bg_charm_api::Actor::Anonymous)] {
        let request = bg_charm_api::AccountRequest { account: "mine-1".into() };
        assert!(matches!(handle.accounts().await, Err(RuntimeError::Authorization { .. })));
        assert!(matches!(handle.clients().await, Err(RuntimeError::Authorization { .. })));
        assert!(matches!(handle.logout(&request).await, Err(RuntimeError::Authorization { .. })));
        assert!(matches!(handle.renew(&request).await, Err(RuntimeError::Authorization { .. })));
    }
    attempt.ended("AuthorizationError");
}
