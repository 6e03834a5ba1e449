//! The names that charms may use without declaring them.

use std::collections::HashSet;

use oxc::ast::ast::{IdentifierReference, Program};
use oxc::ast_visit::Visit;
use oxc::semantic::{NodeId, Reference, Scoping};
use oxc::span::Span;

/// What the script guest's engine has under `globalThis`. A test compares the two.
pub const GLOBALS: &[&str] = &include!("globals.in");

/// The message about a name that is not declared: what to use in its place.
pub(super) fn missing(name: &str) -> String {
    let instead = match name {
        "window"
        | "document"
        | "navigator"
        | "location"
        | "alert"
        | "confirm"
        | "prompt"
        | "history"
        | "DOMParser"
        | "HTMLElement"
        | "customElements"
        | "requestAnimationFrame" => "charms run on the server, where there is no page",
        "localStorage" | "sessionStorage" | "indexedDB" | "caches" => "what a charm keeps, it keeps in cells",
        "process" | "Deno" | "Bun" | "require" | "module" | "exports" | "__dirname" | "__filename" => {
            "charms see nothing of the machine; configuration comes by inputs"
        }
        "Buffer" => "use Uint8Array, TextEncoder, atob and btoa",
        "XMLHttpRequest" | "WebSocket" | "EventSource" | "WebTransport" => "use fetch()",
        "FormData" | "FileReader" | "ReadableStream" | "WritableStream" | "TransformStream" => {
            "bodies are texts, URLSearchParams, bytes or Blobs"
        }
        "WebAssembly" | "SharedArrayBuffer" | "Atomics" | "Worker" | "SharedWorker" | "MessageChannel" => {
            "a charm is one thread of JavaScript"
        }
        _ => "it is neither declared in this file nor imported, and JavaScript has no such name",
    };
    format!("`{name}` is not available to charms: {instead}")
}

/// Where a program uses names that neither it nor the engine has.
pub(super) fn unknown(program: &Program<'_>, scoping: &Scoping) -> Vec<(Span, String)> {
    let mut unknown = HashSet::new();
    for (name, references) in scoping.root_unresolved_references() {
        if GLOBALS.contains(&name.as_str()) || *name == "arguments" {
            continue;
        }
        let references = references.iter().map(|reference| scoping.get_reference(*reference));
        unknown.extend(references.filter(|one| one.is_value()).map(Reference::node_id));
    }
    let mut named = Named { unknown, found: Vec::new() };
    named.visit_program(program);
    named.found
}

/// Finds where names stand.
struct Named {
    unknown: HashSet<NodeId>,
    found: Vec<(Span, String)>,
}

impl<'a> Visit<'a> for Named {
    fn visit_identifier_reference(&mut self, identifier: &IdentifierReference<'a>) {
        if self.unknown.contains(&identifier.node_id.get()) {
            self.found.push((identifier.span, identifier.name.to_string()));
        }
    }
}
