// Cells: views of documents. A stored document is one JSON text; a derived one is made anew from others.

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
    hidden: undefined, derived: undefined, links: undefined,
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

// Links: in place of a cell, `{"/": {"link@1": {"id": "of:<name>", "path": [...]}}}` is stored.
const LINK = "link@1";
const MAX_HOPS = 24;

function linkOf(value) {
  const link = isObject(value) && Object.hasOwn(value, "/") ? value["/"]?.[LINK] : undefined;
  if (typeof link?.id !== "string" || !Array.isArray(link.path)) return undefined;
  return { document: documentNamed(link.id.replace(/^of:/, "")), path: link.path.map(step) };
}

// The documents that a stored one links to.
function linksOf(document) {
  load(document);
  if (document.links?.version !== document.version) {
    const targets = document.text?.includes(LINK) === false ? [] : linkedIn(treeOf(document));
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

// Where a path leads: links on the way are followed, and the one at its end if `whole`.
function locate(document, path, whole) {
  let place = { document, path };
  for (let hops = 0; ; hops++) {
    const next = hop(place, whole);
    if (next === undefined) return place;
    if (hops === MAX_HOPS) throw new TypeError("links between cells go round in a circle");
    // What follows from a link's target follows from the link, too.
    noteRead(place.document, place.path);
    place = next;
  }
}

function hop({ document, path }, whole) {
  if (document.derived !== undefined) {
    const [cell, rest] = derivedPlace(document, path);
    return cell === undefined ? undefined : { document: cell[STATE].document, path: [...cell[STATE].path, ...rest] };
  }
  load(document);
  if (document.tree === undefined && !document.text?.includes(LINK)) return undefined;
  let value = treeOf(document);
  for (let index = 0; index < path.length + (whole ? 1 : 0); index++) {
    const link = linkOf(value);
    if (link !== undefined) return { document: link.document, path: [...link.path, ...path.slice(index)] };
    value = at(value, path[index]);
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
    return read(link.document, link.path, hops + 1);
  }
  if (Array.isArray(value)) return value.map((item) => resolved(item, hops));
  const own = {};
  for (const [key, item] of Object.entries(value)) put(own, key, resolved(item, hops));
  return own;
}

function put(object, key, value) {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

function read(document, path, hops = 0) {
  const place = locate(document, path, true);
  if (place.document.derived !== undefined) return derivedValue(place.document, place.path);
  noteRead(place.document, place.path);
  if (place.path.length === 0) {
    load(place.document);
    place.document.text ??= place.document.tree === undefined ? undefined : JSON.stringify(place.document.tree);
    const { text } = place.document;
    if (text === undefined) return undefined;
    return text.includes(LINK) ? resolved(host.parse(text), hops) : host.parse(text);
  }
  let value = treeOf(place.document);
  for (const key of place.path) value = at(value, key);
  return resolved(value, hops);
}

// The JSON text of a value that is to be stored in a document.
function toText(value, owner) {
  if (typeof value === "function" || typeof value === "symbol") {
    throw new TypeError(`a cell can't hold a ${typeof value}`);
  }
  // JSON has no `undefined`; a cell that is set to it holds null.
  return JSON.stringify(owner === undefined ? value : linked(value, owner, [])) ?? "null";
}

// A value with links in place of its cells, and of the objects that have an ID: these become documents of their own.
function linked(value, owner, above) {
  if (!isObject(value)) return value;
  if (isCell(value)) return linkTo(value, owner, above);
  if (typeof value.toJSON === "function" || value instanceof Stream) return value;
  if (above.includes(value)) throw new TypeError("a cell can't hold a value that contains itself");
  const inner = [...above, value];
  if (Array.isArray(value)) return value.map((item) => linked(item, owner, inner));
  const own = {};
  for (const [key, item] of Object.entries(value)) put(own, key, linked(item, owner, inner));
  if (value[ID] === undefined || !splits(owner)) return own;
  const name = `${owner.name ?? owner.unnamed}#${String(value[ID])}`;
  const document = documentNamed(name);
  write(document, [], own);
  return link(document, []);
}

// What is secret is sealed as a whole: nothing within it is put into documents that nobody knows to be secret.
function splits(owner) {
  if (!charm.isMade) return false;
  noteAllSecrets();
  return owner.hidden === undefined && (owner.name ?? owner.unnamed) !== undefined &&
    !(owner.schema !== undefined && hasSecrets(owner.schema));
}

function linkTo(cell, owner, above) {
  const { document, path } = cell[STATE];
  if (!splits(owner) || document === owner) return linked(cell.get(), owner, [...above, cell]);
  if (document.name === undefined) {
    if (document.derived !== undefined || !running) return linked(cell.get(), owner, [...above, cell]);
    giveName(document, `__cell/${crypto.randomUUID()}`);
    document.kept = true;
    // What was made without a name was not stored until now.
    load(document);
    document.text ??= toText(document.tree);
    document.dirty = true;
  }
  return link(document, path);
}

const link = (document, path) => ({ "/": { [LINK]: { id: `of:${document.name}`, path: path.map(String) } } });

function write(document, path, value) {
  const place = locate(document, path, false);
  const target = place.document;
  if (target.derived !== undefined) throw new TypeError("a derived cell can't be written: it follows from other cells");
  const text = toText(value, target);
  load(target);
  changed(target);
  if (place.path.length === 0) {
    target.text = text;
    target.tree = undefined;
    return;
  }
  const last = place.path[place.path.length - 1];
  const parent = reach(target, place.path);
  if (value === undefined) removeAt(parent, last);
  else putAt(parent, last, host.parse(text));
  target.text = undefined;
}

function changed(document) {
  document.dirty = true;
  document.version = ++clock;
}

const emptyFor = (key) => typeof key === "number" ? [] : {};

// What holds the last key of `path`. What is missing on the way is made: an array where an index leads on, an object elsewhere.
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
  if (path.length === 0) return treeOf(document) ?? (document.tree = []);
  const [parent, last] = [reach(document, path), path[path.length - 1]];
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

class Cell {
  constructor(initial, schema) {
    this[STATE] = { document: makeDocument(isCell(initial) ? initial.get() : snapshot(initial), schema), path: [] };
    return reactive(this);
  }

  static of(initial, schema) {
    return new Cell(initial, schema);
  }

  get() {
    return read(this[STATE].document, this[STATE].path);
  }

  set(value) {
    write(this[STATE].document, this[STATE].path, value);
    return this;
  }

  send(value) {
    return this.set(value);
  }

  // Sets some keys of an object, or the whole to what a function makes of it.
  update(change) {
    if (typeof change === "function") return this.set(change(this.get()));
    if (!isObject(change) || Array.isArray(change)) {
      throw new TypeError("update() takes an object of what is to change, or a function");
    }
    for (const [key, value] of Object.entries(change)) this.key(key).set(value);
    return this;
  }

  push(...items) {
    const { document, path } = locate(this[STATE].document, this[STATE].path, true);
    if (document.derived !== undefined) throw new TypeError("a derived cell can't be written: it follows from other cells");
    const current = read(document, path);
    if (current !== undefined && current !== null && !Array.isArray(current)) {
      throw new TypeError("push() needs a cell that holds an array");
    }
    const added = items.map((item) => host.parse(toText(item, document)));
    arrayAt(document, path).push(...added);
    changed(document);
    document.text = undefined;
    return this;
  }

  key(key) {
    const { document, path } = this[STATE];
    return view(document, [...path, step(key)]);
  }

  equals(other) {
    if (!isCell(other)) return false;
    const [mine, theirs] = [this, other].map((cell) => locate(cell[STATE].document, cell[STATE].path, true));
    return mine.document === theirs.document && String(mine.path) === String(theirs.path);
  }

  // For pages: what `fn` makes of each item. Nothing is made of it unless somebody looks.
  map(fn) {
    return lazyCell(() => items(this).map((item, index) => fn(item, index, this)), [this]);
  }

  toJSON() {
    return this.get();
  }

  [Symbol.toPrimitive]() {
    const value = this.get();
    return isObject(value) ? JSON.stringify(value) : value;
  }
}

// The items of a cell that holds an array, as cells.
function items(cell) {
  const value = cell.get() ?? [];
  if (!Array.isArray(value)) throw new TypeError("map() needs a cell that holds an array");
  return value.map((item, index) => isCell(item) ? item : cell.key(index));
}

const METHODS = new Set(Object.getOwnPropertyNames(Cell.prototype));

// A cell whose other properties are the cells of what is within it.
function reactive(cell) {
  return new Proxy(cell, {
    get(target, key) {
      if (typeof key === "symbol") return Reflect.get(target, key, target);
      // `then` would make a promise of a cell that is awaited.
      if (METHODS.has(key)) return Reflect.get(target, key, target);
      return key === "then" ? undefined : target.key(key);
    },
    set(target, key) {
      throw new TypeError(`a cell is not assigned to: write cell.key(${JSON.stringify(String(key))}).set(…)`);
    },
  });
}

function view(document, path) {
  const cell = Object.create(Cell.prototype);
  cell[STATE] = { document, path };
  return reactive(cell);
}

const isCell = (value) => value instanceof Cell;

// A value without cells: they are replaced by what they hold.
function plain(value) {
  if (isCell(value)) return value.get();
  return isObject(value) ? copy(value) : value;
}

// Objects and arrays that are copied part by part; anything else keeps its identity.
function isPlain(value) {
  if (!isObject(value) || isCell(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}

// A copy that later changes of the original don't reach. Cells in it stay cells.
function snapshot(value, depth = 0) {
  if (!isPlain(value)) return value;
  if (depth > 200) throw new TypeError("a cell can't hold a value that contains itself, or is nested this deeply");
  if (Array.isArray(value)) return value.map((item) => snapshot(item, depth + 1));
  const own = {};
  for (const [key, item] of Object.entries(value)) put(own, key, snapshot(item, depth + 1));
  if (value[ID] !== undefined) own[ID] = value[ID];
  return own;
}
