//! All there is.

use std::sync::Arc;

use axum::extract::State;
use axum::handler::Handler;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json};
use bg_charm_api::AccessLevel::{Owner, Read, Write};
use bg_charm_api::wire::ErrorCode::{Authorization, NotFound, Quota, Unfit};
use bg_charm_api::wire::{self, ErrorCode, path};
use bg_charm_api::{Acl, CharmShow, DeployRequest, Deployed, SetRequest, SpaceSummary};
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
use crate::options::{BODY, DEPLOY_BODY, REGISTRATION_BODY, REPORT_BODY, VALUE_BODY};
use crate::{admin, button, charms, counts, metrics, openapi, registrations, spaces};

/// The script of the button, for pages of every origin; the path that its users write.
const UPDATER: &str = "/ct-updater.js";
/// Where monitoring systems look.
const METRICS: &str = "/metrics";

const REGISTRATION: &str = "/api/v1/registrations/{space}/{charm}";
const CHARMS: &str = "/api/v1/spaces/{space}/charms";
const ACL: &str = "/api/v1/spaces/{space}/acl";
const VALUE: &str = "/api/v1/charms/{space}/{charm}/value";

/// Every endpoint, so that what must hold for all of them can be tried on all of them.
pub fn endpoints() -> Vec<Endpoint> {
    table().into_iter().map(|row| row.endpoint).collect()
}

/// Each row has one method; those of one path are put together.
pub(crate) fn table() -> Vec<Row> {
    [open(), of_registrations(), of_charms(), of_spaces(), admin::table()].into_iter().flatten().collect()
}

/// `right` is what its requests need, as far as their method and path say it: it is looked at before their body is.
fn signed<H, T>(method: Method, path: &'static str, right: Right, handler: H) -> Row
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    Row::new(method, path, Access::Signed, handler.layer(Extension(right)))
}

/// The same for one that runs a charm's program.
fn runs_guest<H, T>(method: Method, path: &'static str, right: Right, handler: H) -> Row
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    Row::new(method, path, Access::Signed, handler.layer((Extension(right), Extension(RunsGuest))))
}

/// For everybody, or for the operator; without a signature.
fn open() -> Vec<Row> {
    let button = post(button::register)
        .options(button::preflight)
        .fallback(button::wrong_method)
        .layer((map_response(button::allow_every_origin), Extension(Right::Register)));
    vec![
        Row::new(Method::GET, path::HEALTH, Access::Open, health)
            .does("getHealth", "Whether the server is up.")
            .answers::<wire::Health>(),
        Row::new(Method::GET, path::OPENAPI, Access::Open, openapi::answer)
            .does("getOpenApi", "What this API is, as an OpenAPI document.")
            .answers::<openapi::Document>(),
        Row::routed(Method::POST, path::BUTTON, Access::Pages, button)
            .does("pressButton", "Registers a charm, or enables it again: what the button on a charm's page sends.")
            .more(
                "The original's endpoint. Anybody may send this without a signature, unless the server was started with `--registration`; \
                 pages, from origins that the operator allows. An unsigned body is read as JSON whatever its Content-Type is. Errors are \
                 `{\"error\": \"…\"}`, which its clients look for; only a request to a host name that is not the server's gets a problem.",
            )
            .reads::<RegistrationForm>(REGISTRATION_BODY)
            .answers::<button::Registered>()
            .fails([Quota]),
        Row::new(Method::GET, UPDATER, Access::Pages, button::script)
            .does("getUpdater", "The script of the button, for pages of every origin.")
            .answers_text(button::SCRIPT_TYPE),
        Row::new(Method::GET, METRICS, Access::Operator, metrics)
            .does("getMetrics", "What the service does, for monitoring systems, in the format OpenMetrics.")
            .answers_text(metrics::MEDIA_TYPE),
    ]
}

fn of_registrations() -> Vec<Row> {
    vec![
        signed(Method::GET, path::REGISTRATIONS, Right::System(Read), registrations::list)
            .does("listRegistrations", "All registrations, with the revision from which to wait for changes.")
            .answers::<wire::Registrations>()
            .fails([Authorization]),
        signed(Method::POST, path::REGISTRATIONS, Right::Register, registrations::register)
            .does("register", "Registers a charm, or enables it again.")
            .more("The charm must have a stream that a poll can be sent to, such as `bgUpdater`.")
            .reads::<wire::Register>(REGISTRATION_BODY)
            .answers::<Registration>()
            .fails([Authorization, NotFound, Unfit, Quota]),
        signed(Method::GET, path::DAMAGED, Right::System(Read), registrations::damaged)
            .does("listDamaged", "The registrations that are left out of the list, since their rows in the database are damaged.")
            .answers::<wire::Damaged>()
            .fails([Authorization]),
        signed(Method::GET, path::CHANGES, Right::System(Read), registrations::changes)
            .does("waitForChanges", "The revision of the registrations, when it is another than `after`.")
            .more("If nothing changes, it is answered after 20 s all the same.")
            .query::<u64>("after", "The revision that is known; 0 if it is left out.")
            .answers::<wire::Revision>()
            .fails([Authorization]),
        signed(Method::PATCH, REGISTRATION, Right::System(Write), registrations::set_disabled)
            .does("setDisabled", "Disables a registration, or enables it again.")
            .reads::<wire::SetDisabled>(REGISTRATION_BODY)
            .answers::<Registration>()
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::POST, path::ENABLE, Right::System(Write), registrations::enable)
            .does("enableMany", "Enables all registrations of an integration, of a space, in a state, or that are found; or all.")
            .more(
                "All that is said must hold. Without a state, these are all that do not run as they should. A 400 says if \
                 no registration has that integration or space.",
            )
            .reads::<wire::EnableMany>(REGISTRATION_BODY)
            .answers::<wire::Enabled>()
            .fails([Authorization]),
        signed(Method::DELETE, REGISTRATION, Right::System(Write), registrations::remove)
            .does("removeRegistration", "Removes a registration. The charm itself stays.")
            .answers::<wire::Removed>()
            .fails([Authorization]),
        signed(Method::PUT, "/api/v1/registrations/{space}/{charm}/interval", Right::System(Write), registrations::set_interval)
            .does("setInterval", "Sets the interval at which a charm asks to be polled.")
            .reads::<wire::SetInterval>(REGISTRATION_BODY)
            .answers::<Registration>()
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::POST, path::RUNS, Right::System(Write), registrations::record)
            .does("recordRuns", "Notes polls that ended before anything was sent to the charm.")
            .reads::<wire::Runs>(BODY)
            .fails([Authorization]),
        signed(Method::POST, path::POLLERS, Right::OwnKey, registrations::report)
            .does("reportPoller", "Tells how a poll loop in another process stands, for the operator's pages.")
            .more(
                "Only the operator's own key may. A loop that is not heard of for 10 s is taken for gone. What the answer names is to be \
                 polled at once.",
            )
            .reads::<wire::PollerReport>(REPORT_BODY)
            .answers::<wire::PollerAnswer>()
            .fails([Authorization]),
        signed(Method::PUT, "/api/v1/integrations/{id}/list", Right::System(Write), registrations::prepare_list)
            .does("prepareList", "Makes the list of an integration's charms in the system space, if there is none.")
            .fails([Authorization]),
    ]
}

fn of_charms() -> Vec<Row> {
    vec![
        signed(Method::GET, "/api/v1/charms/{space}/{charm}", Right::Charm(Read), charms::shape)
            .does("getShape", "What a charm is made of: its name, its cells and its streams.")
            .answers::<wire::Shape>()
            .fails([Authorization, NotFound]),
        signed(Method::DELETE, "/api/v1/charms/{space}/{charm}", Right::OwnerOrService, charms::delete)
            .does("deleteCharm", "Deletes a charm with its registration, cells, secrets, log and runs.")
            .more("It takes an owner of the space, or the service. A handler that runs meanwhile ends, and keeps nothing.")
            .fails([Authorization, NotFound]),
        signed(Method::GET, VALUE, Right::Charm(Read), charms::value)
            .does("getValue", "What is at a path of a charm. A secret is answered as such, without its value.")
            .json_query::<Vec<String>>("path", "The name of a cell, then object keys or array indices.")
            .answers::<wire::Value>()
            .fails([Authorization, NotFound]),
        signed(Method::PUT, VALUE, Right::Charm(Write), charms::set)
            .does("setValue", "Sets a value in a cell of a charm.")
            .reads::<SetRequest>(VALUE_BODY)
            .fails([Authorization, NotFound, Unfit, Quota]),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/runs", Right::Observe, charms::runs)
            .does("listRuns", "The newest runs of a charm, newest first.")
            .query::<u64>("limit", "How many at most: 20 if it is left out, none if it is 0, never more than 1,000.")
            .answers::<wire::Runs>()
            .fails([Authorization, NotFound]),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/counters", Right::Observe, charms::counters)
            .does("getCounters", "What all runs of a charm came to since it was registered.")
            .answers::<Counters>()
            .fails([Authorization, NotFound]),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/logs", Right::Observe, charms::logs)
            .does("listLogs", "What a charm has logged, oldest lines first.")
            .query::<u64>("after", "Lines after this place in the log; the newest ones if it is left out.")
            .query::<u64>("limit", "How many at most: 100 if it is left out, none if it is 0.")
            .query::<bool>(
                "wait",
                "Whether to wait for lines, up to 20 s, if there are none; nothing waits where `limit` is 0.",
            )
            .answers::<wire::Logs>()
            .fails([Authorization, NotFound]),
        runs_guest(Method::GET, "/api/v1/charms/{space}/{charm}/page", Right::Charm(Read), charms::page)
            .does("getPage", "A charm's page as its cells are now, without secrets.")
            .answers::<wire::Page>()
            .fails([Authorization, NotFound, Unfit]),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/show", Right::Charm(Read), charms::show)
            .does("showCharm", "A whole charm, with a mask in place of each secret.")
            .answers::<CharmShow>()
            .fails([Authorization, NotFound]),
        runs_guest(Method::POST, "/api/v1/charms/{space}/{charm}/trigger", Right::Charm(Write), charms::trigger)
            .does("trigger", "Sends an event to a stream of a charm, and answers when its handler is done.")
            .more(
                "What the handler came to is in the outcome: one that failed is a success of this request. If an answer is lost, the request may \
                 be sent again, with the same `key`, and with `server` of an earlier answer as `again`: the event is handled once. Answers, \
                 also those that are errors, are kept for three minutes, as long as those of one signer take no more than 1 MiB; after that, \
                 the event may be handled again.",
            )
            .reads::<wire::Trigger>(BODY)
            .answers::<wire::Triggered>()
            .fails([Authorization, NotFound, Unfit]),
        runs_guest(Method::POST, "/api/v1/charms/{space}/{charm}/refresh", Right::OwnerOrService, charms::refresh)
            .does(
                "refreshToken",
                "Renews the OAuth token in a charm's cell `auth`, for the owner of its space or the service, at most once a minute; an earlier \
                 call gets the last result.",
            )
            .query::<bool>(
                "poll",
                "Whether this is part of a poll of the charm, false if it is left out. If it is not, a charm that waits for a change is polled soon.",
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
            .does("listSpaces", "The spaces that the caller has made or owns, oldest first; all of them, for the service.")
            .query::<String>("name", "Only the space to which the caller gave this name.")
            .answers::<wire::SpaceList>(),
        signed(Method::POST, path::SPACES, Right::Any, spaces::new)
            .does("newSpace", "Makes a space whose key is random, so that who knows its name does not own it.")
            .more("Its name is the caller's own: others may have spaces of the same name.")
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
                "A space that is not there is made, with the caller as its owner; on a server that others reach, by the operator alone, unless \
                 the operator opens new spaces: others make one by newSpace first. The same charm once more keeps its cells.",
            )
            .reads::<DeployRequest>(DEPLOY_BODY)
            .answers::<Deployed>()
            .fails([Authorization, NotFound, Unfit, Quota]),
        signed(Method::GET, ACL, Right::Space(Read), spaces::acl)
            .does("getAcl", "The access list of a space: who may do what there.")
            .answers::<Acl>()
            .fails([Authorization, NotFound]),
        signed(Method::PUT, ACL, Right::Space(Owner), spaces::set_acl)
            .does("setAcl", "Sets what one subject may do in a space, and answers the whole list.")
            .more("A list names 100 subjects at most.")
            .reads::<wire::SetAcl>(BODY)
            .answers::<Acl>()
            .fails([Authorization, NotFound, Unfit, Quota]),
    ]
}

/// `GET /api/health`
async fn health(_: Unsigned) -> Response {
    let health = wire::Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    Json(health).into_response()
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
