//! Accounts at other services: who signed in, which charms have it, what is wrong, and signing in.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bg_charm_api::{AccountState, AccountSummary, Accounts as _, ClientSummary, ForCharm, SignInRequest};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode, Uri};

use super::access::{Change, Form, Operator};
use super::{link, page, times};
use crate::app::App;
use crate::sign_in;

#[derive(Template)]
#[template(path = "accounts.html")]
struct Page {
    accounts: Vec<Row>,
    clients: Vec<ClientSummary>,
    provider: String,
    charm: String,
    cell: String,
    scopes: String,
}

struct Row {
    of: AccountSummary,
    state: &'static str,
    class: &'static str,
    renewed: String,
    charms: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "account_sign_in.html")]
struct Continue {
    provider: String,
    url: String,
}

/// `GET /admin/accounts?provider=…&charm=…&cell=…&scopes=…`
pub(super) async fn page(uri: Uri, operator: Operator) -> Response {
    let (accounts, clients) = match (operator.handle.accounts().await, operator.handle.clients().await) {
        (Ok(accounts), Ok(clients)) => (accounts, clients),
        (Err(error), _) | (_, Err(error)) => return page::failed(&error),
    };
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let field = |name: &str| form.get(name).unwrap_or_default().to_owned();
    let shown = Page {
        accounts: accounts.into_iter().map(row).collect(),
        clients,
        provider: field("provider"),
        charm: field("charm"),
        cell: field("cell"),
        scopes: field("scopes"),
    };
    page::html(StatusCode::OK, &shown)
}

fn row(of: AccountSummary) -> Row {
    let (state, class) = match of.state {
        AccountState::Active => ("active", "ok"),
        AccountState::Failing => ("failing", "failing"),
        AccountState::Ended => ("sign in again", "failing"),
    };
    let charms = of.charms.iter().map(|one| (link::charm(&one.charm), one.charm.to_string())).collect();
    Row { renewed: times::past(of.renewed_at), state, class, charms, of }
}

/// `POST /admin/accounts/sign-in`: begins one, and shows where it goes on. A redirect would be stopped by the policy of
/// the form's page.
pub(super) async fn sign_in(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap, change: Change) -> Response {
    let field = |name: &str| change.form.get(name).map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned);
    let Some(provider) = field("provider") else {
        return page::problem(StatusCode::BAD_REQUEST, "No provider", "Say at which provider to sign in.");
    };
    let request = SignInRequest {
        provider: provider.clone(),
        scopes: field("scopes").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        redirect: None,
        account: field("account"),
        attach: field("charm").map(|charm| ForCharm { charm, cell: field("cell") }),
    };
    match sign_in::begin_at(&app, &change.handle, (&uri, &headers), &request).await {
        Ok((url, cookie)) => {
            ([(SET_COOKIE, cookie)], page::html(StatusCode::OK, &Continue { provider, url })).into_response()
        }
        Err(error) => page::failed(&error),
    }
}
