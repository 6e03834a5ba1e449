// Secrets: which parts of documents are secret, and what is made from them.

// What the host knows to be secret, as paths that begin with the name of a document.
let told;
const toldSecrets = () => told ??= host.parse(host.secrets());

// Notes what the charm's schemas say is secret. It takes a walk through all of them, so it is done only where somebody asks.
function noteAllSecrets() {
  charm.secrets = [];
  for (const document of documents) secretsIn(document.schema, [], (path) => charm.secrets.push({ document, path }));
  for (const stream of charm.streams.values()) noteSecrets(stream[STATE].state, stream[STATE].stateSchema);
  for (const { from, to } of copies) {
    const rests = secretsAt(from) ?? [[]];
    rests.forEach((rest) => charm.secrets.push({ document: to.document, path: [...to.path, ...rest] }));
  }
}

// A handler's state may say more of a cell than the cell itself: what either calls secret is secret.
function noteSecrets(bound, schema) {
  if (!isObject(bound) || schema === undefined) return;
  if (isCell(bound)) {
    const { document, path } = bound[STATE];
    secretsIn(schema, [], (found) => charm.secrets.push({ document, path: [...path, ...found] }));
  } else {
    for (const [key, value] of Object.entries(bound)) noteSecrets(value, schemaAt(schema, key));
  }
}

// The paths of what is secret within a document.
function secretPathsOf(document) {
  if (charm.secrets === undefined) noteAllSecrets();
  const own = charm.secrets.filter((secret) => secret.document === document).map(({ path }) => path);
  const name = document.name ?? document.unnamed;
  const fromHost = toldSecrets().filter(([first]) => name !== undefined && matches(first, name)).map(([, ...path]) => path);
  return [...own, ...fromHost];
}

const matches = (key, shown) => key === "*" || String(key) === String(shown);

// Whether the secret at one path and what is at another have a part in common.
function overlap(secret, path) {
  return secret.slice(0, path.length).every((key, index) => matches(key, path[index]));
}

// What is secret below a path, as the rest of its way; nothing if what is at the path is secret itself.
function secretsAt({ document, path }) {
  if (document.derived !== undefined) return isTainted(document) ? undefined : [];
  const secrets = secretPathsOf(document).filter((secret) => overlap(secret, path));
  return secrets.some((secret) => secret.length <= path.length) ? undefined : secrets.map((secret) => secret.slice(path.length));
}

// Takes out of a value what is at a path of it.
function withhold(value, [first, ...rest]) {
  if (!isObject(value)) return;
  for (const key of Object.keys(value).filter((key) => matches(first, key))) {
    if (rest.length > 0) withhold(value[key], rest);
    else if (Array.isArray(value)) value[key] = null;
    else delete value[key];
  }
}

// Calls `found` with the path of each secret that a value with cells in it shows at `path`.
function secretsShown(value, path, found) {
  if (isCell(value)) {
    const shown = value[STATE];
    if (shown.document.derived !== undefined) {
      if (isTainted(shown.document)) found(path);
      return;
    }
    for (const secret of secretPathsOf(shown.document)) {
      if (overlap(secret, shown.path)) found([...path, ...secret.slice(Math.min(secret.length, shown.path.length))]);
    }
  } else if (isPlain(value)) {
    for (const [key, part] of Object.entries(value)) secretsShown(part, [...path, Array.isArray(value) ? "*" : key], found);
  }
}

// Whether a derived document was made from something secret. Nobody can tell what of it is in there, so all of it is secret then.
function isTainted(document, seen = new Set()) {
  if (seen.has(document)) return false;
  seen.add(document);
  const { inputs = [], reads = [] } = document.derived;
  const used = [...cellsIn(inputs).map((cell) => cell[STATE]), ...reads];
  return used.some(({ document: from, path }) =>
    from.derived !== undefined ? isTainted(from, seen) : secretPathsOf(from).some((secret) => overlap(secret, path))
  );
}
