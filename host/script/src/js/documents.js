// Documents: what cells are views of. A stored one is one JSON text; a derived one is computed from others.

const STATE = Symbol("state");
const ID = Symbol("ID");

function copy(value) {
  const text = JSON.stringify(value);
  return text === undefined ? undefined : host.parse(text);
}

// All documents of this call, in the order in which they were made, and those that have names.
const documents = [];
const named = new Map();
// How many were made without a name.
let unnamed = 0;
// Set while a handler runs: what it makes is not part of the charm, and is stored only if something stored links to it.
let running = false;
// Rises with every write, so that derived documents know when to look at what they were made from.
let clock = 0;

function makeDocument(initial, schema, name) {
  checkSchema(schema);
  const document = {
    name: undefined, schema, initial, kept: !running, loaded: false, text: undefined, tree: undefined, dirty: false, version: 0,
    derived: undefined, links: undefined, declared: undefined, type: undefined,
  };
  if (name !== undefined) giveName(document, name);
  else if (!running) document.unnamed = `__cell/${unnamed++}`;
  documents.push(document);
  return document;
}

function giveName(document, name) {
  document.name = name;
  named.set(name, document);
}

// The document of a name: one that the pattern made, or one that a handler made and that was stored.
function documentNamed(name) {
  return named.get(name) ?? makeStored(name);
}

function makeStored(name) {
  const document = makeDocument(undefined, undefined, name);
  document.kept = true;
  return document;
}

function load(document) {
  if (document.loaded) return;
  document.loaded = true;
  document.tree = undefined;
  document.text = document.name === undefined ? undefined : host.getCell(document.name);
  if (document.text === undefined) {
    const initial = withDefaults(document.initial, document.schema);
    if (initial !== undefined) document.text = toText(initial, document);
  }
}

// The document's value, which only this file may see: everybody else gets a copy.
function treeOf(document) {
  load(document);
  if (document.text !== undefined && document.tree === undefined) document.tree = host.parse(document.text);
  return document.tree;
}

const isObject = (value) => value !== null && typeof value === "object";
const at = (value, key) => isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;

function put(object, key, value) {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

// The value at a path. `linked` says that a link led to it: then what is secret is absent.
function read(document, path, linked = false, hops = 0) {
  const place = locate(document, path, true, linked);
  if (!place.linked) return readAt(place, hops);
  const secrets = secretsAt(place);
  if (secrets === undefined) return undefined;
  const value = readAt(place, hops);
  secrets.forEach((path) => withhold(value, path));
  return value;
}

function readAt({ document, path }, hops) {
  if (document.derived !== undefined) return derivedValue(document, path);
  noteRead(document, path);
  if (path.length === 0) {
    load(document);
    document.text ??= document.tree === undefined ? undefined : JSON.stringify(document.tree);
    const { text } = document;
    if (text === undefined) return undefined;
    return isAsStored(text) ? host.parse(text) : resolved(host.parse(text), hops);
  }
  let value = treeOf(document);
  for (const key of path) value = at(value, storedKey(key));
  return resolved(value, hops);
}

function write(document, path, value, linked = false) {
  const place = locateForWriting(document, path, false, linked);
  const target = place.document;
  if (target.derived !== undefined) throw new TypeError(DERIVED);
  if (place.linked && secretsAt(place)?.some((secret) => holds(rawAt(place), secret))) {
    throw new TypeError(`${JSON.stringify(target.name)} has secrets, which are not read through a link: write its parts, with cell.key(…).set(…)`);
  }
  const text = toText(value, target, place.path);
  if (value !== undefined) checkWritten(target, place.path, text);
  load(target);
  // What follows from it would be computed again, also this.
  if (writing !== undefined && value !== undefined && textAt(target, place.path) === text) return;
  writing?.push({ document: target, path: place.path });
  if (place.path.length === 0) return replace(target, text);
  changed(target);
  const keys = place.path.map(storedKey);
  const last = keys[keys.length - 1];
  const parent = reach(target, keys);
  if (value === undefined) removeAt(parent, last);
  else putAt(parent, last, host.parse(text));
  target.text = undefined;
}

// The text of what is stored at a path of a document that is loaded.
function textAt(document, path) {
  if (path.length === 0 && document.text !== undefined) return document.text;
  return JSON.stringify(rawAt({ document, path }));
}

// Replaces the whole of a document that is loaded.
function replace(document, text) {
  changed(document);
  document.text = text;
  document.tree = undefined;
}

// Before a loaded document is changed.
function changed(document) {
  keepForUndoing(document);
  document.dirty = true;
  document.version = ++clock;
}

const emptyFor = (key) => typeof key === "number" ? [] : {};

// What holds the last of the stored keys of `path`. What is missing on the way is made: an array where an index leads
// on, an object elsewhere.
function reach(document, path) {
  let value = treeOf(document);
  if (!isObject(value)) value = document.tree = emptyFor(path[0]);
  for (let index = 0; index + 1 < path.length; index++) {
    let next = at(value, path[index]);
    if (!isObject(next)) {
      next = emptyFor(path[index + 1]);
      putAt(value, path[index], next);
    }
    value = next;
  }
  return value;
}

// The array at `path`, made if nothing is there.
function arrayAt(document, path) {
  if (path.length === 0) return isObject(treeOf(document)) ? document.tree : (document.tree = []);
  const keys = path.map(storedKey);
  const [parent, last] = [reach(document, keys), keys[keys.length - 1]];
  if (!isObject(at(parent, last))) putAt(parent, last, []);
  return at(parent, last);
}

// An array has no gaps, as JSON has none, and what else would be put on it would not be stored.
function putAt(parent, key, value) {
  checkKey(parent, key);
  if (Array.isArray(parent)) while (parent.length < key) parent.push(null);
  put(parent, key, value);
}

function removeAt(parent, key) {
  checkKey(parent, key);
  if (!Array.isArray(parent)) delete parent[key];
  else if (key < parent.length) parent[key] = null;
}

function checkKey(parent, key) {
  if (!Array.isArray(parent) || typeof key === "number") return;
  throw new TypeError(`this cell holds an array, which has no ${JSON.stringify(key)}: its items have numbers`);
}
