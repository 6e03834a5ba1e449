// For tests: what access an integration has to the machine it runs on.

import * as log from "commontools:background/log@0.1.1";

// Looks for files, environment and sockets, and logs what is found. Does nothing without an address.
export function probe(address) {
  if (!address) {
    return;
  }
  // The ways of Node, Deno and Bun to any of them, and those of browsers to storage and to connections other than fetch.
  const names = ["process", "require", "Deno", "Bun", "localStorage", "indexedDB", "WebSocket", "XMLHttpRequest"];
  const found = names.filter((name) => globalThis[name] !== undefined);
  log.write("info", `probe: ${found.length === 0 ? "nothing" : `FOUND ${found.join(", ")}`}`);
}
