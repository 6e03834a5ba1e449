// Secrets: which parts of documents are secret, and what is made from them.

// What the host knows to be secret, as paths that begin with the name of a document.
let told;
const toldSecrets = () => told ??= host.parse(host.secrets());

// Notes what the charm's schemas say is secret. It takes a walk through all of them, so it is done only where somebody
// asks.
function noteAllSecrets() {
  charm.secrets = [];
  for (const document of documents) secretsIn(document.schema, [], (path) => charm.secrets.push({ document, path }));
  for (const stream of charm.streams.values()) noteSecrets(stream[STATE].state, stream[STATE].stateSchema);
  for (const { from, to } of copies) {
    const rests = secretsAt(from) ?? [[]];
    rests.forEach((rest) => charm.secrets.push({ document: to.document, path: [...to.path, ...rest] }));
  }
  // Where the body has put what it computed is unknown.
  if (!bodyReadsSecrets()) return;
  const made = [...documents.filter((document) => document.unnamed !== undefined), ...fetches.map(({ document }) => document)];
  made.forEach((document) => charm.secrets.push({ document, path: [] }));
}

// What the pattern's body has read by itself.
const bodyReads = [];
const bodyReadsSecrets = () => anySecret(bodyReads);

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

// The paths of what is secret within a document: as the charm's schemas say, by its name, and as the host says.
function secretPathsOf(document) {
  if (charm.secrets === undefined) noteAllSecrets();
  const paths = charm.secrets.filter((secret) => secret.document === document).map(({ path }) => path);
  const name = document.name ?? document.unnamed;
  if (name === undefined) return paths;
  if (isSignIn(name)) paths.push([DEEP, NAMED]);
  return [...paths, ...toldSecrets().flatMap((secret) => restsOf(secret, [name]))];
}

// What of the secrets of a document is left below a path, each as the rest of its way; one of no keys is the whole.
function secretsBelow(document, path) {
  return secretPathsOf(document).flatMap((secret) => restsOf(secret, path));
}

// The same; nothing if what is at the path is secret itself.
function secretsAt({ document, path }) {
  if (document.derived !== undefined) return isTainted(document) ? undefined : [];
  const rests = secretsBelow(document, path);
  return rests.some((rest) => rest.length === 0) ? undefined : rests;
}

// What is stored at a place.
const rawAt = ({ document, path }) => path.reduce((value, key) => at(value, storedKey(key)), treeOf(document));

// Whether there is something in a value at a path of it, which has come to these places.
function holds(value, secret, places = [0]) {
  if (!isObject(value)) return false;
  return Object.entries(value).some(([key, part]) => {
    const next = new Set();
    for (const place of places) advance(secret, place, key, next);
    return isMet(secret, next) || holds(part, secret, next);
  });
}

// Takes out of a value what is at a path of it, which has come to these places.
function withhold(value, secret, places = [0]) {
  if (!isObject(value)) return;
  for (const key of Object.keys(value)) {
    const next = new Set();
    for (const place of places) advance(secret, place, key, next);
    if (!isMet(secret, next)) withhold(value[key], secret, next);
    else if (Array.isArray(value)) value[key] = null;
    else delete value[key];
  }
}

// What a value that is made from what is at a path may show of secrets, in the same form.
function shown(document, path) {
  const rests = secretsBelow(document, path);
  // Of what is secret by its name alone, a type that is spelled out says that it is not there, unless it is there all
  // the same.
  const isNamed = (rest) => rest[0] === DEEP && rest[1] === NAMED;
  if (!rests.some(isNamed) || mayHaveNamed(path.reduce((schema, key) => schemaAt(schema, key), document.schema))) return rests;
  return holds(rawAt({ document, path }), [DEEP, NAMED]) ? rests : rests.filter((rest) => !isNamed(rest));
}

// Whether the host knows everything secret that a value with cells in it shows when it is stored as `name`.
function isToldAll(name, value) {
  let all = true;
  secretsShown(value, [name], (path) => all &&= isTold(path));
  return all;
}

// Whether the host knows that what is at a path, which begins with the name of a document, is secret.
const isTold = (path) => toldSecrets().some((secret) => restsOf(secret, path).some((rest) => rest.length === 0));

// Calls `found` with the path of each secret that a value with cells in it shows at `path`.
function secretsShown(value, path, found) {
  if (isCell(value)) {
    const { document, path: at } = value[STATE];
    if (document.derived === undefined) shown(document, at).forEach((rest) => found([...path, ...rest]));
    else if (isTainted(document)) found(path);
  } else if (isPlain(value)) {
    for (const [key, part] of Object.entries(value)) secretsShown(part, [...path, Array.isArray(value) ? ANY : key], found);
  }
}

// Whether a derived document was made from something secret. Which part of it is unknown, so all of it is secret then.
function isTainted(document, seen = new Set()) {
  if (seen.has(document)) return false;
  seen.add(document);
  const { inputs = [], reads = [], value } = document.derived;
  return anySecret([...cellsIn([inputs, value]).map((cell) => cell[STATE]), ...reads], seen);
}

function anySecret(places, seen) {
  return places.some(({ document, path }) =>
    document.derived !== undefined ? isTainted(document, seen) : shown(document, path).length > 0
  );
}
