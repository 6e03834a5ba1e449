// Request and Response, after the Fetch standard. A body is whole: there are no streams.

const NO_STREAMS = "streams are not supported here";

// Bytes and media type of what somebody gives as a body; no bytes for none.
function extract(body) {
  if (body === undefined || body === null) return {};
  if (body instanceof URLSearchParams) {
    return { bytes: host.encode(String(body)), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  }
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return { bytes: bytesOf(body).slice().buffer };
  if (isBlob(body)) return { bytes: blobs.bytes(body).slice().buffer, type: body.type === "" ? undefined : body.type };
  if (typeof body === "object" || typeof body === "function") {
    if (typeof body.getReader === "function" || typeof body[Symbol.asyncIterator] === "function") {
      throw new TypeError(`a ReadableStream is no body here: ${NO_STREAMS}; give a text or bytes`);
    }
    const kind = Object.prototype.toString.call(body).slice(8, -1);
    if (kind === "FormData" || kind === "Blob" || kind === "File") {
      throw new TypeError(`a ${kind} is no body here; give a text, bytes or URLSearchParams`);
    }
    if (isCell(body) || String(body) === Object.prototype.toString.call(body) || Array.isArray(body)) {
      throw new TypeError("an object is no body; write JSON.stringify(…), or give a text, bytes or URLSearchParams");
    }
  }
  return { bytes: host.encode(toUSV(body)), type: "text/plain;charset=UTF-8" };
}

// What requests and responses have in common.
class Body {
  // An ArrayBuffer, or undefined for none.
  #bytes;
  #used = false;

  constructor(bytes) {
    this.#bytes = bytes;
  }
  get body() {
    if (this.#bytes === undefined) return null;
    throw new TypeError(`${this.constructor.name}.body: ${NO_STREAMS}; use text(), json(), arrayBuffer() or bytes()`);
  }
  get bodyUsed() {
    return this.#used;
  }
  #take() {
    if (this.#used) throw new TypeError(`the body of this ${this.constructor.name} has been read already; clone() it first to read it twice`);
    if (this.#bytes === undefined) return new ArrayBuffer(0);
    this.#used = true;
    return this.#bytes;
  }
  async arrayBuffer() {
    return noteDerived(this, this.#take());
  }
  async bytes() {
    return noteDerived(this, new Uint8Array(this.#take()));
  }
  async text() {
    return noteDerived(this, utf8(this.#take()));
  }
  async json() {
    return noteDerived(this, host.parse(utf8(this.#take())));
  }
  async blob() {
    return noteDerived(this, new (allBlobs().Blob)([this.#take()], { type: this.headers?.get("content-type") ?? "" }));
  }
  async formData() {
    throw new TypeError(`${this.constructor.name}.formData(): FormData is not supported here; use text(), and URLSearchParams for a form`);
  }
  static internals = {
    has: (body) => body.#bytes !== undefined,
    take: (body) => (body.#used || body.#bytes !== undefined ? body.#take() : undefined),
    copy: (body) => (body.#used ? body.#take() : body.#bytes?.slice(0)),
  };
}
// For the files that follow: whether there is a body; its bytes, read once; a copy of them, unread.
const { has: hasBody, take: takeBody, copy: copyBody } = Body.internals;
delete Body.internals;

// As the standard has it, and no others.
const NORMAL_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];
const REDIRECTS = ["follow", "error", "manual"];

function methodOf(given) {
  const text = toDOMString(given);
  if (!TOKEN.test(text)) throw new TypeError(`fetch: ${JSON.stringify(text)} is no method`);
  if (/^(CONNECT|TRACE|TRACK)$/i.test(text)) throw new TypeError(`fetch: the method ${text} is not allowed`);
  return NORMAL_METHODS.find((one) => one === text.toUpperCase()) ?? text;
}

// Errors show no more of a URL than where it leads.
function shortUrl(text) {
  const [, scheme, authority] = /^([^:/?#]+:\/\/)([^/?#]*)/.exec(text) ?? [undefined, "", text.replace(/[?#].*/, "").slice(0, 40)];
  return scheme + authority.slice(authority.lastIndexOf("@") + 1);
}

function targetOf(resource) {
  const text = toUSV(resource);
  const url = URL.parse(text);
  if (url === null) throw new TypeError(`fetch: not an absolute URL (${shortUrl(text)})`);
  if (url.username !== "" || url.password !== "") throw new TypeError(`fetch: the URL has a user or a password in it (${shortUrl(text)})`);
  return url.href;
}

function initOf(init, name) {
  if (init === undefined || init === null) return {};
  if (typeof init !== "object" && typeof init !== "function") throw new TypeError(`${name}: the options are not an object`);
  return init;
}

class Request extends Body {
  #url;
  #method;
  #headers;
  #signal;
  #redirect;

  constructor(input, given = undefined) {
    const init = initOf(given, "Request");
    const from = input instanceof Request ? input : undefined;
    const url = from === undefined ? targetOf(input) : from.url;
    const method = init.method === undefined ? from?.method ?? "GET" : methodOf(init.method);
    const headers = requestHeaders(init.headers ?? from?.headers);
    const redirect = init.redirect === undefined ? from?.redirect ?? "follow" : toDOMString(init.redirect);
    if (!REDIRECTS.includes(redirect)) throw new TypeError(`Request: \`redirect\` is one of ${REDIRECTS.join(", ")}`);
    const signal = init.signal === undefined ? from?.signal : init.signal;
    if (signal !== undefined && signal !== null && !(signal instanceof AbortSignal)) throw new TypeError("fetch: `signal` is not an AbortSignal");
    const { bytes, type } = extract(init.body);
    const any = bytes !== undefined || from !== undefined && hasBody(from);
    if (any && (method === "GET" || method === "HEAD")) throw new TypeError(`fetch: ${method} has no body`);
    if (type !== undefined && !headers.has("content-type")) headers.set("content-type", type);
    super(bytes ?? (from === undefined ? undefined : takeBody(from)));
    this.#url = url;
    this.#method = method;
    this.#headers = headers;
    this.#redirect = redirect;
    this.#signal = AbortSignal.any(signal ? [signal] : []);
  }
  get url() {
    return this.#url;
  }
  get method() {
    return this.#method;
  }
  get headers() {
    return this.#headers;
  }
  get signal() {
    return this.#signal;
  }
  get redirect() {
    return this.#redirect;
  }
  clone() {
    const { method, headers, signal, redirect } = this;
    return new Request(this.url, { method, headers, signal, redirect, body: copyBody(this) });
  }
}

const REASONS = {
  200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content", 205: "Reset Content",
  206: "Partial Content", 300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
  307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required",
  403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict",
  410: "Gone", 411: "Length Required", 412: "Precondition Failed", 413: "Content Too Large", 414: "URI Too Long",
  415: "Unsupported Media Type", 416: "Range Not Satisfiable", 417: "Expectation Failed", 421: "Misdirected Request",
  422: "Unprocessable Content", 423: "Locked", 424: "Failed Dependency", 425: "Too Early", 426: "Upgrade Required",
  428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons", 500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
  503: "Service Unavailable", 504: "Gateway Timeout",
};
const NULL_BODY = [101, 103, 204, 205, 304];
const REDIRECT_STATUS = [301, 302, 303, 307, 308];

// What only these files may hand to the constructor of a response.
const RECEIVED = Symbol("received");

class Response extends Body {
  #status;
  #statusText;
  #headers;
  #url = "";
  #redirected = false;
  #type = "default";

  constructor(body = null, given = undefined) {
    const init = initOf(given, "Response");
    const known = init[RECEIVED];
    const status = known?.status ?? Math.trunc(Number(init.status ?? 200));
    if (known === undefined && !(status >= 200 && status <= 599)) throw new RangeError("Response: `status` is a number from 200 to 599");
    const statusText = toDOMString(init.statusText ?? "");
    if (/[^\t\x20-\x7e\x80-\xff]/.test(statusText)) throw new TypeError("Response: `statusText` has a character in it that has no place there");
    const headers = known?.headers ?? new Headers(init.headers);
    const { bytes, type } = known === undefined ? extract(body) : { bytes: known.bytes };
    if (known === undefined && bytes !== undefined && NULL_BODY.includes(status)) throw new TypeError(`Response: a response with status ${status} has no body`);
    super(bytes);
    if (type !== undefined && !headers.has("content-type")) headers.set("content-type", type);
    this.#status = status;
    this.#statusText = statusText;
    this.#headers = headers;
    this.#url = known?.url ?? "";
    this.#redirected = known?.redirected ?? false;
    this.#type = known?.type ?? "default";
  }
  static json(data, init = undefined) {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError("Response.json(): this value has no JSON");
    const response = new Response(text, init);
    if (!new Headers(initOf(init, "Response").headers).has("content-type")) response.headers.set("content-type", "application/json");
    return response;
  }
  static error() {
    return new Response(null, { [RECEIVED]: { status: 0, headers: receivedHeaders([]), type: "error" } });
  }
  static redirect(url, status = 302) {
    if (!REDIRECT_STATUS.includes(status)) throw new RangeError(`Response.redirect(): ${status} is no status of a redirect`);
    return new Response(null, { [RECEIVED]: { status, headers: receivedHeaders(["location", new URL(url).href]), type: "default" } });
  }
  get status() {
    return this.#status;
  }
  get statusText() {
    return this.#statusText;
  }
  get ok() {
    return this.#status >= 200 && this.#status < 300;
  }
  get headers() {
    return this.#headers;
  }
  get url() {
    return this.#url;
  }
  get redirected() {
    return this.#redirected;
  }
  get type() {
    return this.#type;
  }
  clone() {
    const { status, statusText, url, redirected, type } = this;
    const headers = type === "default" ? new Headers(this.headers) : this.headers;
    const copy = new Response(null, { statusText, [RECEIVED]: { status, headers, url, redirected, type, bytes: copyBody(this) } });
    return noteDerived(this, copy);
  }
}

define({ Request, Response });
