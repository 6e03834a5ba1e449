// What charms expect of a browser: console, timers, encodings, fetch.

const define = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });

function show(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return describe(value);
  if (typeof value === "function") return `[function ${value.name}]`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

const writer = (level) => (...parts) => host.log(level, parts.map(show).join(" "));
define("console", {
  trace: writer("trace"),
  debug: writer("debug"),
  log: writer("info"),
  info: writer("info"),
  warn: writer("warn"),
  error: writer("error"),
  assert: (holds, ...parts) => holds ? undefined : writer("error")("Assertion failed:", ...parts),
});

define("setTimeout", (fn, delay = 0, ...args) => {
  if (typeof fn !== "function") throw new TypeError("setTimeout() needs a function");
  const milliseconds = Number(delay);
  return host.setTimer(() => void fn(...args), milliseconds > 0 ? milliseconds : 0);
});
define("clearTimeout", (id) => host.clearTimer(Number(id)));
define("queueMicrotask", (fn) => void Promise.resolve().then(() => fn()));

define("atob", (text) => host.fromBase64(String(text)));
define("btoa", (text) => host.toBase64(String(text)));

const bytesOf = (data) => {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw new TypeError("expected an ArrayBuffer or a typed array");
};

define("TextEncoder", class TextEncoder {
  get encoding() {
    return "utf-8";
  }
  encode(text = "") {
    return new Uint8Array(host.encode(String(text)));
  }
});
define("TextDecoder", class TextDecoder {
  constructor(label = "utf-8") {
    if (!/^utf-?8$/i.test(label)) throw new RangeError(`TextDecoder: ${label} is not supported, only utf-8`);
  }
  get encoding() {
    return "utf-8";
  }
  decode(data = new Uint8Array()) {
    return host.decode(bytesOf(data).slice().buffer);
  }
});

// The engine's own JSON.parse compiles its text as a program.
const parseSlowly = JSON.parse;
JSON.parse = function parse(text, reviver) {
  return reviver === undefined ? host.parse(String(text)) : parseSlowly(text, reviver);
};

class URLSearchParams {
  #pairs = [];
  constructor(init = "") {
    if (typeof init === "string") {
      for (const piece of init.replace(/^\?/, "").split("&")) {
        if (piece === "") continue;
        const at = piece.indexOf("=");
        const [key, value] = at < 0 ? [piece, ""] : [piece.slice(0, at), piece.slice(at + 1)];
        this.#pairs.push([decodePart(key), decodePart(value)]);
      }
    } else {
      const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
      for (const [key, value] of pairs) this.append(key, value);
    }
  }
  append(key, value) {
    this.#pairs.push([String(key), String(value)]);
  }
  delete(key) {
    this.#pairs = this.#pairs.filter(([name]) => name !== String(key));
  }
  get(key) {
    return this.#pairs.find(([name]) => name === String(key))?.[1] ?? null;
  }
  getAll(key) {
    return this.#pairs.filter(([name]) => name === String(key)).map(([, value]) => value);
  }
  has(key) {
    return this.#pairs.some(([name]) => name === String(key));
  }
  set(key, value) {
    const at = this.#pairs.findIndex(([name]) => name === String(key));
    if (at < 0) return this.append(key, value);
    this.#pairs = this.#pairs.filter(([name], index) => name !== String(key) || index === at);
    this.#pairs[this.#pairs.findIndex(([name]) => name === String(key))][1] = String(value);
  }
  forEach(fn) {
    for (const [key, value] of this.#pairs) fn(value, key, this);
  }
  *[Symbol.iterator]() {
    yield* this.#pairs.map(([key, value]) => [key, value]);
  }
  entries() {
    return this[Symbol.iterator]();
  }
  get size() {
    return this.#pairs.length;
  }
  toString() {
    return this.#pairs.map((pair) => pair.map(encodePart).join("=")).join("&");
  }
}
define("URLSearchParams", URLSearchParams);

function encodePart(text) {
  const escaped = encodeURIComponent(text).replace(/[!'()~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return escaped.replaceAll("%20", "+");
}

function decodePart(text) {
  const spaced = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

class Headers {
  #fields = new Map();
  constructor(init = []) {
    const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
    for (const [name, value] of pairs) this.append(name, value);
  }
  append(name, value) {
    const key = String(name).toLowerCase();
    const text = String(value).trim();
    this.#fields.set(key, this.#fields.has(key) ? `${this.#fields.get(key)}, ${text}` : text);
  }
  set(name, value) {
    this.#fields.set(String(name).toLowerCase(), String(value).trim());
  }
  delete(name) {
    this.#fields.delete(String(name).toLowerCase());
  }
  get(name) {
    return this.#fields.get(String(name).toLowerCase()) ?? null;
  }
  has(name) {
    return this.#fields.has(String(name).toLowerCase());
  }
  forEach(fn) {
    for (const [name, value] of this) fn(value, name, this);
  }
  *[Symbol.iterator]() {
    yield* [...this.#fields].sort(([a], [b]) => (a < b ? -1 : 1));
  }
  entries() {
    return this[Symbol.iterator]();
  }
  *keys() {
    for (const [name] of this) yield name;
  }
  *values() {
    for (const [, value] of this) yield value;
  }
}
define("Headers", Headers);

class Response {
  #body;
  #used = false;
  constructor(body = undefined, { status = 200, statusText = "", headers = [], url = "" } = {}) {
    this.#body = body instanceof ArrayBuffer ? body : toBody(body).bytes?.buffer ?? new ArrayBuffer(0);
    this.status = status;
    this.statusText = statusText;
    this.headers = new Headers(headers);
    this.url = url;
    this.ok = status >= 200 && status < 300;
    this.redirected = false;
    this.type = "basic";
  }
  get bodyUsed() {
    return this.#used;
  }
  #take() {
    if (this.#used) throw new TypeError("the body of this response has been read already");
    this.#used = true;
    return this.#body;
  }
  async arrayBuffer() {
    return this.#take();
  }
  async bytes() {
    return new Uint8Array(this.#take());
  }
  async text() {
    return host.decode(this.#take());
  }
  async json() {
    return host.parse(host.decode(this.#take()));
  }
}
define("Response", Response);

function toBody(body) {
  if (body === undefined || body === null) return {};
  if (body instanceof URLSearchParams) {
    return { bytes: new Uint8Array(host.encode(body.toString())), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  }
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return { bytes: bytesOf(body).slice() };
  return { bytes: new Uint8Array(host.encode(String(body))), type: "text/plain;charset=UTF-8" };
}

const REASONS = {
  200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently", 302: "Found", 304: "Not Modified",
  400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict", 410: "Gone", 422: "Unprocessable Entity",
  429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
};

// Errors show no more of a URL than where it leads.
function originOf(url) {
  const [, scheme, authority] = /^([^:/?#]+:\/\/)([^/?#]*)/.exec(url) ?? [undefined, "", url.slice(0, 40)];
  return scheme + authority.slice(authority.lastIndexOf("@") + 1);
}

// Redirects are not followed: their responses come back as they are.
define("fetch", (resource, init = {}) => {
  try {
    const url = String(resource);
    if (init.signal) throw new TypeError("fetch: `signal` is not supported here");
    const method = String(init.method ?? "GET").toUpperCase();
    const headers = new Headers(init.headers ?? []);
    const { bytes, type } = toBody(init.body);
    if (bytes !== undefined && (method === "GET" || method === "HEAD")) throw new TypeError(`fetch: ${method} has no body`);
    if (type !== undefined && !headers.has("content-type")) headers.set("content-type", type);
    // Made here, where the stack still tells who asked.
    const failure = new TypeError("fetch failed");
    return host.fetch(method, url, [...headers].flat(), bytes?.buffer).then(([status, fields, body]) => {
      const pairs = [];
      for (let at = 0; at < fields.length; at += 2) pairs.push([fields[at], fields[at + 1]]);
      return new Response(body, { status, statusText: REASONS[status] ?? "", headers: pairs, url });
    }, (reason) => {
      failure.message = `fetch failed: ${reason} (${originOf(url)})`;
      throw failure;
    });
  } catch (error) {
    return Promise.reject(error);
  }
});
