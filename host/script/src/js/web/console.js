// The console: each call is a line of the log.

// How deep, how much of a collection and how much of a text is shown.
const SHOWN_LEVELS = 5;
const SHOWN_ITEMS = 100;
const SHOWN_TEXT = 10_000;

const quoted = (text) => JSON.stringify(text.length > SHOWN_TEXT ? `${text.slice(0, SHOWN_TEXT)}…` : text);

function inspect(value, above = []) {
  switch (typeof value) {
    case "string": return quoted(value);
    case "bigint": return `${value}n`;
    case "symbol": return value.toString();
    case "number": return Object.is(value, -0) ? "-0" : String(value);
    case "function": return `[function ${value.name || "(anonymous)"}]`;
    case "object": break;
    default: return String(value);
  }
  if (value === null) return "null";
  if (above.includes(value)) return "[circular]";
  try {
    return inspectObject(value, [...above, value]);
  } catch {
    return "[object]";
  }
}

function inspectObject(value, above) {
  if (isCell(value)) return inspect(valueOf(value), above);
  if (value instanceof Error) return describe(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof RegExp || value instanceof URL) return String(value);
  if (value instanceof Promise) return "Promise {}";
  if (value instanceof Number || value instanceof String || value instanceof Boolean) return `[${value.constructor.name}: ${inspect(value.valueOf())}]`;
  const name = nameOf(value);
  const deep = above.length > SHOWN_LEVELS;
  const show = (part) => inspect(part, above);
  const pairs = ([key, part]) => `${show(key)} => ${show(part)}`;
  if (value instanceof Map) return deep ? `[${name}]` : `${name}(${value.size}) ${list("{ ", value, value.size, pairs, " }")}`;
  if (value instanceof Set) return deep ? `[${name}]` : `${name}(${value.size}) ${list("{ ", value, value.size, show, " }")}`;
  if (value instanceof Headers || value instanceof URLSearchParams) return `${name} ${list("{ ", value, 0, pairs, " }")}`;
  if (value instanceof ArrayBuffer) return `ArrayBuffer { byteLength: ${value.byteLength} }`;
  if (Array.isArray(value)) {
    return deep ? "[Array]" : `${name === "Array" ? "" : `${name} `}${list("[", items(value), value.length, show, "]")}`;
  }
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return `${name}(${value.length}) ${list("[", value, value.length, show, "]")}`;
  const keys = Object.keys(value);
  if (value instanceof Response) keys.push("status", "url");
  if (value instanceof Request) keys.push("method", "url");
  if (deep && keys.length > 0) return `[${name}]`;
  const fields = list("{ ", keys, keys.length, (key) => `${/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? key : quoted(key)}: ${field(value, key, above)}`, " }");
  return name === "Object" ? fields : `${name} ${fields}`;
}

function nameOf(value) {
  const made = Object.getPrototypeOf(value);
  return made === null ? "[no prototype]" : typeof made.constructor === "function" && made.constructor.name || "Object";
}

function field(value, key, above) {
  const own = Object.getOwnPropertyDescriptor(value, key);
  return own !== undefined && own.get !== undefined ? "[getter]" : inspect(value[key], above);
}

function* items(array) {
  for (let at = 0; at < array.length && at <= SHOWN_ITEMS; at++) yield array[at];
}

function list(open, parts, length, show, close) {
  const shown = [];
  for (const part of parts) {
    if (shown.length === SHOWN_ITEMS) {
      shown.push(length > SHOWN_ITEMS ? `… ${length - SHOWN_ITEMS} more` : "…");
      break;
    }
    shown.push(show(part));
  }
  return shown.length === 0 ? (open + close).replaceAll(" ", "") : open + shown.join(", ") + close;
}

// A text is itself where it stands alone.
const show = (value) => typeof value === "string" ? value : inspect(value);

// `%s` and the like in the first text take the values after it.
function format(values) {
  if (typeof values[0] !== "string" || values.length < 2 || !values[0].includes("%")) return values.map(show).join(" ");
  const rest = values.slice(1);
  const first = values[0].replace(/%([%sdifjoOc])/g, (whole, kind) => {
    if (kind === "%") return "%";
    if (rest.length === 0) return whole;
    const value = rest.shift();
    if (kind === "s") return show(value);
    if (kind === "c") return "";
    if (kind === "j") return JSON.stringify(value) ?? "undefined";
    if (kind === "o" || kind === "O") return inspect(value);
    if (typeof value === "symbol") return "NaN";
    return String(kind === "f" ? parseFloat(value) : kind === "i" || typeof value !== "number" ? parseInt(value, 10) : value);
  });
  return [first, ...rest.map(show)].join(" ");
}

let indent = "";
const counts = new Map();
const stopwatches = new Map();
const writeLine = (level, text) => host.log(level, indent + text);
const writer = (level) => (...values) => writeLine(level, format(values));

// Says how long a stopwatch has run.
function elapsed(label, values) {
  const name = toDOMString(label);
  const began = stopwatches.get(name);
  if (began === undefined) return writeLine("warn", `there is no timer "${name}"`);
  writeLine("info", format([`${name}: ${(host.now() - began).toFixed(3)} ms`, ...values]));
}

// One line for the names of the columns, and one for each row.
function table(data, columns) {
  if (data === null || typeof data !== "object") return writeLine("info", show(data));
  const rows = data instanceof Map || data instanceof Set ? [...data.entries()] : Object.entries(isCell(data) ? valueOf(data) ?? {} : data);
  const isRow = (row) => row !== null && typeof row === "object";
  const keys = columns ?? [...new Set(rows.flatMap(([, row]) => isRow(row) ? Object.keys(row) : []))];
  const values = rows.some(([, row]) => !isRow(row));
  writeLine("info", ["(index)", ...keys, ...(values ? ["Values"] : [])].join(" | "));
  for (const [index, row] of rows) {
    const cells = keys.map((key) => isRow(row) && Object.hasOwn(row, key) ? inspect(row[key]) : "");
    writeLine("info", [show(index), ...cells, ...(values ? [isRow(row) ? "" : inspect(row)] : [])].join(" | "));
  }
}

const group = (...labels) => {
  if (labels.length > 0) writeLine("info", format(labels));
  indent += "  ";
};

define({
  console: {
    trace: (...values) => writeLine("trace", ["Trace", ...(values.length > 0 ? [format(values)] : [])].join(": ")),
    debug: writer("debug"),
    log: writer("info"),
    info: writer("info"),
    dir: (value) => writeLine("info", inspect(value)),
    warn: writer("warn"),
    error: writer("error"),
    assert: (holds, ...values) => {
      if (!holds) writeLine("error", ["Assertion failed", ...(values.length > 0 ? [format(values)] : [])].join(": "));
    },
    group,
    groupCollapsed: group,
    groupEnd: () => {
      indent = indent.slice(2);
    },
    count: (label = "default") => {
      const name = toDOMString(label);
      counts.set(name, (counts.get(name) ?? 0) + 1);
      writeLine("info", `${name}: ${counts.get(name)}`);
    },
    countReset: (label = "default") => {
      if (!counts.delete(toDOMString(label))) writeLine("warn", `there is no count "${label}"`);
    },
    time: (label = "default") => {
      if (stopwatches.has(toDOMString(label))) writeLine("warn", `the timer "${label}" runs already`);
      else stopwatches.set(toDOMString(label), host.now());
    },
    timeLog: (label = "default", ...values) => elapsed(label, values),
    timeEnd: (label = "default") => {
      elapsed(label, []);
      stopwatches.delete(toDOMString(label));
    },
    table,
    clear: () => {},
  },
});
