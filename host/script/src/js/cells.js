// Cells: views of documents.

class Cell {
  // All that a service keeps is one space's: what is for a user or a session alone is kept with the rest.
  static perSpace = Cell;
  static perUser = Cell;
  static perSession = Cell;

  constructor(initial, schema) {
    const document = makeDocument(undefined, schema);
    document.initial = isCell(initial) ? copiedTo({ document, path: [] }, initial) : snapshot(initial);
    this[STATE] = { document, path: [], linked: false, schema: undefined, isCell: true };
    return reactive(this);
  }

  static of(initial, schema) {
    return new Cell(initial, schema);
  }

  static for(cause) {
    return new Cell().for(cause);
  }

  static equals(a, b) {
    return equals(a, b);
  }

  static equalLinks(a, b) {
    return equals(a, b);
  }

  get() {
    return seen(this);
  }

  // The value, without following from it.
  sample() {
    return noting(undefined, () => seen(this));
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
    if (document.derived !== undefined) throw new TypeError(DERIVED);
    // Who only adds to a list does not follow from it.
    let current = noting(undefined, () => read(document, path));
    if (current !== undefined && current !== null && !Array.isArray(current)) {
      throw new TypeError("push() needs a cell that holds an array");
    }
    const begun = schemaOf(this)?.default;
    if (current === undefined && Array.isArray(begun)) {
      write(document, path, begun);
      current = begun;
    }
    const texts = items.map((item) => toText(item, document, [...path, "*"]));
    texts.forEach((text, index) => checkWritten(document, [...path, (current?.length ?? 0) + index], text));
    const added = texts.map((text) => host.parse(text));
    load(document);
    writing?.push({ document, path });
    changed(document);
    arrayAt(document, path).push(...added);
    document.text = undefined;
    return this;
  }

  // Adds items that are not in the list yet.
  addUnique(...items) {
    for (const item of items) if (!list(this).some((one) => isSame(one, item))) this.push(item);
    return this;
  }

  // Takes the first of an item out of a list; removeAll takes out all.
  remove(item) {
    const items = list(this);
    const at = items.findIndex((one) => isItem(one, item));
    return at < 0 ? this : this.set(items.toSpliced(at, 1));
  }

  removeAll(item) {
    return this.set(list(this).filter((one) => !isItem(one, item)));
  }

  removeByValue(item) {
    return this.set(list(this).filter((one) => !isSame(one, item)));
  }

  increment(by = 1) {
    const current = valueOf(this) ?? 0;
    if (typeof current !== "number" || typeof by !== "number") throw new TypeError("increment() needs a cell that holds a number");
    return this.set(current + by);
  }

  // The cell of what is at a key, at a key of that, and so on.
  key(...keys) {
    return keys.reduce((cell, key) => part(cell, step(key)), this);
  }

  // An item of a list that has a name of its own: a document beside the list's.
  elementById(id) {
    const { document } = this[STATE];
    const name = document.name ?? document.unnamed;
    if (name === undefined) throw new TypeError("elementById() needs a cell of the pattern");
    return view(documentNamed(`${name}#${String(id)}`), [], { schema: schemaAt(schemaOf(this), 0), isCell: true });
  }

  equals(other) {
    return equals(this, other);
  }

  equalLinks(other) {
    return equals(this, other);
  }

  // The cell that links lead to from here.
  resolveAsCell() {
    return target(this);
  }

  // A cell is there as soon as the program is, and where it is stored follows from where the program makes it.
  for() {
    return this;
  }

  sync() {
    return Promise.resolve(this);
  }

  pull() {
    return Promise.resolve(this.get());
  }

  asSchema(schema) {
    checkSchema(schema);
    return known(this, schema);
  }

  // For pages: what `fn` makes of each item. Nothing is made of it unless somebody looks.
  map(fn) {
    return lazyCell(() => items(this).map((item, index) => fn(item, index, this)), [this]);
  }

  // What a pattern makes of each item, as `{ element, index, array, params }`.
  mapWithPattern(pattern, params = {}) {
    const made = () => items(this).map((element, index) => pattern({ element, index, array: this, params }));
    return derivedCell(made, [this, ...cellsIn(params)]);
  }

  toJSON() {
    const { document, path, linked } = this[STATE];
    return filled(read(document, path, linked || withholding), schemaOf(this));
  }

  [Symbol.toPrimitive]() {
    const value = valueOf(this);
    return isObject(value) ? JSON.stringify(value) : value;
  }
}

const DERIVED = "a derived cell can't be written: it follows from other cells";

function list(cell) {
  const value = cell.get() ?? [];
  if (!Array.isArray(value)) throw new TypeError("this needs a cell that holds an array");
  return value;
}

// The items of a cell that holds an array, as cells.
function items(cell) {
  const value = valueOf(cell) ?? [];
  if (!Array.isArray(value)) throw new TypeError("map() needs a cell that holds an array");
  return value.map((item, index) => isCell(item) ? item : cell.key(index));
}

const METHODS = new Set(Object.getOwnPropertyNames(Cell.prototype));

// A cell whose other properties are the cells of what is within it; of one that was handed to a function in place of its
// value, they are the value's.
function reactive(cell) {
  return new Proxy(cell, {
    get(target, key) {
      // `then` would make a promise of a cell that is awaited.
      if (METHODS.has(key) || key === "then") return Reflect.get(target, key, target);
      if (target[STATE].isHanded && (typeof key === "string" || key === Symbol.iterator)) return propertyOf(target.get(), key);
      return typeof key === "symbol" ? Reflect.get(target, key, target) : target.key(key);
    },
    set(target, key) {
      throw new TypeError(`a cell is not assigned to: write cell.key(${JSON.stringify(String(key))}).set(…)`);
    },
    deleteProperty(target, key) {
      throw new TypeError(`nothing is deleted from a cell: write cell.key(${JSON.stringify(String(key))}).set(undefined)`);
    },
  });
}

function propertyOf(value, key) {
  const property = value?.[key];
  return typeof property === "function" ? property.bind(value) : property;
}

// A cell of what is at a path. `linked` says that a link led to it, `schema` how it is known, `isCell` that the
// program's types call it a cell, and `isHanded` that a function got it in place of its value.
function view(document, path, { linked = false, schema = undefined, isCell = false, isHanded = false } = {}) {
  const cell = Object.create(Cell.prototype);
  cell[STATE] = { document, path, linked, schema, isCell, isHanded };
  return reactive(cell);
}

const isCell = (value) => value instanceof Cell;

// A value without cells: they are replaced by what they hold.
function plain(value) {
  if (isCell(value)) return valueOf(value);
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
