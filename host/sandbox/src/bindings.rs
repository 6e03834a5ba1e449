//! What wasmtime makes of `wit/`: one module for each world. What both import is made once, with the first.

#![allow(unreachable_pub, reason = "generated code names what it is given as public")]

/// World `integration`.
pub(crate) mod integration {
    #[allow(missing_docs, clippy::pedantic, reason = "generated; documented in wit/")]
    mod generated {
        wasmtime::component::bindgen!({
            path: "../../wit",
            world: "integration",
            imports: {
                "commontools:background/config": trappable,
                "commontools:background/log": trappable,
                default: async | trappable,
            },
            exports: { default: async },
            require_store_data_send: true,
            with: {
                "commontools:background/charms.charm": crate::host::OpenCharm,
                "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
                "wasi:http": wasmtime_wasi_http::p2::bindings::http,
                "wasi:io": wasmtime_wasi::p2::bindings::io,
                "wasi:random": wasmtime_wasi::p2::bindings::random,
            },
        });
    }

    pub use generated::commontools::background::{charms, config, log, state, values};
    pub(crate) use generated::{IntegrationError, IntegrationPre};
}

/// World `charm`.
pub(crate) mod charm {
    #[allow(missing_docs, clippy::pedantic, reason = "generated; documented in wit/")]
    mod generated {
        wasmtime::component::bindgen!({
            path: "../../wit",
            world: "charm",
            imports: { default: async | trappable },
            exports: { default: async },
            require_store_data_send: true,
            with: {
                "commontools:background/config": crate::bindings::integration::config,
                "commontools:background/log": crate::bindings::integration::log,
                "commontools:background/values": crate::bindings::integration::values,
                "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
                "wasi:http": wasmtime_wasi_http::p2::bindings::http,
                "wasi:io": wasmtime_wasi::p2::bindings::io,
                "wasi:random": wasmtime_wasi::p2::bindings::random,
            },
        });
    }

    pub use generated::commontools::background::{cells, errors};
    pub(crate) use generated::{CharmPre, HandlerError, Shape};
}

/// World `preloaded-charm`.
pub(crate) mod preloaded {
    #[allow(missing_docs, clippy::pedantic, reason = "generated; documented in wit/")]
    mod generated {
        wasmtime::component::bindgen!({
            path: "../../wit",
            world: "preloaded-charm",
            imports: { default: trappable },
            exports: { default: async },
            require_store_data_send: true,
            with: {
                "commontools:background/cells": crate::bindings::charm::cells,
                "commontools:background/config": crate::bindings::integration::config,
                "commontools:background/errors": crate::bindings::charm::errors,
                "commontools:background/log": crate::bindings::integration::log,
                "commontools:background/values": crate::bindings::integration::values,
                "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
                "wasi:http": wasmtime_wasi_http::p2::bindings::http,
                "wasi:io": wasmtime_wasi::p2::bindings::io,
                "wasi:random": wasmtime_wasi::p2::bindings::random,
            },
        });
    }

    pub(crate) use generated::commontools::background::image;
    pub(crate) use generated::{HandlerError, PreloadedCharmPre};
}
