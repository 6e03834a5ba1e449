//! The parts of an outgoing request that WASI's own implementation keeps without a size limit.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{HostOutgoingRequest, Method, OutgoingRequest};

use super::CallState;
use crate::limits::HTTP_TEXT_BYTES;

/// The name of the interface.
const TYPES: &str = "wasi:http/types@0.2.12";

type Answer = wasmtime::Result<(Result<(), ()>,)>;

/// Replaces WASI's own functions that set a request's method, host and path. To the guest, a text that is too long
/// looks like a malformed one.
pub(super) fn add_to_linker<W: Send + 'static>(linker: &mut Linker<CallState<W>>) -> wasmtime::Result<()> {
    type Store<'a, W> = StoreContextMut<'a, CallState<W>>;
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: Store<'_, W>, (request, method): (Resource<OutgoingRequest>, Method)| -> Answer {
            if matches!(&method, Method::Other(name) if name.len() > HTTP_TEXT_BYTES) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: Store<'_, W>, (request, authority): (Resource<OutgoingRequest>, Option<String>)| -> Answer {
            if is_large(authority.as_ref()) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_authority(request, authority)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: Store<'_, W>, (request, path): (Resource<OutgoingRequest>, Option<String>)| -> Answer {
            if is_large(path.as_ref()) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_path_with_query(request, path)?,))
        },
    )
}

fn is_large(text: Option<&String>) -> bool {
    text.is_some_and(|text| text.len() > HTTP_TEXT_BYTES)
}
