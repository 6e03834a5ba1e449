//! What must be survived. Each row has at least one test, which [records](crate::Attempt) what came of it.

/// Of whom an abuse comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// A component.
    Guest,
    /// A request to the network, or what answers it.
    Egress,
    /// What happens to the service: its disk, its clock, its clients, its charm runtime.
    Service,
}

/// One kind of abuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its short name, as tests give it.
    pub id: &'static str,
    /// Its list.
    pub list: List,
    /// What is tried.
    pub title: &'static str,
    /// What must come of it.
    pub must: &'static str,
}

const fn guest(id: &'static str, title: &'static str, must: &'static str) -> Row {
    Row { id, list: List::Guest, title, must }
}

const fn egress(id: &'static str, title: &'static str, must: &'static str) -> Row {
    Row { id, list: List::Egress, title, must }
}

const fn service(id: &'static str, title: &'static str, must: &'static str) -> Row {
    Row { id, list: List::Service, title, must }
}

/// Every row, in the order of the table.
pub const ROWS: &[Row] = &[
    guest("loop", "an endless loop: in an export, at start, in a destructor", "Timeout"),
    guest("sleep", "waiting for ever in the host: clock, pollable, body without end", "Timeout"),
    guest("trap", "stack overflow, unreachable, panic, trap in post-return", "Trapped"),
    guest("memory", "growing memory: one, several together, at the start", "OutOfMemory"),
    guest("objects", "tables, instances, resource handles, pollables without end", "LimitExceeded"),
    guest(
        "result",
        "huge answers: ten million references, 1 GiB of text, JSON nested 100,000 deep",
        "refused before the host allocates it",
    ),
    guest(
        "flood",
        "floods of random bytes, streams, stdout, stderr and log lines; control characters in them",
        "bounded, escaped, counted",
    ),
    guest(
        "excuses",
        "a failed request as the excuse for an error of the charm's own: caught, named in a message, never sent",
        "the charm is to blame",
    ),
    guest(
        "references",
        "references to other spaces, malformed, doubled, with path tricks",
        "left out one by one, the rest served",
    ),
    guest(
        "validity",
        "is-valid-charm that is always true, flips, or takes its whole time for each charm",
        "costs its own budget alone",
    ),
    guest("secrets", "reading a secret through get, parents, arrays, aliases, error texts, logs", "no byte of it"),
    guest("neighbours", "another integration's state, config, registrations", "not visible"),
    guest(
        "file",
        "a file that is no component of the world: missing, extra and wrong-typed items, module, truncated, text, precompiled",
        "one error that lists what is wrong",
    ),
    guest(
        "compile",
        "compile bombs: huge functions, deep types, 100,000 imports, 32 MiB of data",
        "the child process ends within its limits",
    ),
    guest("versions", "old and new versions of every WASI interface", "the same gate"),
    guest("failing", "a component that fails at every call", "paused with backoff"),
    guest(
        "beside",
        "a charm beside its neighbours in one space: whatever it loops, hoards, floods, throws or links",
        "its own outcome, nothing kept; the neighbours are polled meanwhile",
    ),
    guest(
        "terminal",
        "control characters, bidi and invisible ones in a charm's names, values, keys, logs, errors, file names",
        "escaped by every command, in the log and in JSON",
    ),
    guest(
        "imports",
        "imports of files outside a charm's folder: by .., by links, by renaming meanwhile",
        "refused, unread",
    ),
    egress(
        "bound-secrets",
        "a charm's token to another granted origin: in headers, URLs and bodies, in every usual form; by another registration",
        "denied, and named by its path",
    ),
    egress(
        "renewals",
        "renewals of a token without end, and by who may only write in a space",
        "one exchange, and refused",
    ),
    egress("addresses", "special-purpose addresses of IPv4 and IPv6, and the edges of their blocks", "Address"),
    egress("metadata", "cloud metadata addresses", "Address"),
    egress("embedded", "IPv6 that carries IPv4, in every standard form", "Address"),
    egress("spellings", "IPv4 in decimal, octal, hex, short and padded", "one parser decides what is dialled"),
    egress(
        "dns",
        "rebinding, mixed answers, CNAME to private, no answer, slow and huge answers",
        "every address is checked, once",
    ),
    egress("dns-channel", "names outside the grants", "never looked up"),
    egress("redirects", "redirects", "handed back, never followed"),
    egress(
        "urls",
        "userinfo, backslash, #@, ?@, %00, tab, newline, dots, labels, IDNA look-alikes, NFKC",
        "refused, or one meaning",
    ),
    egress("names", "suffix tricks, wildcard and apex", "Denied"),
    egress("ports", "ports absent, 0, 65536, padded, default; IPv6 zones", "refused, or one meaning"),
    egress(
        "paths",
        "path prefix tricks: dots and slashes encoded, doubled, of full width, overlong, with parameters",
        "Denied",
    ),
    egress("schemes", "other schemes, upgrade, CONNECT, h2c", "refused"),
    egress(
        "headers",
        "header injection, Host, lengths, hop-by-hop and Proxy headers; what sets method, path, host, scheme, client, in every spelling",
        "refused, and named",
    ),
    egress("authorization", "an Authorization of the guest's, foreign and doubled bg-charm headers", "refused"),
    egress("echo", "a server that echoes the token", "nothing of it in the log"),
    egress(
        "responses",
        "slow, endless, lying and oversized heads, bodies, trailers; gzip bombs",
        "bounded memory and time",
    ),
    egress("tls", "wrong name, expired, self-signed, plain HTTP on a TLS port", "Tls"),
    egress("proxies", "proxies in the environment", "ignored"),
    egress("own-ports", "the service's own ports", "Denied, unless that very origin is named"),
    egress("sharing", "connections and TLS tickets across integrations", "never shared"),
    egress("cancelled", "cancelled calls, by the thousand", "permits and sockets come back"),
    egress("connections", "more connections than the process can have", "wait, then refused"),
    service("kill", "kill -9 at any point", "nothing registered lost, nothing half-written"),
    service("disk", "a full and a read-only disk", "a clear error; the service goes on or ends in order"),
    service(
        "database",
        "a database of an older and of a newer version; two services on one",
        "migrated, or refused with what to do",
    ),
    service("clock", "a clock that steps back and forward", "the rhythm stays"),
    service(
        "runtime",
        "a charm runtime that is down, slow, restarts, answers garbage, 401, 403, 429, 5xx",
        "counts against no charm; polling goes on after it",
    ),
    service("crowd", "100,000 registrations at once", "accepted, polled, bounded memory"),
    service(
        "bodies",
        "100 MiB, bad JSON, wrong types, wrong Content-Type on every endpoint",
        "a 4xx that says what is wrong",
    ),
    service("browsers", "pages of another origin, rebinding host names", "refused"),
    service(
        "tenants",
        "keys of strangers in others' spaces, names that they know, more data than they may keep",
        "refused, with what raises it",
    ),
    service("deleted", "what a deleted charm leaves: in the file, its log, a handler that still runs", "nothing"),
    service(
        "strangers",
        "one client, or many keys, that take all places: connections, slow bodies, calls, nonces, transpilations, requests without end",
        "a 4xx or 503 that says when to try again; the operator and others are served meanwhile",
    ),
    service(
        "siege",
        "all attacks on a server at once, beside a service that polls and an operator who looks",
        "every poll is done; nothing that should be refused is",
    ),
    service("signatures", "unsigned, wrongly signed, replayed, expired requests", "refused"),
];

impl Row {
    /// The row of that name.
    pub fn find(id: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_there_once_and_rows_stand_in_the_order_of_their_lists() {
        for (place, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..place].iter().all(|before| before.id != row.id && before.list <= row.list), "{}", row.id);
            assert!(row.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", row.id);
        }
    }
}
