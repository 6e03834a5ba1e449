//! Whether a component fits a world of the contract, and if not, everything that is wrong with it.

use super::error::{CONTRACT, World, WorldError};
use super::inspect::{ComponentInfo, Item, ItemKind};

/// An interface of ours, with its functions. `the_tables_agree_with_the_contract` checks these against `wit/`.
type Interface = (&'static str, &'static [&'static str]);

const CONFIG: Interface = ("config", &["get"]);
const LOG: Interface = ("log", &["write"]);
const VALUES: Interface = ("values", &[]);
const CHARMS: Interface = (
    "charms",
    &[
        "[method]charm.ref",
        "[method]charm.keys",
        "[method]charm.has-stream",
        "[method]charm.get",
        "[method]charm.explain",
        "registered",
        "registered-with-polls",
        "open",
        "prepare-list",
    ],
);
const STATE: Interface = ("state", &["get", "set", "delete", "keys"]);
const CELLS: Interface = ("cells", &["keys", "get", "set"]);
const ERRORS: Interface = ("errors", &["came-from-request", "came-from-answer"]);
const IMAGE: Interface = ("image", &["before", "after", "pieces"]);

/// The linked packages of WASI 0.2, with their interfaces.
const WASI: [Interface; 7] = [
    (
        "cli",
        &[
            "environment",
            "exit",
            "stderr",
            "stdin",
            "stdout",
            "terminal-input",
            "terminal-output",
            "terminal-stderr",
            "terminal-stdin",
            "terminal-stdout",
        ],
    ),
    ("clocks", &["monotonic-clock", "wall-clock"]),
    ("filesystem", &["preopens", "types"]),
    ("http", &["outgoing-handler", "types"]),
    ("io", &["error", "poll", "streams"]),
    ("random", &["insecure", "insecure-seed", "random"]),
    (
        "sockets",
        &["instance-network", "ip-name-lookup", "network", "tcp", "tcp-create-socket", "udp", "udp-create-socket"],
    ),
];

impl World {
    fn exports(self) -> &'static [&'static str] {
        match self {
            Self::Integration => &["initialize", "fetch-charms", "is-valid-charm"],
            Self::Charm => &["setup", "page", "handle"],
        }
    }

    /// Optional exports.
    fn further_exports(self) -> &'static [&'static str] {
        match self {
            Self::Integration => &[],
            Self::Charm => &["preload", "restore"],
        }
    }

    fn interfaces(self) -> &'static [Interface] {
        match self {
            Self::Integration => &[CONFIG, LOG, VALUES, CHARMS, STATE],
            Self::Charm => &[CONFIG, LOG, VALUES, CELLS, ERRORS, IMAGE],
        }
    }

    /// Whether a component fits, by the names of its imports and exports. Types are checked when it is linked.
    pub fn check(self, info: &ComponentInfo) -> Result<(), WorldError> {
        let mut problems = Vec::new();
        for name in self.exports() {
            let export = info.exports.iter().find(|export| export.name == *name);
            match export.map(|export| export.kind) {
                Some(ItemKind::Function) => {}
                Some(_) => problems
                    .push(format!("`{name}` is exported, but is not a function: make it one, as wit/ describes it")),
                None => problems.push(format!("missing export: `{name}`: implement it, as wit/ describes it")),
            }
        }
        for import in &info.imports {
            self.check_import(import, &mut problems);
        }
        if problems.is_empty() {
            return Ok(());
        }
        // Never called, so harmless; tools add some (`wasi:cli/run`). But if something is missing, an
        // unknown name may be a misspelling of it.
        for export in &info.exports {
            let known = [self.exports(), self.further_exports()].concat();
            if export.kind != ItemKind::Type && !known.contains(&export.name.as_str()) {
                problems.push(format!(
                    "extra export: `{}` is never called; remove it, unless a tool added it on purpose",
                    export.name
                ));
            }
        }
        Err(WorldError { world: self, problems })
    }

    fn check_import(self, import: &Item, problems: &mut Vec<String>) {
        let name = &import.name;
        match import.kind {
            // Another import refers to it.
            ItemKind::Type => return,
            ItemKind::Function | ItemKind::Other => {
                problems.push(format!(
                    "unknown import: `{name}` is not offered by this host; remove it, or get it \
                    from an interface of wit/"
                ));
                return;
            }
            ItemKind::Interface => {}
        }
        let Some((package, interface, version)) = split(name) else {
            problems.push(format!("unknown import: `{name}` is not offered by this host; remove it"));
            return;
        };
        if let Some(package) = package.strip_prefix("wasi:") {
            check_wasi(name, package, interface, version, problems);
        } else if package == "commontools:background" {
            self.check_ours(import, interface, version, problems);
        } else {
            problems.push(format!(
                "unknown import: `{name}` is not offered by this host; remove it, or compose the \
                component with one that exports it"
            ));
        }
    }

    fn check_ours(self, import: &Item, interface: &str, version: &str, problems: &mut Vec<String>) {
        let name = &import.name;
        let Some((_, functions)) = self.interfaces().iter().find(|(known, _)| *known == interface) else {
            let known = self.interfaces().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            problems.push(format!(
                "unknown import: `{name}` is not offered to the world {self}, which has {known}; remove it"
            ));
            return;
        };
        if !is_compatible(version, "0.1.") {
            problems
                .push(format!("unknown import: `{name}`: this host speaks version {CONTRACT}; build against its wit/"));
            return;
        }
        for function in import.functions.iter().filter(|function| !functions.contains(&function.as_str())) {
            problems
                .push(format!("unknown import: `{name}` has no function `{function}`; build against this host's wit/"));
        }
    }
}

fn check_wasi(name: &str, package: &str, interface: &str, version: &str, problems: &mut Vec<String>) {
    if !is_compatible(version, "0.2.") {
        problems.push(format!("unknown import: `{name}`: this host offers WASI 0.2; build for it (wasm32-wasip2)"));
        return;
    }
    if !WASI.iter().any(|(known, interfaces)| *known == package && interfaces.contains(&interface)) {
        problems.push(format!(
            "unknown import: `{name}` is not offered by this host, which has WASI 0.2's cli world \
            and outgoing HTTP; remove it"
        ));
    }
}

/// Splits `wasi:io/poll@0.2.6` into its parts.
fn split(name: &str) -> Option<(&str, &str, &str)> {
    let (package, rest) = name.split_once('/')?;
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    Some((package, interface, version))
}

/// Whether a released version is compatible with `line`. Versions below 1.0 are if their minor numbers agree.
fn is_compatible(version: &str, line: &str) -> bool {
    version.strip_prefix(line).is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use wit_parser::{Resolve, WorldItem};

    use super::*;

    /// What `wit/` itself says, parsed by the tools' own parser.
    #[test]
    fn the_tables_agree_with_the_contract() {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
        for (name, world, more) in [
            ("integration", World::Integration, &[][..]),
            ("charm", World::Charm, &[]),
            ("preloaded-charm", World::Charm, World::Charm.further_exports()),
        ] {
            let described = &resolve.worlds[resolve.packages[package].worlds[name]];
            let exports: Vec<_> = described.exports.iter().map(|(key, _)| resolve.name_world_key(key)).collect();
            assert_eq!(exports, [more, world.exports()].concat());
            for item in described.imports.values() {
                let WorldItem::Interface { id, .. } = item else { continue };
                let interface = &resolve.interfaces[*id];
                let name = interface.name.as_deref().unwrap();
                let functions: Vec<_> = interface.functions.keys().map(String::as_str).collect();
                let package = &resolve.packages[interface.package.unwrap()].name;
                if package.namespace == "wasi" {
                    let (_, known) = WASI.iter().find(|(known, _)| *known == package.name).unwrap();
                    assert!(known.contains(&name), "{name}");
                } else {
                    let (_, known) = world.interfaces().iter().find(|(known, _)| *known == name).unwrap();
                    assert_eq!(functions, *known, "{name}");
                }
            }
        }
    }

    #[test]
    fn versions_are_compared_as_released_ones() {
        assert!(is_compatible("0.2.0", "0.2."));
        assert!(is_compatible("0.2.12", "0.2."));
        for version in ["", "0.2", "0.2.", "0.2.0-rc-2023-11-10", "0.20.1", "0.3.0", "1.0.2"] {
            assert!(!is_compatible(version, "0.2."), "{version}");
        }
    }
}
