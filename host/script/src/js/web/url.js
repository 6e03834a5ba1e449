// URLs, after the URL standard; what parses and changes them is outside.

// What the host makes of a URL: these parts, in this order.
const PARTS = ["href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash", "origin"];

class URLSearchParams {
  // Pairs of texts, and what is called when they change.
  #pairs = [];
  #changed = () => {};

  constructor(init = "") {
    if (typeof init === "object" && init !== null || typeof init === "function") {
      if (typeof init[Symbol.iterator] === "function") {
        for (const pair of init) {
          const [name, value, ...more] = [...pair].map(toUSV);
          if (value === undefined || more.length > 0) throw new TypeError("URLSearchParams: each item is a pair");
          this.#pairs.push([name, value]);
        }
      } else {
        for (const key of Object.keys(init)) this.#put(toUSV(key), toUSV(init[key]));
      }
    } else {
      this.#parse(toUSV(init).replace(/^\?/, ""));
    }
  }
  #put(name, value) {
    const at = this.#pairs.findIndex(([key]) => key === name);
    if (at < 0) this.#pairs.push([name, value]);
    else this.#pairs[at][1] = value;
  }
  #parse(text) {
    const flat = host.parseForm(text);
    this.#pairs = [];
    for (let at = 0; at < flat.length; at += 2) this.#pairs.push([flat[at], flat[at + 1]]);
  }
  // The parameters of a URL: `changed` hears of what happens to them; what is returned follows the URL.
  static of(search, changed) {
    const params = new URLSearchParams(search);
    params.#changed = changed;
    return [params, (text) => params.#parse(text.replace(/^\?/, ""))];
  }
  append(name, value) {
    this.#pairs.push([toUSV(name), toUSV(value)]);
    this.#changed();
  }
  delete(name, value) {
    const [key, only] = [toUSV(name), value === undefined ? undefined : toUSV(value)];
    this.#pairs = this.#pairs.filter((pair) => pair[0] !== key || (only !== undefined && pair[1] !== only));
    this.#changed();
  }
  get(name) {
    const key = toUSV(name);
    return this.#pairs.find((pair) => pair[0] === key)?.[1] ?? null;
  }
  getAll(name) {
    const key = toUSV(name);
    return this.#pairs.filter((pair) => pair[0] === key).map((pair) => pair[1]);
  }
  has(name, value) {
    const [key, only] = [toUSV(name), value === undefined ? undefined : toUSV(value)];
    return this.#pairs.some((pair) => pair[0] === key && (only === undefined || pair[1] === only));
  }
  set(name, value) {
    const key = toUSV(name);
    this.#put(key, toUSV(value));
    const first = this.#pairs.findIndex((pair) => pair[0] === key);
    this.#pairs = this.#pairs.filter((pair, at) => pair[0] !== key || at === first);
    this.#changed();
  }
  sort() {
    this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#changed();
  }
  forEach(fn, self) {
    for (const [name, value] of this) fn.call(self, value, name, this);
  }
  // What changes while it runs is seen, as the standard has it.
  *entries() {
    for (let at = 0; at < this.#pairs.length; at++) yield [...this.#pairs[at]];
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
  get size() {
    return this.#pairs.length;
  }
  toString() {
    return host.formatForm(this.#pairs.flat());
  }
}
const paramsOf = URLSearchParams.of;
delete URLSearchParams.of;

class URL {
  #parts;
  #params;
  #follow;

  constructor(url, base) {
    const parts = parseUrl(url, base);
    if (typeof parts === "string") throw new TypeError(`Invalid URL: ${parts}`);
    this.#parts = parts;
  }
  static canParse(url, base) {
    return typeof parseUrl(url, base) !== "string";
  }
  static parse(url, base) {
    return URL.canParse(url, base) ? new URL(url, base) : null;
  }
  #set(part, value) {
    const changed = host.setUrl(this.#parts.href, part, toUSV(value));
    if (changed === undefined) {
      if (part === "href") throw new TypeError("Invalid URL");
      return;
    }
    this.#parts = named(changed);
    // Only these change the query.
    if (part === "href" || part === "search") this.#follow?.(this.#parts.search);
  }
  get searchParams() {
    if (this.#params === undefined) {
      [this.#params, this.#follow] = paramsOf(this.#parts.search, () => {
        this.#parts = named(host.setUrl(this.#parts.href, "search", this.#params.toString()));
      });
    }
    return this.#params;
  }
  get href() {
    return this.#parts.href;
  }
  set href(value) {
    this.#set("href", value);
  }
  get origin() {
    return this.#parts.origin;
  }
  get protocol() {
    return this.#parts.protocol;
  }
  set protocol(value) {
    this.#set("protocol", value);
  }
  get username() {
    return this.#parts.username;
  }
  set username(value) {
    this.#set("username", value);
  }
  get password() {
    return this.#parts.password;
  }
  set password(value) {
    this.#set("password", value);
  }
  get host() {
    return this.#parts.host;
  }
  set host(value) {
    this.#set("host", value);
  }
  get hostname() {
    return this.#parts.hostname;
  }
  set hostname(value) {
    this.#set("hostname", value);
  }
  get port() {
    return this.#parts.port;
  }
  set port(value) {
    this.#set("port", value);
  }
  get pathname() {
    return this.#parts.pathname;
  }
  set pathname(value) {
    this.#set("pathname", value);
  }
  get search() {
    return this.#parts.search;
  }
  set search(value) {
    this.#set("search", value);
  }
  get hash() {
    return this.#parts.hash;
  }
  set hash(value) {
    this.#set("hash", value);
  }
  toString() {
    return this.href;
  }
  toJSON() {
    return this.href;
  }
}

const named = (parts) => Object.fromEntries(PARTS.map((name, at) => [name, parts[at]]));

// The parts of a URL, or why it is not one.
function parseUrl(url, base) {
  const parts = host.parseUrl(toUSV(url), base === undefined ? undefined : toUSV(base));
  return typeof parts === "string" ? parts : named(parts);
}

define({ URL, URLSearchParams });
