// Blob and File, after the File API standard: bytes and their media type. There are no streams and no `blob:` URLs.

const typeOf = (type) => (/[^\x20-\x7e]/.test(type) ? "" : type.toLowerCase());

// The bytes of the parts, one after another.
function joinedBytes(parts, endings) {
  const chunks = parts.map((part) => {
    if (part instanceof Blob) return internals.bytes(part);
    if (part instanceof ArrayBuffer || ArrayBuffer.isView(part)) return bytesOf(part);
    const text = toUSV(part);
    return new Uint8Array(host.encode(endings === "native" ? text.replace(/\r\n?/g, "\n") : text));
  });
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

// Where a slice begins or ends; negative is from the end.
const within = (at, size) => {
  const whole = Math.trunc(Number(at)) || 0;
  return whole < 0 ? Math.max(0, size + whole) : Math.min(whole, size);
};

let internals;

class Blob {
  #bytes;
  #type;
  constructor(parts = [], options = {}) {
    if (typeof parts !== "object" || parts === null || typeof parts[Symbol.iterator] !== "function") throw new TypeError("new Blob() needs a list of parts: texts, bytes or Blobs");
    if (options !== null && typeof options !== "object" && typeof options !== "function") throw new TypeError("new Blob(): the options are not an object");
    const endings = `${options?.endings ?? "transparent"}`;
    if (endings !== "transparent" && endings !== "native") throw new TypeError(`new Blob(): endings can't be ${endings}, only transparent, native`);
    this.#type = typeOf(`${options?.type ?? ""}`);
    this.#bytes = joinedBytes([...parts], endings);
  }
  get size() {
    return this.#bytes.length;
  }
  get type() {
    return this.#type;
  }
  slice(start = 0, end = this.size, type = "") {
    const [from, to] = [within(start, this.size), within(end, this.size)];
    return new Blob([this.#bytes.subarray(from, Math.max(from, to))], { type });
  }
  async arrayBuffer() {
    return this.#bytes.slice().buffer;
  }
  async bytes() {
    return this.#bytes.slice();
  }
  async text() {
    return utf8(this.#bytes.slice().buffer);
  }
  stream() {
    throw new TypeError(`${this.constructor.name}.stream(): streams are not supported here; use text(), arrayBuffer() or bytes()`);
  }
  static {
    internals = { bytes: (blob) => blob.#bytes, is: (value) => typeof value === "object" && value !== null && #bytes in value };
  }
}

class File extends Blob {
  #name;
  #lastModified;
  constructor(parts, name, options = {}) {
    if (arguments.length < 2) throw new TypeError("new File() needs a list of parts and a name");
    super(parts, options);
    this.#name = toUSV(name);
    this.#lastModified = options?.lastModified === undefined ? Date.now() : Math.trunc(Number(options.lastModified)) || 0;
  }
  get name() {
    return this.#name;
  }
  get lastModified() {
    return this.#lastModified;
  }
  get webkitRelativePath() {
    return "";
  }
}

define({ Blob, File });
return { Blob, is: internals.is, bytes: internals.bytes };
