// structuredClone, after HTML's.

const uncloneable = (what) => new DOMException(`${what} can't be cloned`, "DataCloneError");

const ERRORS = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

// Of these a copy would not be the same thing.
const ONE_OF_A_KIND = [Promise, WeakMap, WeakSet, WeakRef, Body, Headers, URL, URLSearchParams, EventTarget, Event, TextDecoder, TextEncoder];

const typedArrayKind = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get;

// Copies what has no parts that are values, and makes an empty one of what has.
function begin(value, clone) {
  if (value instanceof Boolean || value instanceof Number || value instanceof String || value instanceof BigInt) return Object(value.valueOf());
  if (value instanceof Symbol) throw uncloneable("a symbol");
  if (value instanceof Date) return new Date(Date.prototype.getTime.call(value));
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (value instanceof DataView) return new DataView(clone(value.buffer), value.byteOffset, value.byteLength);
  if (ArrayBuffer.isView(value)) return new globalThis[typedArrayKind.call(value)](clone(value.buffer), value.byteOffset, value.length);
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  if (value instanceof DOMException) return new DOMException(value.message, value.name);
  if (value instanceof Error) {
    const Kind = Object.hasOwn(ERRORS, value.name) ? ERRORS[value.name] : Error;
    return new Kind(...(Object.hasOwn(value, "message") ? [toDOMString(value.message)] : []));
  }
  if (Array.isArray(value)) return new Array(value.length);
  return {};
}

function structuredClone(value, options = undefined) {
  if ([...(options?.transfer ?? [])].length > 0) throw uncloneable("`transfer` is not supported here: what is transferred");
  const seen = new Map();
  const clone = (one) => {
    if (typeof one === "symbol") throw uncloneable("a symbol");
    if (typeof one === "function") throw uncloneable(`the function ${one.name || "without a name"}`);
    if (one === null || typeof one !== "object") return one;
    if (seen.has(one)) return seen.get(one);
    if (isCell(one)) throw uncloneable("a cell (write cell.get())");
    const kind = ONE_OF_A_KIND.find((kind) => one instanceof kind);
    if (kind !== undefined) throw uncloneable(`an object of the class ${one.constructor?.name || kind.name}`);
    const made = begin(one, clone);
    seen.set(one, made);
    if (made instanceof Map) for (const [key, part] of [...one]) made.set(clone(key), clone(part));
    else if (made instanceof Set) for (const part of [...one]) made.add(clone(part));
    else if (made instanceof Error && Object.hasOwn(one, "cause")) {
      Object.defineProperty(made, "cause", { value: clone(one.cause), writable: true, enumerable: false, configurable: true });
    } else if (Array.isArray(made) || Object.getPrototypeOf(made) === Object.prototype) {
      for (const key of Object.keys(one)) {
        Object.defineProperty(made, key, { value: clone(one[key]), writable: true, enumerable: true, configurable: true });
      }
    }
    return made;
  };
  return clone(value);
}

define({ structuredClone });
