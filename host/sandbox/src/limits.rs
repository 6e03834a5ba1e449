//! Every limit of the sandbox, with its reason.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The method, the host's name and the path of a request, each: as long as the egress gate accepts in a URL. Longer
/// ones are refused before they are stored.
pub const HTTP_TEXT_BYTES: usize = 8 * KIB;

bg_limits::limits! {
    /// The limits of a sandbox. `Limits::default()` uses the constants of this module; an operator may set each. All
    /// times are wall clock and include host calls, except `compile_cpu`, which is whole seconds of processor time.
    Limits

    /// `fetch-charms`: a few requests to a slow service, every interval (20 s or more).
    "fetch-charms-time" => fetch_charms_time [FETCH_CHARMS_TIME]: Time(Duration) = Duration::from_secs(5);
    /// `is-valid-charm`: a check of one charm, before each poll of it.
    "is-valid-charm-time" => is_valid_charm_time [IS_VALID_CHARM_TIME]: Time(Duration) = Duration::from_secs(1);
    /// `initialize`: requested by a person, who waits for it.
    "initialize-time" => initialize_time [INITIALIZE_TIME]: Time(Duration) = Duration::from_secs(30);
    /// A charm's `setup` and `handle`: an import of a mailbox may take many requests.
    "charm-time" => charm_time [CHARM_TIME]: Time(Duration) = Duration::from_mins(1);
    /// Preloading a charm's program for later polls. A program that takes longer is loaded by each poll.
    "preload-time" => preload_time [PRELOAD_TIME]: Time(Duration) = Duration::from_secs(1);
    /// The images of preloaded charm programs, summed. A small program takes 100 KiB, shared by all its charms. A
    /// program whose memory exceeds [`HOSTCALL_BYTES`] after loading is not kept.
    "image-bytes" => image_bytes [IMAGE_BYTES]: Bytes(usize) = 64 * MIB;
    /// The memories of an integration's call, summed. A guest made by componentize-py needs 20 MiB to say hello.
    "integration-memory" => integration_memory [INTEGRATION_MEMORY]: Bytes(usize) = 64 * MIB;
    /// The memories of a charm's call, summed: a JavaScript engine with a mailbox in it.
    "charm-memory" => charm_memory [CHARM_MEMORY]: Bytes(usize) = 128 * MIB;
    /// Memories of one call. A guest has one; one composed of several components has one per component.
    "memories" => memories [MEMORIES]: Count(usize) = 8;
    /// Tables of one call. A component has one for its functions, and a small one per adapter.
    "tables" => tables [TABLES]: Count(usize) = 10;
    /// Elements of the tables of one call, summed. A guest made by componentize-py needs 30,000; each costs 8 bytes.
    "table-elements" => table_elements [TABLE_ELEMENTS]: Count(usize) = 40_000;
    /// Core instances of one call. Guests made by componentize-py have one for each shared library, and adapters
    /// between them.
    "instances" => instances [INSTANCES]: Count(usize) = 200;
    /// Resources (handles of charms, streams, requests, pollables) that are open at the same time in one call: enough
    /// for 64 requests with about 13 each. The host keeps up to 70 KiB for one (a request with its fields and a chunk
    /// of its body).
    "resources" => resources [RESOURCES]: Count(usize) = 1_000;
    /// How much a guest may pass to one call of the host, or return, in bytes as the host stores it. Somewhat more than
    /// the 16 MiB that the contract promises for a JSON text; 100,000 charm references take 16 MiB, too.
    "hostcall-bytes" => hostcall_bytes [HOSTCALL_BYTES]: Bytes(usize) = 17 * MIB;
    /// Random bytes requested at a time. Keys and nonces take 64.
    "random-bytes" => random_bytes [RANDOM_BYTES]: Bytes(usize) = 64 * KIB;
    /// The fields (headers or trailers) of one HTTP message that a guest builds, including bookkeeping: the 64 fields
    /// and 16 KiB that the egress gate accepts, and 72 bytes for each.
    "http-field-bytes" => http_field_bytes [HTTP_FIELD_BYTES]: Bytes(usize) = 24 * KIB;
    /// Charm references returned by `fetch-charms`: as many as one service is built to poll.
    "charm-refs" => charm_refs [CHARM_REFS]: Count(usize) = 100_000;
    /// A value of a charm that an integration reads, as JSON; the contract allows up to 16 MiB. A guest that parses it
    /// takes up to fifty times as much memory, in a call for all its charms: a larger value of one charm would end that
    /// call for all of them.
    "json-bytes" => json_bytes [JSON_BYTES]: Bytes(usize) = 256 * KIB;
    /// Log lines of one call: enough to follow what it does, too few to hide what others do.
    "log-lines" => log_lines [LOG_LINES]: Count(usize) = 200;
    /// Bytes of these lines, as they are logged.
    "log-bytes" => log_bytes [LOG_BYTES]: Bytes(usize) = 64 * KIB;
    /// One cell's value: enough for the headers of a few thousand mails.
    "cell-bytes" => cell_bytes [CELL_BYTES]: Bytes(usize) = 8 * MIB;
    /// The values that one call of a charm writes, summed. They wait in the host's memory until it returns.
    "cells-bytes" => cells_bytes [CELLS_BYTES]: Bytes(usize) = 16 * MIB;
    /// Different cells that one call of a charm writes.
    "cells" => cells [CELLS]: Count(usize) = 1_000;
    /// A component's file. componentize-py makes 18 MB of a few lines.
    "component-bytes" => component_bytes [COMPONENT_BYTES]: Bytes(usize) = 32 * MIB;
    /// Compiling one component, wall clock. One made by componentize-js takes about 25 s on two processors; the limit
    /// allows several times that.
    "compile-time" => compile_time [COMPILE_TIME]: Time(Duration) = Duration::from_mins(3);
    /// Compiling one component, processor time.
    "compile-cpu" => compile_cpu [COMPILE_CPU]: Time(Duration) = Duration::from_mins(2);
    /// Compiling one component, memory. One made by componentize-py takes some 600 MiB.
    "compile-memory" => compile_memory [COMPILE_MEMORY]: Bytes(usize) = 2048 * MIB;
    /// The machine code of one component, which is three to five times the size of the component.
    "compiled-bytes" => compiled_bytes [COMPILED_BYTES]: Bytes(usize) = 256 * MIB;
    /// Concurrent calls of all components; others wait. Each takes a slot of the memory pool, which is address space.
    "calls" => calls [CALLS]: Count(usize) = 256;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_name_and_accepts_the_value_it_shows() {
        let mut limits = Limits::default();
        let debug = format!("{limits:#?}");
        let fields: Vec<String> = debug
            .lines()
            .filter_map(|line| line.strip_prefix("    ")?.split_once(':'))
            .map(|(field, _)| field.replace('_', "-"))
            .collect();
        let names: Vec<&str> = limits.by_name().iter().map(|limit| limit.name).collect();
        assert_eq!(names, fields);
        for mut limit in limits.by_name() {
            let shown = limit.value.to_string();
            limit.value.set(&shown).unwrap_or_else(|error| panic!("{}: {error}", limit.name));
        }
        assert_eq!(limits, Limits::default());
    }

    #[test]
    fn setting_a_limit_changes_only_that_limit() {
        let names: Vec<&str> = Limits::default().by_name().iter().map(|limit| limit.name).collect();
        for (place, name) in names.iter().enumerate() {
            let mut limits = Limits::default();
            limits.by_name()[place].value.set("7777").unwrap();
            let (changed, before) = (format!("{limits:#?}"), format!("{:#?}", Limits::default()));
            let differing: Vec<&str> =
                changed.lines().zip(before.lines()).filter(|(new, old)| new != old).map(|(new, _)| new).collect();
            let [line] = differing.as_slice() else { panic!("{name}: {differing:?}") };
            assert!(line.trim().starts_with(&name.replace('-', "_")) && line.contains("7777"), "{name}: {line}");
        }
    }

    #[test]
    fn values_have_units_and_bounds() {
        let set = |name: &str, text: &str| {
            let mut limits = Limits::default();
            let mut named = limits.by_name();
            let limit = named.iter_mut().find(|limit| limit.name == name).unwrap();
            limit.value.set(text).map(|()| limit.value.to_string()).map_err(|error| error.to_string())
        };
        for (name, text, shown) in [
            ("charm-time", "90", "90s"),
            ("charm-time", "2m", "2m"),
            ("charm-time", "1500ms", "1500ms"),
            ("charm-memory", "256MiB", "256MiB"),
            ("charm-memory", "1048577", "1048577"),
            ("charm-memory", "2GiB", "2GiB"),
            ("log-lines", "10", "10"),
        ] {
            assert_eq!(set(name, text).as_deref(), Ok(shown), "{name}={text}");
        }
        for (name, text, said) in [
            ("charm-time", "0", "10ms to 24h"),
            ("charm-time", "25h", "10ms to 24h"),
            ("charm-time", "99999999999999999999", "10ms to 24h"),
            ("charm-time", "5MiB", "is not a time"),
            ("charm-time", "", "is not a time"),
            ("charm-time", "-1", "is not a time"),
            ("charm-memory", "0", "1KiB to 4GiB"),
            ("charm-memory", "5GiB", "1KiB to 4GiB"),
            ("charm-memory", "64MB", "64MiB"),
            ("charm-memory", "64 MiB", "64MiB"),
            ("log-lines", "0", "1 to 10000000"),
            ("log-lines", "10KiB", "is not a whole number"),
            ("log-lines", "1.5", "is not a whole number"),
        ] {
            let error = set(name, text).unwrap_err();
            assert!(error.contains(said), "{name}={text}: {error}");
        }
    }
}
