//! A charm's cells as its program sees them, the memory that it is loaded into, and the causes of its errors.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::CallState;
use crate::bindings::charm::cells::{self, CellError};
use crate::bindings::charm::errors;
use crate::bindings::preloaded::image;
use crate::cells::{CellError as Refusal, Cells};
use crate::failure::LimitHit;
use crate::image::Memory;

type Pieces = wasmtime::Result<(Arc<[u8]>,)>;

/// The name of the interface.
const IMAGE: &str = "commontools:background/image@0.1.1";

/// What only guests of world `charm` have.
pub(crate) struct CharmWorld {
    pub(crate) cells: Cells,
    pub(crate) memory: Memory,
}

impl image::Host for CallState<CharmWorld> {
    fn before(&mut self, memory: Vec<u8>) -> wasmtime::Result<()> {
        self.world.memory.before(memory);
        Ok(())
    }

    fn after(&mut self, memory: Vec<u8>) -> wasmtime::Result<()> {
        self.world.memory.after(&memory);
        Ok(())
    }

    fn pieces(&mut self) -> wasmtime::Result<Vec<u8>> {
        Err(wasmtime::Error::msg("link_pieces links another in its place"))
    }
}

/// Replaces the bindings' `pieces`, which would copy the image for each call.
pub(super) fn link_pieces(linker: &mut Linker<CallState<CharmWorld>>) -> wasmtime::Result<()> {
    let mut image = linker.instance(IMAGE)?;
    image.func_wrap("pieces", |store: StoreContextMut<'_, CallState<CharmWorld>>, (): ()| -> Pieces {
        let pieces = store.data().world.memory.pieces();
        let pieces = pieces.ok_or_else(|| LimitHit("there is no image in this call".into()))?;
        Ok((pieces,))
    })
}

impl errors::Host for CallState<CharmWorld> {
    async fn came_from_request(&mut self, number: u32) -> wasmtime::Result<()> {
        self.outbound.failures().name(number);
        Ok(())
    }

    async fn came_from_answer(&mut self, number: u32, status: u16) -> wasmtime::Result<()> {
        self.outbound.failures().name_answer(number, status);
        Ok(())
    }
}

impl cells::Host for CallState<CharmWorld> {
    async fn keys(&mut self) -> wasmtime::Result<Result<Vec<String>, CellError>> {
        Ok(self.world.cells.keys().await.map_err(for_guest))
    }

    async fn get(&mut self, name: String) -> wasmtime::Result<Result<Option<String>, CellError>> {
        Ok(self.world.cells.get(&name).await.map_err(for_guest))
    }

    async fn set(&mut self, name: String, value: String) -> wasmtime::Result<Result<(), CellError>> {
        Ok(self.world.cells.set(name, value, &self.limits).map_err(for_guest))
    }
}

/// Problems of the host's store are for the operator, not for the guest.
fn for_guest(refusal: Refusal) -> CellError {
    match refusal {
        Refusal::BadName(what) => CellError::BadName(what),
        Refusal::BadJson(what) => CellError::BadJson(what),
        Refusal::TooLarge(what) => CellError::TooLarge(what),
        Refusal::Unavailable(error) => {
            tracing::warn!(%error, "a charm could not read its cells");
            CellError::Unavailable("the store did not answer".into())
        }
    }
}
