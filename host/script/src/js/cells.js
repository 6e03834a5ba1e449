// Cells: views of documents, each of which is stored as one JSON text.

const STATE = Symbol("state");

function copy(value) {
  const text = JSON.stringify(value);
  return text === undefined ? undefined : host.parse(text);
}

function toText(value) {
  if (typeof value === "function" || typeof value === "symbol") {
    throw new TypeError(`a cell can't hold a ${typeof value}`);
  }
  // JSON has no `undefined`; a cell that is set to it holds null.
  return JSON.stringify(value) ?? "null";
}

// All documents of this call, in the order in which they were made.
const documents = [];
// How many were made without a name.
let unnamed = 0;
// Set while a handler runs: what it makes is not part of the charm, and is not stored.
let running = false;

function makeDocument(initial, schema, name) {
  checkSchema(schema);
  const document = { name, schema, initial, kept: !running, loaded: false, text: undefined, tree: undefined, dirty: false };
  if (name === undefined) document.unnamed = `__cell/${unnamed++}`;
  documents.push(document);
  return document;
}

function load(document) {
  if (document.loaded) return;
  document.loaded = true;
  document.tree = undefined;
  document.text = document.name === undefined ? undefined : host.getCell(document.name);
  if (document.text === undefined) {
    const initial = withDefaults(copy(document.initial), document.schema);
    if (initial !== undefined) document.text = toText(initial);
  }
}

// The document's value, which only this file may see: everybody else gets a copy.
function treeOf(document) {
  load(document);
  if (document.text !== undefined && document.tree === undefined) document.tree = host.parse(document.text);
  return document.tree;
}

function read(document, path) {
  if (path.length === 0) {
    load(document);
    document.text ??= document.tree === undefined ? undefined : JSON.stringify(document.tree);
    return document.text === undefined ? undefined : host.parse(document.text);
  }
  let value = treeOf(document);
  for (const key of path) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value !== null && typeof value === "object" ? copy(value) : value;
}

function write(document, path, value) {
  const text = toText(value);
  load(document);
  document.dirty = true;
  if (path.length === 0) {
    document.text = text;
    document.tree = undefined;
    return;
  }
  const last = path[path.length - 1];
  const parent = reach(document, path.slice(0, -1), typeof last === "number" ? () => [] : () => ({}));
  if (value === undefined) delete parent[last];
  else Object.defineProperty(parent, last, { value: host.parse(text), writable: true, enumerable: true, configurable: true });
  document.text = undefined;
}

// The object or array at `path`; what is missing on the way is made.
function reach(document, path, make) {
  let value = treeOf(document);
  if (value === null || typeof value !== "object") {
    value = document.tree = path.length === 0 ? make() : {};
  }
  path.forEach((key, index) => {
    let next = Object.hasOwn(value, key) ? value[key] : undefined;
    if (next === null || typeof next !== "object") {
      next = index === path.length - 1 ? make() : {};
      Object.defineProperty(value, key, { value: next, writable: true, enumerable: true, configurable: true });
    }
    value = next;
  });
  return value;
}

class Cell {
  constructor(initial, schema) {
    this[STATE] = { document: makeDocument(plain(initial), schema), path: [] };
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
    if (change === null || typeof change !== "object" || Array.isArray(change)) {
      throw new TypeError("update() takes an object of what is to change, or a function");
    }
    for (const [key, value] of Object.entries(change)) this.key(key).set(value);
    return this;
  }

  push(...items) {
    const { document, path } = this[STATE];
    const current = this.get();
    if (current !== undefined && current !== null && !Array.isArray(current)) {
      throw new TypeError("push() needs a cell that holds an array");
    }
    const added = items.map((item) => host.parse(toText(item)));
    reach(document, path, () => []).push(...added);
    document.dirty = true;
    document.text = undefined;
    return this;
  }

  key(key) {
    const { document, path } = this[STATE];
    const step = typeof key === "string" && /^(0|[1-9][0-9]{0,8})$/.test(key) ? Number(key) : key;
    return view(document, [...path, step]);
  }

  equals(other) {
    const [mine, theirs] = [this[STATE], other?.[STATE]];
    return theirs !== undefined && mine.document === theirs.document && String(mine.path) === String(theirs.path);
  }

  // For pages: what `fn` makes of each item. Pages are not shown here, so it is called only if somebody asks.
  map(fn) {
    return { toJSON: () => (this.get() ?? []).map((_, index) => fn(this.key(index), index, this)) };
  }

  toJSON() {
    return this.get();
  }

  [Symbol.toPrimitive]() {
    const value = this.get();
    return value !== null && typeof value === "object" ? JSON.stringify(value) : value;
  }
}

const METHODS = new Set(Object.getOwnPropertyNames(Cell.prototype));

// A cell whose other properties are the cells of what is within it.
function reactive(cell) {
  return new Proxy(cell, {
    get(target, key) {
      // `then` would make a promise of a cell that is awaited.
      if (typeof key === "symbol" || METHODS.has(key)) return Reflect.get(target, key, target);
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
  return value !== null && typeof value === "object" ? copy(value) : value;
}
