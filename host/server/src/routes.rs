//! Every endpoint of the server.

use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::handler::Handler;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json};
use bg_charm_api::AccessLevel::{Owner, Read, Write};
use bg_charm_api::wire::ErrorCode::{Authorization, NotFound, Quota, Unfit};
use bg_charm_api::wire::{self, ErrorCode, path};
use bg_charm_api::{
    AccountRequest, AccountSummary, Acl, AttachRequest, CharmShow, ClientRequest, ClientSummary, DeployRequest,
    Deployed, DetachRequest, DeviceAnswer, DeviceBegun, DeviceQuestion, LoggedOut, SetRequest, SignInAnswer,
    SignInBegun, SignInRequest, SignedIn, SpaceSummary, TokenRequest,
};
use bg_poller::{Counters, Registration};
use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::admin::Operator;
use crate::admission::{Right, RunsGuest, Unsigned};
use crate::answer::Failure;
use crate::app::App;
use crate::endpoint::{Access, Endpoint, Row};
use crate::form::RegistrationForm;
use crate::metrics::Measured;
use crate::options::{ACCOUNT_BODY, BODY, DEPLOY_BODY, REGISTRATION_BODY, REPORT_BODY, VALUE_BODY};
use crate::{accounts, admin, button, charms, counts, metrics, registrations, sign_in, spaces};

/// The script of the button, for pages of every origin; the path that its users write.
const UPDATER: &str = "/ct-updater.js";
/// For monitoring systems.
const METRICS: &str = "/metrics";

const REGISTRATION: &str = "/api/v1/registrations/{space}/{charm}";
const CHARMS: &str = "/api/v1/spaces/{space}/charms";
const ACL: &str = "/api/v1/spaces/{space}/acl";
const VALUE: &str = "/api/v1/charms/{space}/{charm}/value";

/// Every endpoint, so that tests can try all of them.
pub fn endpoints() -> Vec<Endpoint> {
    routes().into_iter().map(|row| row.endpoint).collect()
}

/// The OpenAPI document of the API.
pub fn openapi() -> serde_json::Value {
    crate::openapi::document(endpoints())
}

/// The routes. Each row has one method; rows of the same path are merged.
pub(crate) fn routes() -> Vec<Row> {
    [open(), of_registrations(), of_charms(), of_spaces(), of_accounts(), admin::routes()]
        .into_iter()
        .flatten()
        .collect()
}

/// `right` is what its requests need, as far as method and path tell. It is checked before the body is read.
fn signed<H, T>(method: Method, path: &'static str, right: Right, handler: H) -> Row
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    Row::new(method, path, Access::Signed, handler.layer(Extension(right)))
}

/// An endpoint that runs a charm's program.
fn runs_guest<H, T>(method: Method, path: &'static str, right: Right, handler: H) -> Row
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    Row::new(method, path, Access::Signed, handler.layer((Extension(right), Extension(RunsGuest))))
}

/// An endpoint without signatures: for everybody, or for the operator.
fn open() -> Vec<Row> {
    let button = post(button::register)
        .options(button::preflight)
        .fallback(button::wrong_method)
        .layer((map_response(button::allow_every_origin), Extension(Right::Register)));
    vec![
        Row::new(Method::GET, path::HEALTH, Access::Open, health)
            .does("getHealth", "Whether the server is up.")
            .answers::<wire::Health>(),
        Row::new(Method::GET, path::OPENAPI, Access::Open, openapi_document)
            .does("getOpenApi", "This API, as an OpenAPI document.")
            .answers::<crate::openapi::Document>(),
        Row::routed(Method::POST, path::BUTTON, Access::Pages, button)
            .does("pressButton", "Registers a charm, or enables it again: the request of the button on a charm's page.")
            .more(
                "The original's endpoint. Anybody may send this without a signature, unless the server was started \
                 with `--registration`; pages, from origins that the operator allows. An unsigned body is read as JSON \
                 with any Content-Type. Errors are `{\"error\": \"…\"}`, which its clients look for; only a \
                 request to a host name that is not the server's gets a problem.",
            )
            .reads::<RegistrationForm>(REGISTRATION_BODY)
            .answers::<button::Registered>()
            .fails([Quota]),
        Row::new(Method::GET, UPDATER, Access::Pages, button::script)
            .does("getUpdater", "The script of the button, for pages of every origin.")
            .answers_text(button::SCRIPT_TYPE),
        Row::new(Method::GET, "/ct-google-oauth.js", Access::Pages, sign_in::element),
        Row::new(Method::GET, "/oauth-done.js", Access::Open, sign_in::done_script),
        Row::new(Method::POST, "/api/integrations/{id}/login", Access::Operator, sign_in::login),
        Row::new(Method::GET, "/api/integrations/{id}/callback", Access::Open, sign_in::callback),
        Row::new(Method::GET, "/api/integrations/{id}/done", Access::Open, sign_in::done),
        Row::new(Method::POST, "/api/integrations/{id}/refresh", Access::Open, sign_in::refresh),
        Row::new(Method::POST, "/api/integrations/{id}/logout", Access::Operator, sign_in::logout),
        Row::new(Method::GET, METRICS, Access::Operator, metrics)
            .does("getMetrics", "Metrics of the service, in the OpenMetrics format.")
            .answers_text(metrics::MEDIA_TYPE),
    ]
}

fn of_registrations() -> Vec<Row> {
    vec![
        signed(Method::GET, path::REGISTRATIONS, Right::System(Read), registrations::list)
            .does("listRegistrations", "All registrations, with the revision from which to wait for changes.")
            .more(
                "With `after`, those that have changed since, and in `removed` the charms that have none any more; or \
                 all, without `removed`, if that revision is too old.",
            )
            .query::<u64>("after", "The revision that is known.")
            .query::<bool>("fixes", "Whether to say what to do about each charm that is not polled with success.")
            .answers::<wire::Registrations>()
            .fails([Authorization]),
        signed(Method::POST, path::REGISTRATIONS, Right::Register, registrations::register)
            .does("register", "Registers a charm, or enables it again.")
            .more("The charm must have an updater stream, such as `bgUpdater`.")
            .reads::<wire::Register>(REGISTRATION_BODY)
            .answers::<Registration>()
            .fails([Authorization, NotFound, Unfit, Quota]),
        signed(Method::GET, path::DAMAGED, Right::System(Read), registrations::damaged)
            .does(
                "listDamaged",
                "The registrations that the list omits because their rows in the database are \
                damaged.",
            )
            .answers::<wire::Damaged>()
            .fails([Authorization]),
        signed(Method::GET, path::CHANGES, Right::System(Read), registrations::changes)
            .does("waitForChanges", "Waits until the revision of the registrations differs from `after`.")
            .more("Returns after 20 s if nothing changes.")
            .query::<u64>("after", "The known revision; 0 if left out.")
            .answers::<wire::Revision>()
            .fails([Authorization]),
        signed(Method::PATCH, REGISTRATION, Right::System(Write), registrations::set_disabled)
            .does("setDisabled", "Disables a registration, or enables it again.")
            .reads::<wire::SetDisabled>(REGISTRATION_BODY)
            .answers::<Registration>()
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::POST, path::ENABLE, Right::System(Write), registrations::enable)
            .does(
                "enableMany",
                "Enables many registrations: of an integration, of a space, in a state, or matching a \
                text; or all.",
            )
            .more(
                "All conditions must hold. Without a state, these are all registrations that do not run as they \
                 should. A 400 reports an integration or a space that no registration has.",
            )
            .reads::<wire::EnableMany>(REGISTRATION_BODY)
            .answers::<wire::Enabled>()
            .fails([Authorization]),
        signed(Method::DELETE, REGISTRATION, Right::System(Write), registrations::remove)
            .does("removeRegistration", "Removes a registration. The charm itself stays.")
            .answers::<wire::Removed>()
            .fails([Authorization]),
        signed(
            Method::PUT,
            "/api/v1/registrations/{space}/{charm}/interval",
            Right::System(Write),
            registrations::set_interval,
        )
        .does("setInterval", "Sets a charm's own interval.")
        .reads::<wire::SetInterval>(REGISTRATION_BODY)
        .answers::<Registration>()
        .fails([Authorization, NotFound, Unfit]),
        signed(Method::POST, path::RUNS, Right::System(Write), registrations::record)
            .does("recordRuns", "Records polls that ended before an event was sent to the charm.")
            .reads::<wire::Runs>(BODY)
            .fails([Authorization]),
        signed(Method::POST, path::POLLERS, Right::OwnKey, registrations::report)
            .does("reportPoller", "Reports the state of a poll loop in another process, for the operator's pages.")
            .more(
                "Requires the operator's own key. A loop that has not reported for 10 s counts as gone. The response \
                 names charms to poll at once.",
            )
            .reads::<wire::PollerReport>(REPORT_BODY)
            .answers::<wire::PollerAnswer>()
            .fails([Authorization]),
        signed(Method::PUT, "/api/v1/integrations/{id}/list", Right::System(Write), registrations::prepare_list)
            .does(
                "prepareList",
                "Creates the list of an integration's charms in the system space, if it does not \
                exist.",
            )
            .fails([Authorization]),
    ]
}

fn of_charms() -> Vec<Row> {
    vec![
        signed(Method::GET, "/api/v1/charms/{space}/{charm}", Right::Charm(Read), charms::shape)
            .does("getShape", "The shape of a charm: its name, its cells and its streams.")
            .answers::<wire::Shape>()
            .fails([Authorization, NotFound]),
        signed(Method::DELETE, "/api/v1/charms/{space}/{charm}", Right::OwnerOrService, charms::delete)
            .does("deleteCharm", "Deletes a charm with its registration, cells, secrets, log and runs.")
            .more(
                "Requires an owner of the space, or the service. A handler that runs meanwhile ends, and its writes \
                are discarded.",
            )
            .fails([Authorization, NotFound]),
        signed(Method::GET, VALUE, Right::Charm(Read), charms::value)
            .does("getValue", "The value at a path of a charm. A secret is reported without its value.")
            .json_query::<Vec<String>>("path", "The name of a cell, then object keys or array indices.")
            .answers::<wire::Value>()
            .fails([Authorization, NotFound]),
        signed(Method::PUT, VALUE, Right::Charm(Write), charms::set)
            .does("setValue", "Sets a value in a cell of a charm.")
            .reads::<SetRequest>(VALUE_BODY)
            .fails([Authorization, NotFound, Unfit, Quota]),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/runs", Right::Observe, charms::runs)
            .does("listRuns", "The newest runs of a charm, newest first.")
            .query::<u64>("limit", "The limit: 20 by default, at most 1,000.")
            .answers::<wire::Runs>()
            .fails([Authorization, NotFound]),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/counters", Right::Observe, charms::counters)
            .does("getCounters", "Totals of a charm's runs since it was registered.")
            .answers::<Counters>()
            .fails([Authorization, NotFound]),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/logs", Right::Observe, charms::logs)
            .does("listLogs", "The lines that a charm has logged, oldest first.")
            .query::<u64>("after", "Only lines after this place in the log; the newest lines if left out.")
            .query::<u64>("limit", "The limit: 100 by default.")
            .query::<bool>("wait", "Whether to wait up to 20 s for lines if there are none.")
            .answers::<wire::Logs>()
            .fails([Authorization, NotFound]),
        runs_guest(Method::GET, "/api/v1/charms/{space}/{charm}/page", Right::Charm(Read), charms::page)
            .does("getPage", "A charm's page for its present cells, without secrets.")
            .answers::<wire::Page>()
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/show", Right::Charm(Read), charms::show)
            .does("showCharm", "A whole charm, with its secrets masked.")
            .answers::<CharmShow>()
            .fails([Authorization, NotFound]),
        runs_guest(Method::POST, "/api/v1/charms/{space}/{charm}/trigger", Right::Charm(Write), charms::trigger)
            .does("trigger", "Sends an event to a stream of a charm, and returns when its handler is done.")
            .more(
                "The outcome says how the handler ended: a handler that failed is a success of this request. If a \
                 response is lost, the request may be sent again with the same `key`, and with `again` set to `server` \
                 of the newest response from before the first request: the event is handled once. Responses, including \
                 errors, are kept for three minutes, and up to 1 MiB for each signer; if the first request may have \
                 been handled and its response is no longer kept, the answer is `unknown-event`.",
            )
            .reads::<wire::Trigger>(BODY)
            .answers::<wire::Triggered>()
            .fails([Authorization, NotFound, Unfit]),
        runs_guest(Method::POST, "/api/v1/charms/{space}/{charm}/refresh", Right::OwnerOrService, charms::refresh)
            .does(
                "refreshToken",
                "Renews the OAuth token in a charm's cell `auth`, for the owner of its space or the service, at most \
                 once a minute; an earlier call gets the last result.",
            )
            .query::<bool>(
                "poll",
                "Whether this is part of a poll of the charm; false by default. If not, a charm that waits for a \
                 change is polled soon.",
            )
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::POST, "/api/v1/charms/{space}/{charm}/secret", Right::Secret, charms::secret)
            .does("getSecret", "A secret of a charm, for the egress gate of a service with access to its space.")
            .reads::<wire::SecretPath>(BODY)
            .answers::<wire::SecretText>()
            .fails([Authorization, NotFound, Unfit]),
    ]
}

fn of_spaces() -> Vec<Row> {
    vec![
        signed(Method::GET, path::SPACES, Right::Any, spaces::list)
            .does(
                "listSpaces",
                "The spaces that the caller has created or owns, oldest first; for the service, all \
                spaces.",
            )
            .query::<String>("name", "Only the caller's space of this name.")
            .answers::<wire::SpaceList>(),
        signed(Method::POST, path::SPACES, Right::Any, spaces::new)
            .does("newSpace", "Creates a space with a random key, so that knowing its name does not mean owning it.")
            .more("Names belong to their callers: others may have spaces of the same name.")
            .reads::<wire::NewSpace>(BODY)
            .answers::<SpaceSummary>()
            .fails([Authorization, Quota]),
        signed(Method::GET, CHARMS, Right::Space(Read), spaces::charms)
            .does("listCharms", "The charms of a space, oldest first.")
            .answers::<wire::Charms>()
            .fails([Authorization, NotFound]),
        runs_guest(Method::POST, CHARMS, Right::Deploy, spaces::deploy)
            .does("deploy", "Deploys a charm into a space, or replaces the program of one.")
            .more(
                "If the space does not exist, it is created with the caller as its owner; on a server that others \
                 reach, only the operator creates spaces this way, unless new spaces are open, and others call \
                 newSpace first. The same charm once more keeps its cells.",
            )
            .reads::<DeployRequest>(DEPLOY_BODY)
            .answers::<Deployed>()
            .fails([Authorization, NotFound, Unfit, Quota]),
        signed(Method::GET, ACL, Right::Space(Read), spaces::acl)
            .does("getAcl", "The access list of a space.")
            .answers::<Acl>()
            .fails([Authorization, NotFound]),
        signed(Method::PUT, ACL, Right::Space(Owner), spaces::set_acl)
            .does("setAcl", "Sets the level of a subject in a space, and returns the new list.")
            .more("A list has 100 subjects at most.")
            .reads::<wire::SetAcl>(BODY)
            .answers::<Acl>()
            .fails([Authorization, NotFound, Unfit, Quota]),
    ]
}

/// What needs the operator's own key.
fn of_accounts() -> Vec<Row> {
    vec![
        signed(Method::GET, path::ACCOUNTS, Right::OwnKey, accounts::list)
            .does("listAccounts", "The accounts whose tokens charms are given, without the tokens.")
            .answers::<wire::Accounts>()
            .fails([Authorization]),
        signed(Method::GET, path::CLIENTS, Right::OwnKey, accounts::clients)
            .does("listClients", "The operator's OAuth clients at providers, without their secrets.")
            .answers::<wire::Clients>()
            .fails([Authorization]),
        signed(Method::PUT, path::CLIENTS, Right::OwnKey, accounts::set_client)
            .does("setClient", "Sets the OAuth client at a provider, in place of another one.")
            .reads::<ClientRequest>(ACCOUNT_BODY)
            .answers::<ClientSummary>()
            .fails([Authorization]),
        signed(Method::POST, path::SIGN_IN, Right::OwnKey, accounts::begin_sign_in)
            .does("beginSignIn", "Begins a sign-in in a browser, which comes back to a loopback address of the caller.")
            .more("It is forgotten after ten minutes, and when the server is started again.")
            .reads::<SignInRequest>(ACCOUNT_BODY)
            .answers::<SignInBegun>()
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::POST, path::SIGN_IN_ANSWER, Right::OwnKey, accounts::finish_sign_in)
            .does("finishSignIn", "Finishes a sign-in: keeps the account, and gives its token to the charm.")
            .more("An answer that belongs to no sign-in is refused, and ends none.")
            .reads::<SignInAnswer>(ACCOUNT_BODY)
            .answers::<SignedIn>()
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::POST, path::DEVICE, Right::OwnKey, accounts::begin_device)
            .does("beginDevice", "Begins a sign-in on another device.")
            .reads::<SignInRequest>(ACCOUNT_BODY)
            .answers::<DeviceBegun>()
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::POST, path::DEVICE_ANSWER, Right::OwnKey, accounts::poll_device)
            .does("pollDevice", "Whether the person has signed in on the other device.")
            .reads::<DeviceQuestion>(ACCOUNT_BODY)
            .answers::<DeviceAnswer>()
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::POST, path::TOKEN, Right::OwnKey, accounts::keep_token)
            .does("keepToken", "Keeps a token that somebody made at a provider, as an account that is not renewed.")
            .reads::<TokenRequest>(ACCOUNT_BODY)
            .answers::<SignedIn>()
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::POST, path::ATTACH, Right::OwnKey, accounts::attach)
            .does("attachAccount", "Gives the access token of an account to a charm, now and after each renewal.")
            .reads::<AttachRequest>(ACCOUNT_BODY)
            .answers::<AccountSummary>()
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::POST, path::DETACH, Right::OwnKey, accounts::detach)
            .does("detachAccount", "Takes its accounts from a charm, and empties the cells that had their tokens.")
            .reads::<DetachRequest>(ACCOUNT_BODY)
            .answers::<wire::Detached>()
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::POST, path::RENEW, Right::OwnKey, accounts::renew)
            .does("renewAccount", "Renews the access token of an account now.")
            .reads::<AccountRequest>(ACCOUNT_BODY)
            .answers::<AccountSummary>()
            .fails([Authorization, Unfit]),
        signed(Method::POST, path::LOGOUT, Right::OwnKey, accounts::logout)
            .does("logoutAccount", "Removes an account: revokes it at the provider, and empties its charms' cells.")
            .reads::<AccountRequest>(ACCOUNT_BODY)
            .answers::<LoggedOut>()
            .fails([Authorization, NotFound, Unfit]),
    ]
}

/// `GET /api/health`
async fn health(_: Unsigned) -> Response {
    let health = wire::Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    Json(health).into_response()
}

/// `GET /api/openapi.json`
async fn openapi_document(_: Unsigned) -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi().to_string());
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], DOCUMENT.as_str()).into_response()
}

/// `GET /metrics`
async fn metrics(State(app): State<Arc<App>>, operator: Operator) -> Result<Response, Failure> {
    let registrations = counts::by_state(&app.counts.get(&operator.handle).await?);
    let damaged = app.counts.damaged(&operator.handle).await?.len() as u64;
    let health = app.pollers.health(&app.activity);
    let (database, lost_spans) = (app.runtime.size(), app.activity.lost_spans());
    let measured = Measured { registrations, damaged, database, health, lost_spans };
    let encoded = app.activity.metrics().encode(&measured, app.pollers.own());
    let text = encoded.map_err(|error| Failure::of(ErrorCode::Unavailable, error))?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static(metrics::MEDIA_TYPE))], text).into_response())
}
