//! Every limit of the sandbox, with its reason.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// `fetch-charms`: a few requests to a slow service, every interval (20 s or more).
pub const FETCH_CHARMS_TIME: Duration = Duration::from_secs(5);
/// `is-valid-charm`: a look at one charm, before each poll of it.
pub const IS_VALID_CHARM_TIME: Duration = Duration::from_secs(1);
/// `initialize`: asked for by a person, who waits for it.
pub const INITIALIZE_TIME: Duration = Duration::from_secs(30);
/// A charm's `setup` and `handle`: an import of a mailbox may take many requests.
pub const CHARM_TIME: Duration = Duration::from_mins(1);
/// Loading a charm's program ahead, so that later polls need not: a program that takes longer is loaded by each poll.
pub const PRELOAD_TIME: Duration = Duration::from_secs(1);
/// What is kept of charms' programs that were loaded ahead, summed. A small program takes 100 KiB, which all charms of it share. One whose
/// memory is more than [`HOSTCALL_BYTES`] once it is loaded is not kept.
pub const IMAGE_BYTES: usize = 64 * MIB;
/// The memories of an integration's call, summed. A guest made by componentize-py needs 20 MiB to say hello.
pub const INTEGRATION_MEMORY: usize = 64 * MIB;
/// The memories of a charm's call, summed: a JavaScript engine with a mailbox in it.
pub const CHARM_MEMORY: usize = 128 * MIB;
/// Memories of one call. Guests have one each; one composed of several components has one for each of these.
pub const MEMORIES: usize = 8;
/// Tables of one call. A component has one for its functions, and a small one for each adapter.
pub const TABLES: usize = 10;
/// Elements of the tables of one call, summed. A guest made by componentize-py needs 30,000; each costs 8 bytes.
pub const TABLE_ELEMENTS: usize = 40_000;
/// Core instances of one call. Guests made by componentize-py have one for each shared library, and adapters between them.
pub const INSTANCES: usize = 200;
/// Resources (handles of charms, streams, requests, pollables) that are open at once in one call: 64 requests with all that
/// belongs to each, some 13. The host keeps up to 70 KiB for one (a request with its fields and a piece of its body).
pub const RESOURCES: usize = 1_000;
/// What a guest may hand over in one call of the host, or answer with, in bytes as the host keeps it. Somewhat more than the
/// 16 MiB that the contract promises for a JSON text; 100,000 charm references take 16 MiB, too.
pub const HOSTCALL_BYTES: usize = 17 * MIB;
/// Random bytes asked for at once. Keys and nonces take 64.
pub const RANDOM_BYTES: usize = 64 * KIB;
/// The fields (headers or trailers) of one HTTP message that a guest makes, with what it takes to keep them: the 64 fields and
/// 16 KiB that the egress gate lets through, and 72 bytes for each.
pub const HTTP_FIELD_BYTES: usize = 24 * KIB;
/// The method, the host's name and the path of a request, each: what the egress gate takes of a URL. Larger ones are refused
/// before they are kept.
pub const HTTP_TEXT_BYTES: usize = 8 * KIB;
/// Charm references in an answer of `fetch-charms`: as many as one service is built to poll.
pub const CHARM_REFS: usize = 100_000;
/// A JSON text handed to a guest: the contract's 16 MiB.
pub const JSON_BYTES: usize = 16 * MIB;
/// Log lines of one call: enough to follow what it does, too little to hide what others do.
pub const LOG_LINES: usize = 200;
/// Bytes of these lines, as they are logged.
pub const LOG_BYTES: usize = 64 * KIB;
/// One cell's value. A mailbox of a few thousand mails' heads.
pub const CELL_BYTES: usize = 8 * MIB;
/// The values that one call of a charm writes, summed. They wait in the host's memory until it returns.
pub const CELLS_BYTES: usize = 16 * MIB;
/// Different cells that one call of a charm writes.
pub const CELLS: usize = 1_000;
/// A component's file. componentize-py makes 18 MB of a few lines.
pub const COMPONENT_BYTES: usize = 32 * MIB;
/// Compiling one component, wall clock. One made by componentize-js takes some 25 s of two processors; four times that.
pub const COMPILE_TIME: Duration = Duration::from_mins(3);
/// Compiling one component, processor time.
pub const COMPILE_CPU: Duration = Duration::from_mins(2);
/// Compiling one component, memory. One made by componentize-py takes some 600 MiB.
pub const COMPILE_MEMORY: usize = 2048 * MIB;
/// The machine code of one component. It has three to five times the size of the component.
pub const COMPILED_BYTES: usize = 256 * MIB;
/// Calls under way at once, of all components; others wait. Each takes a slot of the memory pool, which is address space.
pub const CALLS: usize = 256;

/// The limits of a sandbox. `Limits::default()` holds the constants of this module; an operator may set each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See [`FETCH_CHARMS_TIME`]. All times are wall clock, host calls included.
    pub fetch_charms_time: Duration,
    /// See [`IS_VALID_CHARM_TIME`].
    pub is_valid_charm_time: Duration,
    /// See [`INITIALIZE_TIME`].
    pub initialize_time: Duration,
    /// See [`CHARM_TIME`].
    pub charm_time: Duration,
    /// See [`PRELOAD_TIME`].
    pub preload_time: Duration,
    /// See [`IMAGE_BYTES`].
    pub image_bytes: usize,
    /// See [`INTEGRATION_MEMORY`]; bytes.
    pub integration_memory: usize,
    /// See [`CHARM_MEMORY`]; bytes.
    pub charm_memory: usize,
    /// See [`MEMORIES`].
    pub memories: usize,
    /// See [`TABLES`].
    pub tables: usize,
    /// See [`TABLE_ELEMENTS`].
    pub table_elements: usize,
    /// See [`INSTANCES`].
    pub instances: usize,
    /// See [`RESOURCES`].
    pub resources: usize,
    /// See [`HOSTCALL_BYTES`].
    pub hostcall_bytes: usize,
    /// See [`RANDOM_BYTES`].
    pub random_bytes: usize,
    /// See [`HTTP_FIELD_BYTES`].
    pub http_field_bytes: usize,
    /// See [`CHARM_REFS`].
    pub charm_refs: usize,
    /// See [`JSON_BYTES`].
    pub json_bytes: usize,
    /// See [`LOG_LINES`].
    pub log_lines: usize,
    /// See [`LOG_BYTES`].
    pub log_bytes: usize,
    /// See [`CELL_BYTES`].
    pub cell_bytes: usize,
    /// See [`CELLS_BYTES`].
    pub cells_bytes: usize,
    /// See [`CELLS`].
    pub cells: usize,
    /// See [`COMPONENT_BYTES`].
    pub component_bytes: usize,
    /// See [`COMPILE_TIME`].
    pub compile_time: Duration,
    /// See [`COMPILE_CPU`]; whole seconds.
    pub compile_cpu: Duration,
    /// See [`COMPILE_MEMORY`]; bytes.
    pub compile_memory: usize,
    /// See [`COMPILED_BYTES`].
    pub compiled_bytes: usize,
    /// See [`CALLS`].
    pub calls: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fetch_charms_time: FETCH_CHARMS_TIME,
            is_valid_charm_time: IS_VALID_CHARM_TIME,
            initialize_time: INITIALIZE_TIME,
            charm_time: CHARM_TIME,
            preload_time: PRELOAD_TIME,
            image_bytes: IMAGE_BYTES,
            integration_memory: INTEGRATION_MEMORY,
            charm_memory: CHARM_MEMORY,
            memories: MEMORIES,
            tables: TABLES,
            table_elements: TABLE_ELEMENTS,
            instances: INSTANCES,
            resources: RESOURCES,
            hostcall_bytes: HOSTCALL_BYTES,
            random_bytes: RANDOM_BYTES,
            http_field_bytes: HTTP_FIELD_BYTES,
            charm_refs: CHARM_REFS,
            json_bytes: JSON_BYTES,
            log_lines: LOG_LINES,
            log_bytes: LOG_BYTES,
            cell_bytes: CELL_BYTES,
            cells_bytes: CELLS_BYTES,
            cells: CELLS,
            component_bytes: COMPONENT_BYTES,
            compile_time: COMPILE_TIME,
            compile_cpu: COMPILE_CPU,
            compile_memory: COMPILE_MEMORY,
            compiled_bytes: COMPILED_BYTES,
            calls: CALLS,
        }
    }
}
