// Links between documents: what a cell becomes within another's value, and how they are followed.
//
// A link is a capability: only this file makes one, from a cell that the charm's program puts into another. It is
// stored as `{"/": {"link@1": {"id": "of:<name>", "path": [...]}}}`. No data can look like that where it is stored:
// there, a key of data that consists of slashes has one slash more. So what a link is depends on who made it and never
// on its shape, however data is put together.
const LINK = "link@1";
const MAX_HOPS = 24;

// Whether the text of a document has links in it, or keys that are stored otherwise than they are. `JSON.stringify` and
// the host put no space around a key, so that a text without these has neither; a string may contain them as well.
const hasLinks = (text) => text.includes('{"/":{');
const isAsStored = (text) => !hasLinks(text) && !text.includes('//":');

const hasOnlySlashes = (key) => typeof key === "string" && key[0] === "/" && /^\/+$/.test(key);

// How a key of data is spelled in a document, and back.
const storedKey = (key) => hasOnlySlashes(key) ? `/${key}` : key;
const dataKey = (key) => hasOnlySlashes(key) ? key.slice(1) : key;

function linkOf(stored) {
  const link = isObject(stored) && Object.hasOwn(stored, "/") ? stored["/"]?.[LINK] : undefined;
  if (typeof link?.id !== "string" || !Array.isArray(link.path)) return undefined;
  return { document: documentNamed(link.id.replace(/^of:/, "")), path: link.path.map(step) };
}

// The documents that a stored one links to.
function linksOf(document) {
  load(document);
  if (document.links?.version !== document.version) {
    const targets = document.text !== undefined && !hasLinks(document.text) ? [] : linkedIn(treeOf(document));
    document.links = { version: document.version, targets };
  }
  return document.links.targets;
}

function linkedIn(value) {
  const link = linkOf(value);
  if (link !== undefined) return [link.document];
  return isObject(value) ? Object.values(value).flatMap(linkedIn) : [];
}

const step = (key) => typeof key === "string" && /^(0|[1-9][0-9]{0,8})$/.test(key) ? Number(key) : key;

// Where what is written at a path goes. No link leads on from a place that is secret, or has secrets: it may stand
// there from before that was known, and what is written there would come to lie in the open.
function locateForWriting(document, path, whole, linked) {
  return locate(document, path, whole, linked, (place) => {
    if (secretsAt(place)?.length === 0) return;
    throw new TypeError(`${JSON.stringify(place.document.name)} has secrets, and there is a link in it from before: set it as a whole first`);
  });
}

// Where a path leads: links on the way are followed, and the one at its end if `whole`. `linked` says whether a link
// led there; `leave` is called with the place of each link that is followed.
function locate(document, path, whole, linked = false, leave = undefined) {
  let place = { document, path, linked };
  for (let hops = 0; ; hops++) {
    const next = hop(place, whole, leave);
    if (next === undefined) return place;
    if (hops === MAX_HOPS) throw new TypeError("links between cells go round in a circle");
    // What follows from a link's target follows from the link, too.
    noteRead(place.document, place.path);
    place = next;
  }
}

function hop({ document, path, linked }, whole, leave) {
  if (document.derived !== undefined) {
    const [cell, rest] = derivedPlace(document, path);
    if (cell === undefined) return undefined;
    const state = cell[STATE];
    return { document: state.document, path: [...state.path, ...rest], linked: linked || state.linked };
  }
  load(document);
  if (document.tree === undefined && (document.text === undefined || !hasLinks(document.text))) return undefined;
  let value = treeOf(document);
  for (let index = 0; index < path.length + (whole ? 1 : 0); index++) {
    const link = linkOf(value);
    if (link !== undefined) leave?.({ document, path: path.slice(0, index) });
    if (link !== undefined) return { document: link.document, path: [...link.path, ...path.slice(index)], linked: true };
    value = at(value, storedKey(path[index]));
    if (!isObject(value)) return undefined;
  }
  return undefined;
}

// A stored value as charms see it: their own copy, with what links lead to.
function resolved(value, hops = 0) {
  if (!isObject(value)) return value;
  const link = linkOf(value);
  if (link !== undefined) {
    if (hops === MAX_HOPS) throw new TypeError("links between cells go round in a circle");
    return read(link.document, link.path, true, hops + 1);
  }
  if (Array.isArray(value)) return value.map((item) => resolved(item, hops));
  const own = {};
  for (const [key, item] of Object.entries(value)) put(own, dataKey(key), resolved(item, hops));
  return own;
}

// Whether JSON is being made of a value for a place of which nobody knows that cells in the value end there: they carry
// no secrets then.
let withholding = false;

function withheldJson(value) {
  const outer = withholding;
  withholding = true;
  try {
    return JSON.stringify(value);
  } finally {
    withholding = outer;
  }
}

// The JSON text of a value that is to be stored at a path of a document; without an owner, cells in it are what they
// hold, without secrets.
function toText(value, owner, path = []) {
  // JSON has no `undefined`; a cell that is set to it holds null.
  if (owner !== undefined) return JSON.stringify(toStored(value, { owner, path }, undefined)) ?? "null";
  const text = withheldJson(value) ?? "null";
  return text.includes('/":') ? JSON.stringify(toStored(host.parse(text), { owner, path }, undefined)) : text;
}

// What JSON would make `{}` of.
const NOT_JSON = [Map, Set, WeakMap, WeakSet, Promise, RegExp, Error, ArrayBuffer];

// A value as it is stored: with links in place of its cells, and of the objects that have an ID, which become documents
// of their own. It is the `key` of `up.value`, which is the `up.key` of what is above that, and so on to the `top`,
// where it is stored.
function toStored(value, top, up, key) {
  if (typeof value === "function" || typeof value === "symbol") throw new TypeError(`a cell can't hold a ${typeof value}`);
  // JSON has no half of a character, which is what cutting a text may leave.
  if (typeof value === "string") return value.isWellFormed() ? value : value.toWellFormed();
  if (!isObject(value)) return value;
  if (isCell(value)) return linkTo(value, top, up, key);
  if (value instanceof Stream) return undefined;
  // What it makes of itself may come from anywhere.
  if (typeof value.toJSON === "function") return toStored(parsed(withheldJson(value)), top, up, key);
  const kind = NOT_JSON.find((kind) => value instanceof kind);
  if (kind !== undefined) throw new TypeError(`a cell can't hold a ${kind.name}: it holds JSON`);
  const here = { value, key, up };
  refuseCircle(here);
  if (Array.isArray(value)) return value.map((item, index) => toStored(item, top, here, index));
  const own = {};
  for (const [key, item] of Object.entries(value)) put(own, storedKey(key), toStored(item, top, here, key));
  const { owner } = top;
  if (value[ID] === undefined || owner === undefined || !splits(owner)) return own;
  const document = documentNamed(`${owner.name ?? owner.unnamed}#${String(value[ID])}`);
  load(document);
  replace(document, JSON.stringify(own));
  return link(document, []);
}

const parsed = (text) => text === undefined ? undefined : host.parse(text);

function refuseCircle({ value, up }) {
  for (let above = up; above !== undefined; above = above.up) {
    if (above.value === value) throw new TypeError("a cell can't hold a value that contains itself");
  }
}

// What is secret is sealed as a whole: nothing within it is put into documents that nobody knows to be secret.
function splits(owner) {
  return charm.isMade && (owner.name ?? owner.unnamed) !== undefined && !hasSecretsIn(owner);
}

const hasSecretsIn = (document) => secretPathsOf(document).length > 0 || (document.schema !== undefined && hasSecrets(document.schema));

function linkTo(cell, top, up, key) {
  const { document, path } = cell[STATE];
  const { owner } = top;
  if (owner === undefined || !splits(owner) || document === owner) return copied(cell, top, up, key);
  if (document.name === undefined) {
    if (document.derived !== undefined || !running) return copied(cell, top, up, key);
    if (hasSecretsIn(document)) {
      throw new TypeError("a cell that a handler makes can't hold secrets: make it in the pattern, where they are known to be secret");
    }
    giveName(document, `__cell/${crypto.randomUUID()}`);
    document.kept = true;
    // What was made without a name was not stored until now.
    load(document);
    document.text ??= JSON.stringify(document.tree) ?? "null";
    document.dirty = true;
  }
  return link(document, path);
}

// Cells that the pattern's body put into others, before it is known what is secret: `{ from, to }`.
const copies = [];

// What a cell holds, in its place. What is secret of it is absent, as it is behind a link, unless that place is secret,
// too.
function copied(cell, top, up, key) {
  const way = [key];
  for (let above = up; above !== undefined; above = above.up) way.unshift(above.key);
  return toStored(copiedTo({ document: top.owner, path: [...top.path, ...way.slice(1)] }, cell), top, up, key);
}

function copiedTo(to, cell) {
  const { document, path, linked } = cell[STATE];
  if (!charm.isMade) {
    copies.push({ from: { document, path }, to });
    return noting(undefined, () => valueOf(cell));
  }
  return read(document, path, linked || secretsAt(to) !== undefined);
}

const link = (document, path) => ({ "/": { [LINK]: { id: `of:${document.name}`, path: path.map(String) } } });
