// Patterns, handlers, and how a charm is set up and called.

const NAME = "$NAME";
const UI = "$UI";

const bodies = new WeakMap();

// pattern(fn), pattern(fn, input), pattern(name, fn, …), pattern(input, fn), pattern(input, output, fn)
function pattern(...given) {
  const name = typeof given[0] === "string" ? given.shift() : undefined;
  const at = given.findIndex((one) => typeof one === "function");
  if (at < 0) throw new TypeError("pattern() needs a function that makes the charm of its inputs");
  const body = given[at];
  const input = at > 0 ? given[0] : given[1];
  checkSchema(input);
  // Called within another pattern: its inputs are what it is called with.
  const use = (inputs = {}) => body(boundInputs(inputs, input));
  bodies.set(use, { body, input, name });
  return use;
}

// What an inner pattern is called with, and cells of its own for what it is not given.
function boundInputs(inputs, schema) {
  if (isCell(inputs)) return inputs;
  const bound = {};
  for (const key of new Set([...Object.keys(schema?.properties ?? {}), ...Object.keys(inputs)])) {
    const [value, part] = [inputs[key], schema?.properties?.[key]];
    put(bound, key, isCell(value) || value instanceof Stream ? value : new Cell(value, part));
  }
  return bound;
}

class Stream {
  constructor(fn, state, eventSchema, stateSchema) {
    this[STATE] = { fn, state, eventSchema, stateSchema };
  }

  // Sends an event to a handler of the same charm; it runs when the present one lets it.
  send(event) {
    if (!running) throw new TypeError("send() belongs in a handler");
    const sent = isObject(event) ? parsed(withheldJson(event)) : event;
    Promise.resolve().then(() => call(this, sent));
  }

  toJSON() {
    return undefined;
  }
}

// handler(fn), handler(eventSchema, stateSchema, fn)
function handler(...given) {
  const fn = given.pop();
  if (typeof fn !== "function") throw new TypeError("handler() needs a function: (event, state) => …");
  const [eventSchema, stateSchema] = given;
  given.forEach((schema) => checkSchema(schema));
  return (state = {}) => new Stream(fn, state, eventSchema, stateSchema);
}

function call(stream, event) {
  const { fn, state, eventSchema, stateSchema } = stream[STATE];
  return fn(withDefaults(event, eventSchema), present(state, isOpen(stateSchema) ? undefined : stateSchema));
}

// What a function sees of what was bound to it. Without a schema, cells are cells; with one, only where it says so.
function present(bound, schema) {
  if (schema?.asCell === true) return isCell(bound) ? declared(target(bound), schema) : new Cell(bound, withoutCell(schema));
  if (schema?.asStream === true || bound instanceof Stream) return bound;
  if (isCell(bound)) {
    if (schema === undefined) return bound;
    const value = withDefaults(bound.get(), schema);
    if (!isObject(value) || !wantsCells(schema)) return value;
    const inner = Object.entries(value).map(([key]) => [key, present(bound.key(key), schemaAt(schema, key) ?? {})]);
    for (const [key, part] of Object.entries(schema.properties ?? {})) {
      if (!Object.hasOwn(value, key) && wantsCells(part)) inner.push([key, present(bound.key(key), part)]);
    }
    return Array.isArray(value) ? inner.map(([, item]) => item) : Object.fromEntries(inner);
  }
  // What is not a cell is as it was bound; cells within it are looked for in plain objects and arrays.
  if (!isPlain(bound) || (schema !== undefined && isOpen(schema) && cellsIn(bound).length === 0)) return bound;
  const open = schema === undefined;
  const entries = Object.entries(bound).map(([key, value]) => [key, present(value, open ? undefined : schemaAt(schema, key) ?? {})]);
  return Array.isArray(bound) ? entries.map(([, value]) => value) : Object.fromEntries(entries);
}

// The cell that a cell of a link leads to, so that writing to it writes there.
function target(cell) {
  const { document, path, linked } = cell[STATE];
  const place = locate(document, path, true, linked);
  return place.document === document && place.path === path ? cell : view(place.document, place.path, place.linked);
}

// A cell of which only the handler says the type.
function declared(cell, schema) {
  const { document, path } = cell[STATE];
  if (path.length === 0 && document.declared === undefined) document.declared = withoutCell(schema);
  return cell;
}

function withoutCell({ asCell, ...schema }) {
  return schema;
}

// The charm of this call.
const charm = {
  name: undefined, inputs: new Map(), streams: new Map(), constants: new Map(), derived: new Map(), secrets: undefined, isMade: false,
};

function input(name, schema, given) {
  let document = charm.inputs.get(name);
  if (document === undefined) {
    document = makeDocument(undefined, schema, name);
    charm.inputs.set(name, document);
  }
  if (given !== undefined) {
    const fault = faultOf(given, schema, name);
    if (fault !== undefined) throw new TypeError(`the input ${fault}`);
    write(document, [], withDefaults(copy(given), schema));
  }
  return document;
}

// Runs the pattern's body, which makes the charm's cells and streams again, the same at each call. Returns what the
// body returned.
function instantiate(factory, given) {
  const found = bodies.get(factory);
  if (found === undefined) throw new TypeError("the default export is not a pattern: write `export default pattern(…)`");
  const schemas = { ...found.input?.properties };
  // A default of the whole says what its parts begin with.
  for (const [key, value] of Object.entries(isObject(found.input?.default) ? found.input.default : {})) {
    if (withDefaults(undefined, schemas[key]) === undefined) schemas[key] = { ...schemas[key], default: value };
  }
  for (const name of new Set([...Object.keys(schemas), ...Object.keys(given)])) {
    input(name, schemas[name], Object.hasOwn(given, name) ? given[name] : undefined);
  }
  const cells = new Proxy({}, {
    get: (_, key) => typeof key === "symbol" ? undefined : view(input(key, schemas[key]), []),
    has: (_, key) => charm.inputs.has(key),
    ownKeys: () => [...charm.inputs.keys()],
    getOwnPropertyDescriptor: (_, key) =>
      charm.inputs.has(key)
        ? { value: view(charm.inputs.get(key), []), enumerable: true, configurable: true, writable: false }
        : undefined,
  });
  const result = noting(bodyReads, () => found.body(cells));
  if (!isObject(result) || typeof result.then === "function") {
    throw new TypeError("a pattern returns an object of its cells and streams");
  }
  charm.name = found.name;
  for (const [key, value] of Object.entries(isCell(result) ? {} : result)) name(key, value);
  for (const document of documents) {
    if (document.name === undefined) giveName(document, document.unnamed);
  }
  charm.isMade = true;
  return result;
}

// From here on, what is stored counts. What the body made of its cells is what they begin with.
function begin() {
  for (const document of documents) {
    document.loaded = false;
    document.dirty = false;
    document.version = ++clock;
  }
}

// Takes one entry of a pattern's result.
function name(key, value) {
  if (key === UI) return;
  if (key === NAME) {
    charm.name = value;
    return;
  }
  const own = isCell(value) && value[STATE].path.length === 0 ? value[STATE].document : undefined;
  const taken = charm.inputs.get(key);
  if (taken !== undefined && taken !== own) {
    throw new TypeError(`the pattern returns ${JSON.stringify(key)}, which is the name of an input, but not that input`);
  }
  if (value instanceof Stream) {
    charm.streams.set(key, value);
  } else if (typeof value === "function") {
    throw new TypeError(`the pattern returns a function as ${JSON.stringify(key)}; wrap it in handler(…) and call that with its state`);
  } else if (own !== undefined && own.name === undefined) {
    giveName(own, key);
    if (own.derived !== undefined) charm.derived.set(key, value);
  } else if (own?.name !== key) {
    (cellsIn(value).length > 0 ? charm.derived : charm.constants).set(key, value);
  }
}

// Stores what has changed.
function store(everything) {
  // Before it is forgotten what was written.
  const shown = [...charm.derived].filter(([, value]) => everything || touched(value));
  for (const document of documents) {
    if (!document.dirty || !document.kept) continue;
    const text = document.text ??= JSON.stringify(document.tree);
    host.setCell(document.name, text);
    document.dirty = false;
  }
  for (const [key, value] of shown) {
    // It may have been made from a secret only now: nobody knows that it is one, so it is not stored.
    const isNews = !isSetup && !isToldAll(key, value);
    if (isNews) console.warn(`${key} follows from a secret, as it did not when the charm was deployed: it is not stored. Deploy the charm again.`);
    const text = toText(isNews ? null : revealed(value));
    if (host.getCell(key) !== text) host.setCell(key, text);
  }
}

// A value with what its cells hold, secrets as well: what is stored of it is as secret as they are.
function revealed(value) {
  if (isCell(value)) return value.get();
  if (!isPlain(value)) return value;
  if (Array.isArray(value)) return value.map(revealed);
  const own = {};
  for (const [key, part] of Object.entries(value)) put(own, key, revealed(part));
  return own;
}

// What kind of call it is going to be.
function enter(setup) {
  isSetup = setup;
}

function setup(factory, inputs) {
  instantiate(factory, host.parse(inputs));
  for (const document of documents) {
    load(document);
    if (document.text !== undefined || document.tree !== undefined) {
      document.dirty ||= host.getCell(document.name) === undefined;
    }
  }
}

// What the charm is made of, when all of it has been set up.
function finish() {
  noteAllSecrets();
  for (const { document, request } of fetches) {
    if (isTainted(request[STATE].document)) charm.secrets.push({ document, path: [] });
  }
  store(true);
  for (const [key, value] of charm.constants) host.setCell(key, toText(value));
  // What is secret by its name alone, the host knows itself.
  const secrets = charm.secrets.map(({ document, path }) => [document.name, ...path]);
  for (const [key, value] of charm.derived) secretsShown(value, [key], (path) => secrets.push(path));
  if (bodyReadsSecrets()) for (const key of charm.constants.keys()) secrets.push([key]);
  const unique = new Map(secrets.map((path) => [JSON.stringify(path), path.map(String)]));
  return JSON.stringify({ name: charmName(), streams: [...charm.streams.keys()], secrets: [...unique.values()] });
}

function charmName() {
  const shown = isCell(charm.name) ? charm.name.get() : charm.name;
  let secret = !isCell(charm.name) && bodyReadsSecrets();
  secretsShown(charm.name, [], () => secret = true);
  // The host keeps names of up to 256 bytes.
  const name = shown === undefined || shown === null || secret ? "" : String(shown).slice(0, 80);
  return name === "" ? undefined : name;
}

// Makes the charm's cells and streams for a call.
function make(factory) {
  instantiate(factory, {});
}

function handle(streamName, event) {
  const stream = charm.streams.get(streamName);
  if (stream === undefined) throw new TypeError(`the charm has no stream ${JSON.stringify(streamName)}`);
  begin();
  running = true;
  return call(stream, host.parse(event));
}

// What is called where nothing is there to read, write, take apart or look into, or where a variable has no value yet.
function none(what, key, expression, value) {
  if (what === "early") throw new ReferenceError(`Cannot access '${key}' before initialization`);
  // A getter may answer otherwise when it is asked again.
  const nothing = value === undefined || value === null ? String(value) : "null or undefined";
  const property = key === "" ? "" : `property '${String(key)}' of `;
  if (what === "destructure") throw new TypeError(`Cannot destructure ${property}'${expression}' as it is ${nothing}.`);
  if (what === "in") throw new TypeError(`Cannot use 'in' operator to search for '${String(key)}' in ${nothing}: ${expression} is ${nothing}`);
  if (what === "instanceof") throw new TypeError(`Right-hand side of 'instanceof' is not an object: ${expression} is ${nothing}`);
  const verb = what === "setting" ? "set" : "read";
  throw new TypeError(`Cannot ${verb} properties of ${nothing} (${what} '${String(key)}'): ${expression} is ${nothing}`);
}

// `object[key] = value`, where the object is named if it is not there.
function assign(object, key, value, expression) {
  if (object === undefined || object === null) none("setting", key, expression, object);
  object[key] = value;
  return value;
}

const cell = (initial, schema) => new Cell(initial, schema);

// The environment of the pattern: where the charm runtime is.
const getRecipeEnvironment = () => ({ apiUrl: new URL(host.apiUrl()) });

// toSchema<T>(more): the transpiler hands in the schema of T.
const toSchema = (more, schema) => ({ ...schema, ...more });
const schema = (given) => given;

// How many causes of an error are in its message: a charm may nest them without end.
const MAX_CAUSES = 8;

// The message of whatever was thrown.
function describe(thrown, causes = 0) {
  try {
    if (thrown instanceof Error) {
      const more = thrown.cause instanceof Error && causes < MAX_CAUSES;
      const cause = more ? ` (cause: ${describe(thrown.cause, causes + 1)})` : "";
      return Error.prototype.toString.call(thrown) + cause;
    }
    if (thrown === null || typeof thrown !== "object") return String(thrown);
    return JSON.stringify(thrown) ?? String(thrown);
  } catch {
    return "an error that has no text";
  }
}

const stackOf = (thrown) => {
  try {
    return thrown instanceof Error && typeof thrown.stack === "string" ? thrown.stack : "";
  } catch {
    return "";
  }
};

return {
  exports: {
    __asyncGeneratorDelegate: asyncGeneratorDelegate, __asyncIterator: asyncIterator, __awaitAsyncGenerator: awaitAsyncGenerator,
    __end: host.end, __items: host.items, __none: none, __put: assign, __wrapAsyncGenerator: wrapAsyncGenerator, __page: (make) => new Page(make), __value: computed, Cell, ID, NAME, UI, Writable: Cell, cell, computed, derive, fetchData, getPatternEnvironment: getRecipeEnvironment, getRecipeEnvironment, h,
    handler, ifElse, lift, pattern, recipe: pattern, schema, str, toSchema,
  },
  enter,
  setup,
  finish,
  make,
  handle,
  settle,
  store,
  page,
  describe,
  stackOf,
  requestOf,
  statusOf,
};
