// Patterns, handlers, and how a charm is set up and called.

const NAME = "$NAME";
const UI = "$UI";
// Among a pattern's inputs, its own result.
const SELF = Symbol("SELF");

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
  const use = (inputs = {}) => {
    const bound = boundInputs(inputs, input);
    let result;
    if (!isCell(bound)) bound[SELF] = lazyCell(() => result);
    return result = body(bound);
  };
  bodies.set(use, { body, input, name });
  factories.add(use);
  return use;
}

// What makes cells or streams of what it is called with. One that a pattern returns is for other programs.
const factories = new WeakSet();

// What an inner pattern is called with, and cells of its own for what it is not given.
function boundInputs(inputs, schema) {
  if (isCell(inputs)) return inputs;
  const bound = {};
  for (const key of new Set([...Object.keys(schema?.properties ?? {}), ...Object.keys(inputs)])) {
    const [value, part] = [inputs[key], schema?.properties?.[key]];
    if (value instanceof Stream) put(bound, key, value);
    else if (!isCell(value)) put(bound, key, view(new Cell(value, part)[STATE].document, []));
    else put(bound, key, isOpen(part) ? value : view(...placeOf(value), { linked: value[STATE].linked, schema: part, isCell: part.asCell === true }));
  }
  return bound;
}

// Events that wait until what was written is followed: `[stream, event]`.
const events = [];

class Stream {
  constructor(fn, state, eventSchema, stateSchema) {
    this[STATE] = { fn, state, eventSchema, stateSchema };
  }

  // Sends an event to a handler of the same charm; it runs when the present one lets it, or, if there is none, when all
  // derived cells are up to date.
  send(event) {
    const sent = sentCopy(event);
    if (running && reading === undefined) Promise.resolve().then(() => call(this, sent));
    else events.push([this, sent]);
  }

  toJSON() {
    return undefined;
  }
}

// An event as it is under way: a copy, in which cells are cells.
function sentCopy(event) {
  if (!isObject(event) || isCell(event)) return event;
  return isPlain(event) && cellsIn(event).length > 0 ? mapped(event, sentCopy) : parsed(withheldJson(event));
}

// An event as a handler gets it: with cells where its schema says so. What cells hold goes without secrets.
function received(event, schema) {
  if (schema?.asCell === true && event !== undefined && !(event instanceof Stream)) {
    return isCell(event) ? known(target(event), schema) : new Cell(event, withoutCell(schema));
  }
  if (isCell(event)) return parsed(withheldJson(event));
  if (!isPlain(event) || (!wantsCells(schema) && cellsIn(event).length === 0)) return event;
  return mapped(event, (part, key) => received(part, schemaAt(schema, key)));
}

// handler(fn), handler(eventSchema, stateSchema, fn)
function handler(...given) {
  const fn = given.pop();
  if (typeof fn !== "function") throw new TypeError("handler() needs a function: (event, state) => …");
  const [eventSchema, stateSchema] = given;
  given.forEach((schema) => checkSchema(schema));
  const bind = (state = {}) => new Stream(fn, state, eventSchema, stateSchema);
  // Handlers of before are bound by a method.
  bind.with = bind;
  factories.add(bind);
  return bind;
}

// action(fn): a handler of what it is within. The transpiler hands in what `fn` uses, as action(captured, make).
function action(...given) {
  const fn = given.pop();
  if (typeof fn !== "function") throw new TypeError("action() needs a function: action(() => …)");
  const [captured] = given;
  if (captured === undefined) return new Stream((event) => fn(event), {}, undefined, undefined);
  const [values, cells] = captured;
  return new Stream((event) => fn({ ...handed(values), ...cells })(event), { ...values, ...cells }, undefined, undefined);
}

// Calls the handlers of the events that wait, one after another. Returns a promise of their ends, or nothing if there
// are none.
function handleDue() {
  return events.length === 0 ? undefined : handleAll(events.splice(0));
}

async function handleAll(due) {
  const before = running;
  running = true;
  try {
    for (const [stream, event] of due) await call(stream, event);
  } finally {
    running = before;
  }
}

function call(stream, event) {
  const { fn, state, eventSchema, stateSchema } = stream[STATE];
  return fn(withDefaults(received(event, eventSchema), eventSchema), present(state, isOpen(stateSchema) ? undefined : stateSchema));
}

// The charm of this call.
const charm = {
  name: undefined, inputs: new Map(), streams: new Map(), constants: new Map(), derived: new Map(), secrets: undefined, isMade: false,
  // Inputs whose names are those of other results.
  hidden: new Set(),
};

const inputName = (name) => charm.hidden.has(name) ? `__input/${name}` : name;

function input(name, schema, given) {
  let document = charm.inputs.get(name);
  if (document === undefined) {
    document = makeDocument(undefined, schema, inputName(name));
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
  const before = { documents: documents.length, unnamed };
  const { log } = host;
  const lines = [];
  host.log = (level, text) => lines.push([level, text]);
  try {
    let result = runBody(found, given);
    if (hideInputs(result)) {
      // The body has read results in place of its inputs.
      lines.length = 0;
      forgetBody(before);
      result = runBody(found, given);
    }
    for (const [key, value] of Object.entries(isCell(result) ? {} : result)) name(key, value);
    for (const document of documents) {
      if (document.name === undefined) giveName(document, document.unnamed);
    }
    charm.isMade = true;
    return result;
  } finally {
    host.log = log;
    for (const [level, text] of lines) log(level, text);
  }
}

function runBody(found, given) {
  const schemas = { ...found.input?.properties };
  // A default of the whole says what its parts begin with.
  for (const [key, value] of Object.entries(isObject(found.input?.default) ? found.input.default : {})) {
    if (withDefaults(undefined, schemas[key]) === undefined) schemas[key] = { ...schemas[key], default: value };
  }
  for (const name of new Set([...Object.keys(schemas), ...Object.keys(given)])) {
    input(name, schemas[name], Object.hasOwn(given, name) ? given[name] : undefined);
  }
  let result;
  const self = lazyCell(() => result);
  const cells = new Proxy({}, {
    get: (_, key) => typeof key === "symbol" ? (key === SELF ? self : undefined) : view(input(key, schemas[key]), []),
    has: (_, key) => charm.inputs.has(key),
    ownKeys: () => [...charm.inputs.keys()],
    getOwnPropertyDescriptor: (_, key) =>
      charm.inputs.has(key)
        ? { value: view(charm.inputs.get(key), []), enumerable: true, configurable: true, writable: false }
        : undefined,
  });
  result = noting(bodyReads, () => found.body(cells));
  if (!isObject(result) || typeof result.then === "function") {
    throw new TypeError("a pattern returns an object of its cells and streams");
  }
  charm.name = found.name;
  return result;
}

// Gives names of their own to inputs whose names are those of results that are something else. Whether one had been read
// already.
function hideInputs(result) {
  let isRead = false;
  for (const [key, value] of Object.entries(isCell(result) ? {} : result)) {
    const document = charm.inputs.get(key);
    if (document === undefined || document === ownDocument(value) || charm.hidden.has(key)) continue;
    charm.hidden.add(key);
    named.delete(key);
    giveName(document, inputName(key));
    isRead ||= document.loaded;
  }
  return isRead;
}

function forgetBody(before) {
  documents.length = before.documents;
  unnamed = before.unnamed;
  named.clear();
  for (const list of [derivations, fetches, copies, bodyReads, events]) list.length = 0;
  for (const made of [charm.inputs, charm.streams, charm.constants, charm.derived]) made.clear();
}

// The document that a result is a cell of, as a whole.
const ownDocument = (value) => isCell(value) && value[STATE].path.length === 0 ? value[STATE].document : undefined;

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
  if (PAGES.includes(key) || value instanceof Tool) return;
  if (key === NAME) {
    charm.name = value;
    return;
  }
  const own = ownDocument(value);
  if (value instanceof Stream) {
    charm.streams.set(key, value);
  } else if (typeof value === "function") {
    if (factories.has(value)) return;
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
  if (isCell(value)) return valueOf(value);
  return isPlain(value) ? mapped(value, revealed) : value;
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
    if (document.name !== undefined && isTainted(request[STATE].document)) charm.secrets.push({ document, path: [] });
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
  const shown = isCell(charm.name) ? valueOf(charm.name) : charm.name;
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
  // The body sends its events when the charm is set up.
  events.length = 0;
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
    __cf_data: data, __end: host.end, __items: host.items, __none: none, __put: assign, __wrapAsyncGenerator: wrapAsyncGenerator, __page: (make) => new Page(make), __value: computed,
    CFC_ATOM_TYPE, CFC_CONCEPT_KIND, CFC_FUSE_ATOM_CLASS, CFC_RUNTIME_SUBJECT, THIS_POLICY, cfcAtom, cfcPattern, exchangeRule, exchangeRules, v: cfcVariable,
    CHIP_UI, Cell, ID, NAME, SELF, TESTS, TILE_UI, UI, Writable: Cell, action, assert, cell, compileAndRun, computed, derive, equals, fetchBinary, fetchData, fetchJson, fetchJsonUnchecked: fetchJson, fetchText, fetchProgram,
    generateObject: asksModel("generateObject"), generateText: asksModel("generateText"), getPatternEnvironment: getRecipeEnvironment, getRecipeEnvironment, h,
    handler, ifElse, lift, llm: asksModel("llm"), llmDialog, navigateTo, pattern, patternTool, recipe: pattern, schema, str, toCompactDebugString,
    toIndentedDebugString, toSchema, unless, valueEqual, when, wish,
  },
  packages,
  enter,
  setup,
  finish,
  make,
  handle,
  settle,
  store,
  page,
  noteComparisons,
  describe,
  stackOf,
  requestOf,
  statusOf,
};
