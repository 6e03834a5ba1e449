// Base64, UTF-8, and random bytes.

const UTF8_LABELS = ["unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "utf-8", "utf8", "x-unicode20utf8"];

class TextEncoder {
  get encoding() {
    return "utf-8";
  }
  encode(text = "") {
    return new Uint8Array(host.encode(toDOMString(text)));
  }
  encodeInto(text, destination) {
    if (!(destination instanceof Uint8Array)) throw new TypeError("encodeInto() writes into a Uint8Array");
    let read = 0;
    let written = 0;
    for (const char of toUSV(text)) {
      const bytes = new Uint8Array(host.encode(char));
      if (written + bytes.length > destination.length) break;
      destination.set(bytes, written);
      written += bytes.length;
      read += char.length;
    }
    return { read, written };
  }
}

class TextDecoder {
  #fatal;
  #ignoreBOM;
  // Bytes of a character that is not complete yet, and whether anything came out since the last flush.
  #pending = new Uint8Array();
  #begun = false;
  constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
    if (!UTF8_LABELS.includes(toDOMString(label).trim().toLowerCase())) {
      throw new RangeError(`TextDecoder: the encoding "${label}" is not supported here, only utf-8`);
    }
    this.#fatal = !!fatal;
    this.#ignoreBOM = !!ignoreBOM;
  }
  get encoding() {
    return "utf-8";
  }
  get fatal() {
    return this.#fatal;
  }
  get ignoreBOM() {
    return this.#ignoreBOM;
  }
  decode(data = new Uint8Array(), { stream = false } = {}) {
    const came = bytesOf(data);
    const bytes = new Uint8Array(this.#pending.length + came.length);
    bytes.set(this.#pending);
    bytes.set(came, this.#pending.length);
    this.#pending = new Uint8Array();
    const [decoded, rest] = host.decode(bytes.buffer, this.#fatal, !!stream);
    let text = decoded;
    if (text !== "" && !this.#begun && !this.#ignoreBOM && text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    this.#begun = stream && (this.#begun || decoded !== "");
    if (rest > 0) this.#pending = bytes.slice(bytes.length - rest);
    return text;
  }
}

// A body as text: UTF-8 without its mark.
function utf8(buffer) {
  const [text] = host.decode(buffer, false, false);
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

const INTEGERS = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array];

const subtle = {
  async digest(algorithm, data) {
    const name = toDOMString(typeof algorithm === "object" && algorithm !== null ? algorithm.name : algorithm);
    const digest = host.digest(name.toUpperCase(), bytesOf(data).slice().buffer);
    if (digest === undefined) throw new DOMException(`crypto.subtle.digest(): ${inspect(name)} is not supported here, only SHA-1, SHA-256, SHA-384, SHA-512`, "NotSupportedError");
    return digest;
  },
};
for (const name of ["decrypt", "deriveBits", "deriveKey", "encrypt", "exportKey", "generateKey", "importKey", "sign", "unwrapKey", "verify", "wrapKey"]) {
  subtle[name] = async () => {
    throw new DOMException(`crypto.subtle.${name}() is not available to charms: there are digests here, and no keys`, "NotSupportedError");
  };
}

const crypto = {
  subtle,
  getRandomValues(array) {
    if (!INTEGERS.some((kind) => array instanceof kind)) {
      throw new DOMException("getRandomValues() fills a typed array of integers", "TypeMismatchError");
    }
    if (array.byteLength > 65536) throw new DOMException("getRandomValues() gives at most 65,536 bytes at once", "QuotaExceededError");
    bytesOf(array).set(new Uint8Array(host.random(array.byteLength)));
    return array;
  },
  randomUUID() {
    const bytes = new Uint8Array(host.random(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  },
};

define({
  TextEncoder,
  TextDecoder,
  crypto,
  atob: (text) => {
    const decoded = host.fromBase64(toDOMString(text));
    if (decoded === undefined) throw new DOMException("atob: this is not base64", "InvalidCharacterError");
    return decoded;
  },
  btoa: (text) => {
    const encoded = host.toBase64(toDOMString(text));
    if (encoded === undefined) {
      throw new DOMException("btoa: a character is over 255; encode the text first, with TextEncoder", "InvalidCharacterError");
    }
    return encoded;
  },
});
