//! Runs a charm that is written in JavaScript: a guest of world `charm`, with a JavaScript engine (boa) inside.
//!
//! The host hands in the charm's module by `config`: `charm.module` is its text, `charm.file` its name for stacks, and
//! `charm.inputs`, a JSON object, what it is set up with; `charm.files`, a JSON object, has the modules of a charm's
//! further files by their names, `charm.secrets`, a JSON array of paths, says what is secret, `charm.changed`, one of
//! names, which cells others have written since the last call, `charm.memory` is how many bytes of memory the call may
//! take, and `charm.api-url` says where the charm runtime's API is. The module imports from `commontools`, which
//! [`engine`] makes of the files in `js/`; these in turn stand on the few functions of `natives`. What the engine
//! wants of the outside is the trait [`host::Host`], which `guest` fills with the imports of the world, and tests with
//! a few maps.

pub mod engine;
pub mod failure;
pub mod host;

mod awaits;
mod builtins;
mod jobs;
mod json;
mod libraries;
mod naming;
mod natives;
mod parts;
mod pressure;
mod primitives;
mod regexps;
mod source_map;
mod stringify;
mod strings;
mod tasks;
mod types;
mod waits;
mod zones;

#[cfg(target_family = "wasm")]
mod guest;

#[cfg(test)]
mod tests;
