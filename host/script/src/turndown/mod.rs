//! HTML as Markdown, after the package `turndown` and with its results: its rules, in its order, over the tree that
//! browsers make of a text.

mod convert;
mod escape;
mod facts;
mod rules;
mod whitespace;

pub(crate) use convert::{Document, Filters, Hooks, Names, Options, Other};
pub(crate) use escape::markdown as escaped;
