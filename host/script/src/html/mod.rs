//! HTML texts as trees.
//!
//! What a mail has in it was written by a stranger, so that reading it may take no more than in proportion to its
//! length: see [`parse::TooMuch`].

mod parse;
mod serialize;
mod sink;
mod tree;

pub(crate) use parse::{TooMuch, parse};
pub(crate) use serialize::{inner, outer};
pub(crate) use tree::{Kind, NodeId, Tree};
