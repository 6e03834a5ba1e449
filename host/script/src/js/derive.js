// Derived cells: what follows from other cells. Each is computed again when it is read after something it depends on
// has changed.

// All derived documents of this call.
const derivations = [];
// What is read while a derived document is made, and what it has written, as `{ document, path }`.
let reading;
let writing;

// A cell that holds what `compute` returns; `inputs` are the cells that it is known to be made from, if they are known.
function derivedCell(compute, inputs) {
  const cell = lazyCell(compute, inputs);
  derivations.push(cell[STATE].document);
  return cell;
}

// The same for pages: nothing is computed unless somebody looks.
function lazyCell(compute, inputs) {
  const derived = { compute, inputs, value: undefined, reads: undefined, seen: -1, computing: false, isNew: running };
  return view({ name: undefined, schema: undefined, kept: false, dirty: false, version: 0, derived }, []);
}

function noteRead(document, path) {
  if (reading === undefined) return;
  // Nothing follows from what it has just written itself.
  const isOwn = writing?.some((one) => one.document === document && one.path.every((key, index) => key === path[index])) === true;
  reading.push({ document, path, version: document.version, isOwn });
}

// Brings a derived document up to date.
function refresh(document) {
  const { derived } = document;
  if (derived.computing) throw new TypeError("a derived cell can't follow from itself");
  if (derived.seen === clock || (derived.reads !== undefined && derived.reads.every(isCurrent))) {
    derived.seen = clock;
    return;
  }
  const reads = [];
  const outer = writing;
  derived.computing = true;
  derived.seen = clock;
  writing = [];
  try {
    const value = noting(reads, derived.compute);
    if (typeof value?.then === "function") {
      throw new TypeError("a derived cell can't wait for a promise: do that in a handler, or with fetchData()");
    }
    if (!same(value, derived.value)) document.version++;
    derived.value = value;
    derived.reads = reads;
  } catch (error) {
    // Whoever looks next is to see it fail, and not what it was before.
    derived.seen = -1;
    derived.reads = undefined;
    throw error;
  } finally {
    derived.computing = false;
    writing = outer;
  }
}

// What `compute` returns; what it reads is added to `reads`.
function noting(reads, compute) {
  const outer = reading;
  reading = reads;
  try {
    return compute();
  } finally {
    reading = outer;
  }
}

function isCurrent({ document, version, isOwn }) {
  if (isOwn) return true;
  if (document.derived !== undefined) refresh(document);
  return document.version === version;
}

function same(a, b) {
  if (a === b) return true;
  return isObject(a) && isObject(b) && isData(a) && isData(b) && JSON.stringify(a) === JSON.stringify(b);
}

// Whether a value is JSON all through: no cells, pages or functions in it.
function isData(value) {
  if (typeof value === "function" || isCell(value) || value instanceof Stream || value instanceof Page) return false;
  return !isObject(value) || Object.values(value).every(isData);
}

// The first cell on the way into a derived document's value, and the rest of the way.
function derivedPlace(document, path) {
  refresh(document);
  let { value } = document.derived;
  for (let index = 0; ; index++) {
    if (isCell(value)) return [value, path.slice(index)];
    if (index === path.length) return [];
    value = at(value, path[index]);
  }
}

function derivedValue(document, path) {
  refresh(document);
  noteRead(document, path);
  let { value } = document.derived;
  for (const key of path) value = at(value, key);
  return isObject(value) && isData(value) ? copy(value) : value;
}

// The cells in a value, and in what is in it.
function cellsIn(value, depth = 0) {
  if (isCell(value)) return [value];
  if (!isPlain(value) || depth > 20) return [];
  return Object.values(value).flatMap((part) => cellsIn(part, depth + 1));
}

// What `fn` makes of its input, in which cells are values unless the schema says otherwise.
function apply(fn, input, schema) {
  return derivedCell(() => fn(present(input, schema ?? {})), cellsIn(input));
}

// derive(input, fn), derive(inputSchema, resultSchema, input, fn). The transpiler leaves the schemas undefined where the
// types of the input say what is a cell.
function derive(...given) {
  const fn = given.pop();
  if (typeof fn !== "function") throw new TypeError("derive() needs a function: derive(cell, (value) => …)");
  if (given.length === 1) return apply(fn, given[0]);
  const [schema, , input] = given;
  if (schema === undefined) return derivedCell(() => fn(handed(input)), cellsIn(input));
  checkSchema(schema);
  return apply(fn, input, schema);
}

// lift(fn), lift(inputSchema, resultSchema, fn): a function of cells that makes a derived cell.
function lift(...given) {
  const fn = given.findLast((one) => typeof one === "function");
  if (fn === undefined) throw new TypeError("lift() needs a function: lift((value) => …)");
  const schema = typeof given[0] === "function" ? undefined : given[0];
  checkSchema(schema);
  const lifted = (input) => apply(fn, input, schema);
  factories.add(lifted);
  return lifted;
}

// computed(fn): the transpiler hands in what `fn` uses of the pattern, as computed(captured, fn).
function computed(...given) {
  const fn = given.pop();
  if (typeof fn !== "function") throw new TypeError("computed() needs a function: computed(() => …)");
  const [captured] = given;
  if (captured === undefined) return derivedCell(() => fn(), undefined);
  const [values, cells] = captured;
  return derivedCell(() => fn({ ...present(values, {}), ...cells }), cellsIn([values, cells]));
}

function str(texts, ...values) {
  const text = (value) => {
    const plainValue = plain(value);
    return isObject(plainValue) ? JSON.stringify(plainValue) : String(plainValue ?? "");
  };
  return derivedCell(() => texts.map((part, index) => part + (index < values.length ? text(values[index]) : "")).join(""), cellsIn(values));
}

function ifElse(condition, yes, no) {
  return derivedCell(() => plain(condition) ? yes : no, cellsIn([condition, yes, no]));
}

// when(condition, value): the value if the condition holds, else the condition; and unless(condition, value).
function when(condition, value) {
  return derivedCell(() => plain(condition) ? value : condition, cellsIn([condition, value]));
}

function unless(condition, value) {
  return derivedCell(() => plain(condition) ? condition : value, cellsIn([condition, value]));
}

// Requests of the pattern's own, or of a handler: `{ document, request }`.
const fetches = [];

// fetchData({ url, mode, options }): a cell of `{ pending, result, error }`. The request is sent when it is not what
// was sent last; one of a handler, when it has returned.
const fetchData = (parameters) => fetched(parameters, dataRequest);

// fetchJson({ url, options }), fetchText and fetchBinary: the same, of one kind each.
const fetchJson = (parameters) => fetched(parameters, (given) => requestFor(given, "json"));
const fetchText = (parameters) => fetched(parameters, (given) => requestFor(given, "text"));
const fetchBinary = (parameters) => fetched(parameters, (given) => requestFor(given, "binary"));

function fetched(parameters, made) {
  const document = makeDocument({ pending: true }, undefined, running ? undefined : `__fetch/${fetches.length}`);
  const request = apply(made, parameters);
  fetches.push({ document, request });
  return view(document, []);
}

function dataRequest(parameters) {
  const mode = parameters?.mode ?? "json";
  if (mode !== "json" && mode !== "text") throw new TypeError('fetchData() has the modes "json" and "text"');
  return requestFor(parameters, mode);
}

function requestFor(parameters, mode) {
  const { url, options } = parameters ?? {};
  // How long another tab waits for this request is of no use here.
  const { mutexTimeoutMs: _, ...sent } = options ?? {};
  return { url: url === undefined || url === null ? "" : String(url), mode, options: sent };
}

const READERS = {
  json: (response) => response.json(),
  text: (response) => response.text(),
  // What is kept is JSON: the bytes as numbers.
  binary: async (response) => ({
    bytes: [...await response.bytes()],
    mediaType: response.headers.get("content-type")?.split(";")[0].trim().toLowerCase() || "application/octet-stream",
  }),
};

// Sends the requests that are due. Returns a promise of their ends, or nothing if none is.
function sendDue() {
  const due = fetches.filter(({ document, request }) => read(document, ["request"]) !== JSON.stringify(request.get()));
  return due.length === 0 ? undefined : Promise.all(due.map(({ document, request }) => send(document, request[STATE].document, request.get())));
}

async function send(document, derived, request) {
  if (!isSetup && document.name !== undefined && isTainted(derived) && !isTold([document.name])) {
    throw new TypeError("a request of fetchData() follows from a secret, as it did not when the charm was deployed: deploy the charm again");
  }
  const done = (state) => write(document, [], { pending: false, ...state, request: JSON.stringify(request) });
  if (request.url === "") return done({});
  try {
    const { body, ...options } = request.options;
    const init = body === undefined ? options : { ...options, body: typeof body === "string" ? body : JSON.stringify(body) };
    const response = await fetch(new URL(request.url, host.apiUrl()), init);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`.trim());
    done({ result: await READERS[request.mode](response) });
  } catch (error) {
    done({ error: describe(error) });
  }
}

// How often derived cells, requests and events may cause one another in a row.
const MAX_ROUNDS = 100;
let rounds = 0;

// Brings up to date what follows from what was written, or everything. Returns a promise if that takes requests or
// events: call it again after.
function settle(everything) {
  for (let last; last !== clock;) {
    last = clock;
    for (const document of derivations) {
      if (everything || document.derived.isNew) refresh(document);
      else if (follows(document)) follow(document);
    }
    if (++rounds > MAX_ROUNDS) throw new RangeError("derived cells don't settle: what they write changes what they follow from");
  }
  return sendDue() ?? handleDue();
}

// What changes while a derived document is computed that may not follow from anything new: the documents as they were,
// how many events were sent before, and the lines of the log.
let attempt;

// Computes a derived document again, one of whose inputs was written. Only what it reads says whether it follows from
// that one, or just writes it; if it read nothing that is new, what it did is undone.
function follow(document) {
  if (document.derived.reads !== undefined || attempt !== undefined) return refresh(document);
  const { log } = host;
  const lines = [];
  attempt = new Map();
  const sent = events.length;
  host.log = (level, text) => lines.push([level, text]);
  try {
    refresh(document);
  } finally {
    host.log = log;
    const before = attempt;
    attempt = undefined;
    if (document.derived.reads === undefined || readsNews(document.derived.reads, before)) {
      for (const [level, text] of lines) log(level, text);
    } else {
      before.forEach((kept, changed) => Object.assign(changed, kept));
      for (const read of document.derived.reads) read.version = read.document.version;
      clock++;
      events.length = sent;
    }
  }
}

function keepForUndoing(document) {
  if (attempt === undefined || attempt.has(document)) return;
  const { text, tree, dirty, version, kept } = document;
  attempt.set(document, { text: text ?? (tree === undefined ? undefined : JSON.stringify(tree)), tree: undefined, dirty, version, kept });
}

// Whether something that was read had been written before, in this call or by others since the last one.
function readsNews(reads, before, seen = new Set()) {
  return reads.some(({ document, isOwn }) => {
    if (isOwn) return false;
    if (document.derived === undefined) return (before.get(document) ?? document).dirty || isChangedByOthers(document);
    if (seen.has(document)) return false;
    seen.add(document);
    return document.derived.isNew || readsNews(document.derived.reads ?? [], before, seen);
  });
}

// The cells that others have written since the charm's last call: by hand, over the API, with a new token.
let changedByOthers;

function isChangedByOthers({ name }) {
  changedByOthers ??= new Set(host.parse(host.changed()));
  return name !== undefined && (changedByOthers.has(name) || changedByOthers.has(ANY));
}

// Whether something that a value shows, or that this links to, was written in this call, or by others before it.
function touched(value, seen = new Set()) {
  return cellsIn(value).some((cell) => isTouched(cell[STATE].document, seen));
}

function isTouched(document, seen) {
  if (seen.has(document)) return false;
  seen.add(document);
  if (document.derived !== undefined) return follows(document, seen);
  return document.dirty || isChangedByOthers(document) || linksOf(document).some((target) => isTouched(target, seen));
}

function follows(document, seen = new Set()) {
  const { inputs } = document.derived;
  return inputs === undefined || touched(inputs, seen);
}
