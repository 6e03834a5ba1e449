//! What the engine does with texts in the time of their length, done in the time of what is asked for.
//!
//! The engine's slices hold on to what they were cut from, slice upon slice: a charm that cuts its input from the front
//! in a loop makes a chain as long as the loop, and the stack ends where the chain is dropped. Its searches step
//! through all that lies before the place where they start. Its regular expressions copy the whole text at each match.
//! So the functions here replace those of `String.prototype` that search and cut, and `regexps` does the same for
//! regular expressions.

mod known;
mod methods;
mod output;
pub(crate) mod search;
pub(crate) mod substitution;

pub(crate) use known::Strings;
pub(crate) use methods::install;
pub(crate) use output::Output;
