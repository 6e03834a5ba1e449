//! What must be survived. Each row has at least one test, which [records](crate::Attempt) how it ended.

/// Where an abuse comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// A component.
    Guest,
    /// A request to the network, or its answer.
    Egress,
    /// The environment of the service: its disk, its clock, its clients, its charm runtime.
    Service,
}

/// One kind of abuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its short name, as used by tests.
    pub id: &'static str,
    /// Its list.
    pub list: List,
    /// What is attempted.
    pub title: &'static str,
    /// The required outcome.
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
    guest("sleep", "waiting forever in the host: clock, pollable, endless body", "Timeout"),
    guest("trap", "stack overflow, unreachable, panic, trap in post-return", "Trapped"),
    guest("memory", "growing memory: one, several together, at the start", "OutOfMemory"),
    guest("objects", "endless tables, instances, resource handles, pollables", "LimitExceeded"),
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
        "dropped one by one, the rest polled",
    ),
    guest(
        "validity",
        "is-valid-charm that is always true, flips, or takes its whole time for each charm",
        "uses up only its own budget",
    ),
    guest("secrets", "reading a secret through get, parents, arrays, aliases, error texts, logs", "no byte of it"),
    guest("neighbours", "another integration's state, config, registrations", "not visible"),
    guest(
        "file",
        "a file that is not a component of the world: missing, extra and wrong-typed items, module, truncated, text, precompiled",
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
        "a charm next to its neighbours in one space: whatever it loops, hoards, floods, throws or links",
        "its own outcome, nothing kept; the neighbours are polled meanwhile",
    ),
    guest(
        "terminal",
        "control characters, bidi and invisible ones in a charm's names, values, keys, logs, errors, file names",
        "escaped by every command, in the log and in JSON",
    ),
    guest(
        "imports",
        "imports of files outside a charm's root: by .., by links, by renaming meanwhile",
        "refused, unread",
    ),
    egress(
        "bound-secrets",
        "a charm's token to another granted origin: in headers, URLs and bodies, in every usual form; by another registration",
        "denied, and named by its path",
    ),
    egress(
        "renewals",
        "endless renewals of a token, also by a key that may only write in a space",
        "one exchange, and refused",
    ),
    egress("addresses", "special-purpose addresses of IPv4 and IPv6, and the edges of their blocks", "Address"),
    egress("metadata", "cloud metadata addresses", "Address"),
    egress("embedded", "IPv6 that embeds IPv4, in every standard form", "Address"),
    egress("spellings", "IPv4 in decimal, octal, hex, short and padded", "one parser decides what is dialled"),
    egress(
        "dns",
        "rebinding, mixed answers, CNAME to private, no answer, slow and huge answers",
        "every address is checked, once",
    ),
    egress("dns-channel", "names outside the grants", "never looked up"),
    egress("redirects", "redirects", "returned, never followed"),
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
    egress("echo", "a server that echoes the token", "not in the log"),
    egress(
        "responses",
        "slow, endless, lying and oversized heads, bodies, trailers; gzip bombs",
        "limited memory and time",
    ),
    egress("tls", "wrong name, expired, self-signed, plain HTTP on a TLS port", "Tls"),
    egress("proxies", "proxies in the environment", "ignored"),
    egress("own-ports", "the service's own ports", "Denied, unless that very origin is allowed"),
    egress("sharing", "connections and TLS tickets across integrations", "never shared"),
    egress("cancelled", "cancelled calls, by the thousand", "permits and sockets are released"),
    egress("connections", "more connections than the process can have", "wait, then refused"),
    service("kill", "kill -9 at any point", "nothing registered lost, nothing half-written"),
    service("disk", "a full and a read-only disk", "a clear error; the service continues or ends cleanly"),
    service(
        "database",
        "a database of an older and of a newer version; two services on one",
        "migrated, or refused with the fix",
    ),
    service("clock", "a clock that steps back and forward", "the intervals stay"),
    service(
        "runtime",
        "a charm runtime that is down, slow, restarts, answers garbage, 401, 403, 429, 5xx",
        "counts against no charm; polling continues afterwards",
    ),
    service("pace", "a charm that tries to have others polled more often", "an interval at least, as without it"),
    service("crowd", "100,000 registrations at once", "accepted, polled, limited memory"),
    service(
        "bodies",
        "100 MiB, bad JSON, wrong types, wrong Content-Type on every endpoint",
        "a 4xx that says what is wrong",
    ),
    service("browsers", "pages of another origin, rebinding host names", "refused"),
    service(
        "tenants",
        "strangers' keys in others' spaces, known names, more data than the quota",
        "refused, with the option that raises it",
    ),
    service("deleted", "what a deleted charm leaves: in the file, its log, a handler that still runs", "nothing"),
    service(
        "strangers",
        "one client, or many keys, that use up every limit: connections, slow bodies, calls, nonces, transpilations, endless requests",
        "a 4xx or 503 that says when to retry; the operator and others are served meanwhile",
    ),
    service(
        "siege",
        "all attacks on a server at once, next to a service that polls and an operator at the admin page",
        "every poll succeeds; everything that should be refused is",
    ),
    service(
        "login",
        "login CSRF: answers of another's sign-in, guessed and old states, stray tabs",
        "refused; no code sent; the sign-in goes on",
    ),
    service("mix-up", "another provider's answer, or another issuer in it", "refused before the code is sent"),
    service("codes", "a stolen code, a code used twice", "refused; the grant of a code used twice ends"),
    service("redirect-urls", "redirect URLs of another host, port or path; open redirects", "refused"),
    service(
        "answers",
        "endless, huge, broken and redirecting answers of a token endpoint",
        "an error without a secret, after 64 KiB",
    ),
    service("discovery", "discovery documents that lead inside, or speak for another issuer", "nothing dialled"),
    service(
        "accounts",
        "another person's sign-in over an account, a charm that asks for renewals with what it was not given",
        "refused; each has an account of its own",
    ),
    service(
        "rotation",
        "several processes that renew one account at once, and are killed as they do",
        "no token lost, none revoked",
    ),
    service("signatures", "unsigned, wrongly signed, replayed, expired requests", "refused"),
];

impl Row {
    /// The row with that ID.
    pub fn find(id: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_rows_are_in_the_order_of_their_lists() {
        for (place, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..place].iter().all(|before| before.id != row.id && before.list <= row.list), "{}", row.id);
            assert!(row.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", row.id);
        }
    }
}
