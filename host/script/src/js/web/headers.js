// Headers, after the Fetch standard.

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function headerName(name) {
  const text = toDOMString(name);
  if (!TOKEN.test(text)) throw new TypeError(`Headers: ${JSON.stringify(text)} is no name of a header`);
  return text.toLowerCase();
}

// Values are not shown in errors: they may be secrets.
function headerValue(name, value) {
  const text = toDOMString(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (/[\0\n\r]/.test(text)) throw new TypeError(`Headers: the value of ${name} has a line break or a zero in it`);
  if (/[^\0-\xff]/.test(text)) throw new TypeError(`Headers: the value of ${name} has a character over 255 in it`);
  return text;
}

// What a request cannot have, by the Fetch standard: what is set under these names is ignored. Those of its names that
// are not here (`Cookie`, `Origin`, `Referer`, `Accept-Encoding`, `Date`, `Sec-…`, …) are the browser's own matter; a
// charm may set them.
const FORBIDDEN_NAMES = ["connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "via"];
const METHOD_NAMES = ["x-http-method", "x-http-method-override", "x-method-override"];

function isForbidden(name, value) {
  if (FORBIDDEN_NAMES.includes(name) || name.startsWith("proxy-")) return true;
  return METHOD_NAMES.includes(name) && value.split(",").some((one) => /^[\t ]*(connect|trace|track)[\t ]*$/i.test(one));
}

class Headers {
  // Names in lower case, and values, in order.
  #fields = [];
  #immutable = false;
  #ofRequest = false;

  constructor(init = undefined) {
    if (init === undefined) return;
    if (init === null || typeof init !== "object" && typeof init !== "function") {
      throw new TypeError("Headers: expected an object, a list of pairs, or Headers");
    }
    if (typeof init[Symbol.iterator] === "function") {
      for (const pair of init) {
        if (pair === null || typeof pair !== "object") throw new TypeError("Headers: each item is a pair of a name and a value");
        const parts = [...pair];
        if (parts.length !== 2) throw new TypeError("Headers: each item is a pair of a name and a value");
        this.append(parts[0], parts[1]);
      }
    } else {
      for (const key of Object.keys(init)) this.append(key, init[key]);
    }
  }
  // Headers as they came, which nobody may change.
  static received(fields) {
    const headers = new Headers();
    for (let at = 0; at < fields.length; at += 2) headers.#fields.push([fields[at].toLowerCase(), fields[at + 1]]);
    headers.#immutable = true;
    return headers;
  }
  // Those of a request.
  static ofRequest(init) {
    const headers = new Headers();
    headers.#ofRequest = true;
    for (const [name, value] of new Headers(init)) headers.append(name, value);
    return headers;
  }
  #guard() {
    if (this.#immutable) throw new TypeError("Headers: those of a response that was received can't be changed; make new Headers of them");
  }
  append(name, value) {
    const key = headerName(name);
    const text = headerValue(key, value);
    this.#guard();
    if (this.#ofRequest && isForbidden(key, text)) return;
    this.#fields.push([key, text]);
  }
  set(name, value) {
    const key = headerName(name);
    const text = headerValue(key, value);
    this.#guard();
    if (this.#ofRequest && isForbidden(key, text)) return;
    const at = this.#fields.findIndex(([one]) => one === key);
    this.#fields = this.#fields.filter(([one], index) => one !== key || index === at);
    if (at < 0) this.#fields.push([key, text]);
    else this.#fields[at] = [key, text];
  }
  delete(name) {
    const key = headerName(name);
    this.#guard();
    this.#fields = this.#fields.filter(([one]) => one !== key);
  }
  get(name) {
    const key = headerName(name);
    const values = this.#fields.filter(([one]) => one === key).map(([, value]) => value);
    return values.length > 0 ? values.join(", ") : null;
  }
  has(name) {
    const key = headerName(name);
    return this.#fields.some(([one]) => one === key);
  }
  getSetCookie() {
    return this.#fields.filter(([name]) => name === "set-cookie").map(([, value]) => value);
  }
  // Sorted, values of one name together; cookies alone stay apart.
  #sorted() {
    const names = [...new Set(this.#fields.map(([name]) => name))].sort();
    return names.flatMap((name) =>
      name === "set-cookie" ? this.getSetCookie().map((value) => [name, value]) : [[name, this.get(name)]]);
  }
  forEach(fn, self) {
    for (const [name, value] of this) fn.call(self, value, name, this);
  }
  *entries() {
    let pairs = this.#sorted();
    for (let at = 0; at < pairs.length; at++) {
      yield pairs[at];
      pairs = this.#sorted();
    }
  }
  *keys() {
    for (const [name] of this) yield name;
  }
  *values() {
    for (const [, value] of this) yield value;
  }
  [Symbol.iterator]() {
    return this.entries();
  }
}
const receivedHeaders = Headers.received;
delete Headers.received;
const requestHeaders = Headers.ofRequest;
delete Headers.ofRequest;

define({ Headers });
