//! What an import gives access to, if its name suggests more.

/// What an import of WASI does here, in a few words; `None` if its name says it. Tools import most of WASI, whether a
/// component uses it or not; none of it gives access to the machine.
pub(super) fn behind(import: &str) -> Option<&'static str> {
    let (package, rest) = import.strip_prefix("wasi:")?.split_once('/')?;
    let interface = rest.split('@').next()?;
    Some(match (package, interface) {
        ("cli", "environment") => "empty: no variables, no arguments",
        ("cli", "stdin") => "empty: no input",
        ("cli", "stdout" | "stderr") => "goes to the log",
        ("cli", "exit") => "ends the call",
        ("cli", _) => "empty: no terminal",
        ("filesystem", _) => "empty: no files",
        ("sockets", _) => "empty: no network, no names",
        ("http", _) => "through the gate: what it would get, see above",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_with_less_access_than_their_name_suggests_are_marked_at_every_version() {
        for (import, begins) in [
            ("wasi:cli/environment@0.2.6", Some("empty")),
            ("wasi:cli/stdin@0.2.0", Some("empty")),
            ("wasi:cli/stderr@0.2.12", Some("goes to the log")),
            ("wasi:cli/terminal-output@0.2.9", Some("empty")),
            ("wasi:filesystem/preopens@0.2.9", Some("empty")),
            ("wasi:sockets/tcp@0.2.6", Some("empty")),
            ("wasi:http/outgoing-handler@0.2.12", Some("through the gate")),
            ("wasi:clocks/wall-clock@0.2.12", None),
            ("wasi:io/poll@0.2.12", None),
            ("commontools:background/charms@0.1.0", None),
            ("charm-ref", None),
            ("wasi:cli", None),
        ] {
            let behind = behind(import);
            assert_eq!(behind.is_some(), begins.is_some(), "{import}");
            assert!(behind.unwrap_or_default().starts_with(begins.unwrap_or_default()), "{import}: {behind:?}");
        }
    }
}
