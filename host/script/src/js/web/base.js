// What charms expect of a browser or of Deno, after the standards of the WHATWG. Nothing here reads a clock or draws a
// random number before a charm asks: the engine may be copied after it has started.

// Makes globals, as the web's are: not enumerable, and open to be replaced.
function define(things) {
  for (const [name, value] of Object.entries(things)) {
    Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
    if (/^[A-Z]/.test(name)) Object.defineProperty(value.prototype, Symbol.toStringTag, { value: name, configurable: true });
  }
}

// As Web IDL has it: a symbol is not a text, and half a surrogate pair becomes U+FFFD.
const toDOMString = (value) => `${value}`;
const toUSV = (value) => `${value}`.toWellFormed();

// What nobody can catch any more fails the call, as a rejection that nobody handles does.
const report = (error) => void Promise.reject(error);

const CODES = {
  IndexSizeError: 1, HierarchyRequestError: 3, WrongDocumentError: 4, InvalidCharacterError: 5, NoModificationAllowedError: 7,
  NotFoundError: 8, NotSupportedError: 9, InUseAttributeError: 10, InvalidStateError: 11, SyntaxError: 12, InvalidModificationError: 13,
  NamespaceError: 14, InvalidAccessError: 15, TypeMismatchError: 17, SecurityError: 18, NetworkError: 19, AbortError: 20,
  URLMismatchError: 21, QuotaExceededError: 22, TimeoutError: 23, InvalidNodeTypeError: 24, DataCloneError: 25,
};

class DOMException extends Error {
  #name;
  constructor(message = "", name = "Error") {
    super(toDOMString(message));
    this.#name = toDOMString(name);
  }
  get name() {
    return this.#name;
  }
  get code() {
    return Object.hasOwn(CODES, this.#name) ? CODES[this.#name] : 0;
  }
}
define({ DOMException });

// The bytes of a buffer or a view, which are shared with it.
function bytesOf(data) {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw new TypeError("expected an ArrayBuffer, a typed array or a DataView");
}

// The engine's own JSON.parse compiles its text as a program.
const parseSlowly = JSON.parse;
JSON.parse = function parse(text, reviver) {
  return reviver === undefined ? host.parse(toDOMString(text)) : parseSlowly(text, reviver);
};
