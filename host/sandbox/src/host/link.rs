//! Which functions the guests of each world may import.

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use super::random::BoundedRandom;
use super::{CallState, CharmWorld, IntegrationWorld, cells, requests};
use crate::bindings::{charm, integration, preloaded};

/// For world `integration`.
pub(crate) fn integration_linker(engine: &Engine) -> wasmtime::Result<Linker<CallState<IntegrationWorld>>> {
    type State = CallState<IntegrationWorld>;
    let mut linker = common_linker(engine)?;
    integration::charms::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    integration::state::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// For world `charm`.
pub(crate) fn charm_linker(engine: &Engine) -> wasmtime::Result<Linker<CallState<CharmWorld>>> {
    type State = CallState<CharmWorld>;
    let mut linker = common_linker(engine)?;
    charm::cells::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    charm::errors::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    preloaded::image::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    linker.allow_shadowing(true);
    cells::link_pieces(&mut linker)?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// What both have: our shared interfaces, all of WASI 0.2's `cli` world, and outgoing HTTP.
fn common_linker<W: Send + 'static>(engine: &Engine) -> wasmtime::Result<Linker<CallState<W>>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    // In place of WASI's own, which make, or keep, as many bytes as they are asked to.
    linker.allow_shadowing(true);
    BoundedRandom::add_to_linker(&mut linker)?;
    requests::add_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    integration::values::add_to_linker::<CallState<W>, HasSelf<CallState<W>>>(&mut linker, |state| state)?;
    integration::config::add_to_linker::<CallState<W>, HasSelf<CallState<W>>>(&mut linker, |state| state)?;
    integration::log::add_to_linker::<CallState<W>, HasSelf<CallState<W>>>(&mut linker, |state| state)?;
    Ok(linker)
}
