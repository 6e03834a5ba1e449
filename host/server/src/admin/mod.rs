//! The pages on which an operator sees and controls what is polled.
//!
//! Plain HTML that works without a script; the script keeps what is shown up to date. Every page is made for one request, from what the database and
//! this process know at that moment; nothing of it is kept, but for the [counts](Counts), for a moment.

mod access;
mod actions;
mod assets;
mod charm;
mod counts;
mod filter;
mod integrations;
mod link;
mod list;
mod live;
mod login;
mod page;
mod row;
mod spark;
mod times;

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

pub(crate) use access::Operator;
pub(crate) use counts::{Counts, by_state};

use crate::app::App;
use crate::router::{Access, Endpoint};

/// All pages, and what they are made of.
pub(crate) fn table() -> Vec<(Endpoint, MethodRouter<Arc<App>>)> {
    let (open, operator) = (Access::Open, Access::Operator);
    vec![
        row(Method::GET, "/", open, list::from_root),
        row(Method::GET, "/admin", operator, list::page),
        row(Method::GET, "/admin/events", operator, list::events),
        row(Method::GET, "/admin/charms/{space}/{charm}", operator, charm::page),
        row(Method::GET, "/admin/charms/{space}/{charm}/events", operator, charm::events),
        row(Method::POST, "/admin/charms/{space}/{charm}/run", operator, actions::run),
        row(Method::POST, "/admin/charms/{space}/{charm}/enable", operator, actions::enable),
        row(Method::POST, "/admin/charms/{space}/{charm}/disable", operator, actions::disable),
        row(Method::GET, "/admin/charms/{space}/{charm}/remove", operator, actions::ask_to_remove),
        row(Method::POST, "/admin/charms/{space}/{charm}/remove", operator, actions::remove),
        row(Method::GET, "/admin/integrations", operator, integrations::all),
        row(Method::GET, "/admin/integrations/events", operator, integrations::all_events),
        row(Method::GET, "/admin/integrations/{id}", operator, integrations::page),
        row(Method::GET, "/admin/integrations/{id}/events", operator, integrations::events),
        row(Method::GET, "/admin/handlers", operator, integrations::handlers),
        row(Method::GET, "/admin/handlers/events", operator, integrations::handler_events),
        row(Method::GET, "/admin/login", open, login::page),
        row(Method::POST, "/admin/login", open, login::begin),
        row(Method::POST, "/admin/logout", open, login::end),
        row(Method::GET, "/admin/style.css", open, assets::style),
        row(Method::GET, "/admin/admin.js", open, assets::script),
        row(Method::GET, "/admin/login.js", open, assets::login_script),
        row(Method::GET, "/admin/icon.svg", open, assets::icon),
    ]
}

fn row<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> (Endpoint, MethodRouter<Arc<App>>)
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).expect("the methods above are those of HTTP");
    (Endpoint { method, path, access, json: false }, on(filter, handler))
}
