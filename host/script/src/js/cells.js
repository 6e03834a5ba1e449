// Cells: views of documents.

class Cell {
  constructor(initial, schema) {
    const document = makeDocument(undefined, schema);
    document.initial = isCell(initial) ? copiedTo({ document, path: [] }, initial) : snapshot(initial);
    this[STATE] = { document, path: [], linked: false };
    return reactive(this);
  }

  static of(initial, schema) {
    return new Cell(initial, schema);
  }

  get() {
    const { document, path, linked } = this[STATE];
    return read(document, path, linked);
  }

  set(value) {
    const { document, path, linked } = this[STATE];
    write(document, path, value, linked);
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
    const { document, path } = locateForWriting(this[STATE].document, this[STATE].path, true, this[STATE].linked);
    if (document.derived !== undefined) throw new TypeError("a derived cell can't be written: it follows from other cells");
    const current = read(document, path);
    if (current !== undefined && current !== null && !Array.isArray(current)) {
      throw new TypeError("push() needs a cell that holds an array");
    }
    const texts = items.map((item) => toText(item, document, [...path, "*"]));
    texts.forEach((text, index) => checkWritten(document, [...path, (current?.length ?? 0) + index], text));
    const added = texts.map((text) => host.parse(text));
    arrayAt(document, path).push(...added);
    changed(document);
    document.text = undefined;
    return this;
  }

  key(key) {
    const { document, path, linked } = this[STATE];
    return view(document, [...path, step(key)], linked);
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
    const { document, path, linked } = this[STATE];
    return read(document, path, linked || withholding);
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
    deleteProperty(target, key) {
      throw new TypeError(`nothing is deleted from a cell: write cell.key(${JSON.stringify(String(key))}).set(undefined)`);
    },
  });
}

// A cell of what is at a path; `linked` says that a link led to it.
function view(document, path, linked = false) {
  const cell = Object.create(Cell.prototype);
  cell[STATE] = { document, path, linked };
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
