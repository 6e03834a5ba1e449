//! WASI's randomness, a limited number of bytes at a time.

use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::random::{insecure, random};
use wasmtime_wasi::random::WasiRandomCtx;

use super::CallState;
use crate::failure::LimitHit;

/// The randomness of one call.
pub(crate) struct BoundedRandom<'a> {
    inner: &'a mut WasiRandomCtx,
    limit: usize,
}

/// Shows wasmtime how to borrow it.
struct HasRandom;

impl HasData for HasRandom {
    type Data<'a> = BoundedRandom<'a>;
}

impl BoundedRandom<'_> {
    pub(crate) fn add_to_linker<W: Send + 'static>(linker: &mut Linker<CallState<W>>) -> wasmtime::Result<()> {
        random::add_to_linker::<CallState<W>, HasRandom>(linker, of)?;
        insecure::add_to_linker::<CallState<W>, HasRandom>(linker, of)
    }

    fn check(&self, bytes: u64) -> wasmtime::Result<()> {
        if usize::try_from(bytes).is_ok_and(|bytes| bytes <= self.limit) {
            return Ok(());
        }
        Err(LimitHit(format!("asked for {bytes} random bytes at once; the limit is {}", self.limit)).into())
    }
}

fn of<W: Send>(state: &mut CallState<W>) -> BoundedRandom<'_> {
    let limit = state.limits.random_bytes;
    BoundedRandom { inner: state.ctx().ctx.random(), limit }
}

impl random::Host for BoundedRandom<'_> {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.check(len)?;
        random::Host::get_random_bytes(self.inner, len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        random::Host::get_random_u64(self.inner)
    }
}

impl insecure::Host for BoundedRandom<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.check(len)?;
        insecure::Host::get_insecure_random_bytes(self.inner, len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        insecure::Host::get_insecure_random_u64(self.inner)
    }
}
