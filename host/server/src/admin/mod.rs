//! The admin pages, on which an operator sees and controls what is polled.
//!
//! Plain HTML that works without a script; the script updates pages. Every page is rendered for one request, from the
//! present state of the database and this process. Only the [counts](crate::counts::Counts) are cached, for a moment.

mod access;
mod accounts;
mod actions;
mod assets;
mod charm;
mod counts;
mod enable;
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

use http::Method;

pub(crate) use access::{Operator, is_for_a_person};
pub(crate) use page::not_found;

use crate::endpoint::{Access, Row};

/// All pages and their assets.
pub(crate) fn routes() -> Vec<Row> {
    let (open, operator) = (Access::Open, Access::Operator);
    vec![
        Row::new(Method::GET, "/", open, list::redirect),
        Row::new(Method::GET, "/admin/", open, list::redirect),
        Row::new(Method::GET, "/admin", operator, list::page),
        Row::new(Method::GET, "/admin/events", operator, list::events),
        Row::new(Method::GET, "/admin/enable", operator, enable::ask),
        Row::new(Method::POST, "/admin/enable", operator, enable::enable),
        Row::new(Method::GET, "/admin/charms/{space}/{charm}", operator, charm::page),
        Row::new(Method::GET, "/admin/charms/{space}/{charm}/events", operator, charm::events),
        Row::new(Method::POST, "/admin/charms/{space}/{charm}/run", operator, actions::run),
        Row::new(Method::POST, "/admin/charms/{space}/{charm}/enable", operator, actions::enable),
        Row::new(Method::POST, "/admin/charms/{space}/{charm}/disable", operator, actions::disable),
        Row::new(Method::GET, "/admin/charms/{space}/{charm}/remove", operator, actions::ask_to_remove),
        Row::new(Method::POST, "/admin/charms/{space}/{charm}/remove", operator, actions::remove),
        Row::new(Method::GET, "/admin/charms/{space}/{charm}/delete", operator, actions::ask_to_delete),
        Row::new(Method::POST, "/admin/charms/{space}/{charm}/delete", operator, actions::delete),
        Row::new(Method::GET, "/admin/integrations", operator, integrations::all),
        Row::new(Method::GET, "/admin/all-integrations/events", operator, integrations::all_events),
        Row::new(Method::GET, "/admin/integrations/{id}", operator, integrations::page),
        Row::new(Method::GET, "/admin/integrations/{id}/events", operator, integrations::events),
        Row::new(Method::GET, "/admin/accounts", operator, accounts::page),
        Row::new(Method::POST, "/admin/accounts/sign-in", operator, accounts::sign_in),
        Row::new(Method::GET, "/admin/handlers", operator, integrations::handlers),
        Row::new(Method::GET, "/admin/handlers/events", operator, integrations::handler_events),
        Row::new(Method::GET, "/admin/login", open, login::page),
        Row::new(Method::POST, "/admin/login", open, login::begin),
        Row::new(Method::POST, "/admin/logout", open, login::end),
        Row::new(Method::GET, "/admin/style.css", open, assets::style),
        Row::new(Method::GET, "/admin/admin.js", open, assets::script),
        Row::new(Method::GET, "/admin/login.js", open, assets::login_script),
        Row::new(Method::GET, "/admin/icon.svg", open, assets::icon),
    ]
}
