//! Every limit of the sandbox, with its reason.

use std::time::Duration;

use crate::named_limits::{LimitValue, NamedLimit};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The method, the host's name and the path of a request, each: what the egress gate takes of a URL. Larger ones are refused
/// before they are kept.
pub const HTTP_TEXT_BYTES: usize = 8 * KIB;

/// Makes, of each row, the constant, the field, the default and the name by which an operator sets it.
macro_rules! limits {
    ($($(#[$doc:meta])* $constant:ident, $field:ident, $name:literal: $kind:ident($type:ty) = $value:expr;)*) => {
        $($(#[$doc])* pub const $constant: $type = $value;)*

        /// The limits of a sandbox. `Limits::default()` holds the constants of this module; an operator may set each. All times are wall
        /// clock, host calls included, but for `compile_cpu`, which is whole seconds of a processor.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $constant),* }
            }
        }

        impl Limits {
            /// Every limit by its name.
            pub fn by_name(&mut self) -> Vec<NamedLimit<'_>> {
                vec![$(NamedLimit { name: $name, value: LimitValue::$kind(&mut self.$field) }),*]
            }
        }
    };
}

limits! {
    /// `fetch-charms`: a few requests to a slow service, every interval (20 s or more).
    FETCH_CHARMS_TIME, fetch_charms_time, "fetch-charms-time": Time(Duration) = Duration::from_secs(5);
    /// `is-valid-charm`: a look at one charm, before each poll of it.
    IS_VALID_CHARM_TIME, is_valid_charm_time, "is-valid-charm-time": Time(Duration) = Duration::from_secs(1);
    /// `initialize`: asked for by a person, who waits for it.
    INITIALIZE_TIME, initialize_time, "initialize-time": Time(Duration) = Duration::from_secs(30);
    /// A charm's `setup` and `handle`: an import of a mailbox may take many requests.
    CHARM_TIME, charm_time, "charm-time": Time(Duration) = Duration::from_mins(1);
    /// Loading a charm's program ahead, so that later polls need not: a program that takes longer is loaded by each poll.
    PRELOAD_TIME, preload_time, "preload-time": Time(Duration) = Duration::from_secs(1);
    /// What is kept of charms' programs that were loaded ahead, summed. A small program takes 100 KiB, which all charms of it share. One whose
    /// memory is more than [`HOSTCALL_BYTES`] once it is loaded is not kept.
    IMAGE_BYTES, image_bytes, "image-bytes": Bytes(usize) = 64 * MIB;
    /// The memories of an integration's call, summed. A guest made by componentize-py needs 20 MiB to say hello.
    INTEGRATION_MEMORY, integration_memory, "integration-memory": Bytes(usize) = 64 * MIB;
    /// The memories of a charm's call, summed: a JavaScript engine with a mailbox in it.
    CHARM_MEMORY, charm_memory, "charm-memory": Bytes(usize) = 128 * MIB;
    /// Memories of one call. Guests have one each; one composed of several components has one for each of these.
    MEMORIES, memories, "memories": Count(usize) = 8;
    /// Tables of one call. A component has one for its functions, and a small one for each adapter.
    TABLES, tables, "tables": Count(usize) = 10;
    /// Elements of the tables of one call, summed. A guest made by componentize-py needs 30,000; each costs 8 bytes.
    TABLE_ELEMENTS, table_elements, "table-elements": Count(usize) = 40_000;
    /// Core instances of one call. Guests made by componentize-py have one for each shared library, and adapters between them.
    INSTANCES, instances, "instances": Count(usize) = 200;
    /// Resources (handles of charms, streams, requests, pollables) that are open at once in one call: 64 requests with all that
    /// belongs to each, some 13. The host keeps up to 70 KiB for one (a request with its fields and a piece of its body).
    RESOURCES, resources, "resources": Count(usize) = 1_000;
    /// What a guest may hand over in one call of the host, or answer with, in bytes as the host keeps it. Somewhat more than the
    /// 16 MiB that the contract promises for a JSON text; 100,000 charm references take 16 MiB, too.
    HOSTCALL_BYTES, hostcall_bytes, "hostcall-bytes": Bytes(usize) = 17 * MIB;
    /// Random bytes asked for at once. Keys and nonces take 64.
    RANDOM_BYTES, random_bytes, "random-bytes": Bytes(usize) = 64 * KIB;
    /// The fields (headers or trailers) of one HTTP message that a guest makes, with what it takes to keep them: the 64 fields and
    /// 16 KiB that the egress gate lets through, and 72 bytes for each.
    HTTP_FIELD_BYTES, http_field_bytes, "http-field-bytes": Bytes(usize) = 24 * KIB;
    /// Charm references in an answer of `fetch-charms`: as many as one service is built to poll.
    CHARM_REFS, charm_refs, "charm-refs": Count(usize) = 100_000;
    /// A JSON text handed to a guest: the contract's 16 MiB.
    JSON_BYTES, json_bytes, "json-bytes": Bytes(usize) = 16 * MIB;
    /// Log lines of one call: enough to follow what it does, too little to hide what others do.
    LOG_LINES, log_lines, "log-lines": Count(usize) = 200;
    /// Bytes of these lines, as they are logged.
    LOG_BYTES, log_bytes, "log-bytes": Bytes(usize) = 64 * KIB;
    /// One cell's value. A mailbox of a few thousand mails' heads.
    CELL_BYTES, cell_bytes, "cell-bytes": Bytes(usize) = 8 * MIB;
    /// The values that one call of a charm writes, summed. They wait in the host's memory until it returns.
    CELLS_BYTES, cells_bytes, "cells-bytes": Bytes(usize) = 16 * MIB;
    /// Different cells that one call of a charm writes.
    CELLS, cells, "cells": Count(usize) = 1_000;
    /// A component's file. componentize-py makes 18 MB of a few lines.
    COMPONENT_BYTES, component_bytes, "component-bytes": Bytes(usize) = 32 * MIB;
    /// Compiling one component, wall clock. One made by componentize-js takes some 25 s of two processors; four times that.
    COMPILE_TIME, compile_time, "compile-time": Time(Duration) = Duration::from_mins(3);
    /// Compiling one component, processor time.
    COMPILE_CPU, compile_cpu, "compile-cpu": Time(Duration) = Duration::from_mins(2);
    /// Compiling one component, memory. One made by componentize-py takes some 600 MiB.
    COMPILE_MEMORY, compile_memory, "compile-memory": Bytes(usize) = 2048 * MIB;
    /// The machine code of one component. It has three to five times the size of the component.
    COMPILED_BYTES, compiled_bytes, "compiled-bytes": Bytes(usize) = 256 * MIB;
    /// Calls under way at once, of all components; others wait. Each takes a slot of the memory pool, which is address space.
    CALLS, calls, "calls": Count(usize) = 256;
}
