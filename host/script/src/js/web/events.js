// Events, and the signals by which what was begun is called off.

class Event {
  constructor(type, { bubbles = false, cancelable = false } = {}) {
    this[STATE] = { type: toDOMString(type), bubbles: !!bubbles, cancelable: !!cancelable, target: null, prevented: false, stopped: false };
  }
  get type() {
    return this[STATE].type;
  }
  get target() {
    return this[STATE].target;
  }
  get currentTarget() {
    return this[STATE].target;
  }
  get bubbles() {
    return this[STATE].bubbles;
  }
  get cancelable() {
    return this[STATE].cancelable;
  }
  get defaultPrevented() {
    return this[STATE].prevented;
  }
  preventDefault() {
    if (this[STATE].cancelable) this[STATE].prevented = true;
  }
  stopPropagation() {}
  stopImmediatePropagation() {
    this[STATE].stopped = true;
  }
}

class EventTarget {
  #listeners = [];
  addEventListener(type, callback, options = {}) {
    const { capture, once, signal } = typeof options === "object" && options !== null ? options : { capture: options };
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError("addEventListener: `signal` is not an AbortSignal");
    if (callback === null || callback === undefined || signal?.aborted) return;
    if (typeof callback !== "object" && typeof callback !== "function") throw new TypeError("addEventListener needs a function");
    const listener = { type: toDOMString(type), callback, capture: !!capture, once: !!once };
    const same = (one) => one.type === listener.type && one.callback === callback && one.capture === listener.capture;
    if (this.#listeners.some(same)) return;
    this.#listeners.push(listener);
    signal?.[STATE].steps.add(() => this.removeEventListener(type, callback, { capture }));
  }
  removeEventListener(type, callback, options = {}) {
    const capture = !!(typeof options === "object" && options !== null ? options.capture : options);
    this.#listeners = this.#listeners.filter((one) => {
      const same = one.type === toDOMString(type) && one.callback === callback && one.capture === capture;
      if (same) one.removed = true;
      return !same;
    });
  }
  dispatchEvent(event) {
    if (!(event instanceof Event)) throw new TypeError("dispatchEvent needs an Event");
    const state = event[STATE];
    state.target = this;
    for (const listener of [...this.#listeners]) {
      if (listener.type !== state.type || listener.removed) continue;
      if (listener.once) this.removeEventListener(listener.type, listener.callback, listener);
      try {
        if (typeof listener.callback === "function") listener.callback.call(this, event);
        else listener.callback.handleEvent(event);
      } catch (error) {
        report(error);
      }
      if (state.stopped) break;
    }
    return !state.prevented;
  }
}

// What only this file may hand to the constructor of a signal.
const MAKE = Symbol("make");
// The reasons of the signals that `AbortSignal.timeout` has made.
const timeouts = new WeakSet();

class AbortSignal extends EventTarget {
  #onabort = null;
  constructor(key) {
    if (key !== MAKE) throw new TypeError("Illegal constructor: use AbortController, AbortSignal.abort(), .timeout() or .any()");
    super();
    // `steps` are run before the event; `dependents` are signals made of this one by `any`, and `sources` the reverse.
    this[STATE] = { aborted: false, reason: undefined, steps: new Set(), dependents: new Set(), sources: new Set() };
  }
  static abort(reason = new DOMException("This operation was aborted", "AbortError")) {
    const signal = new AbortSignal(MAKE);
    Object.assign(signal[STATE], { aborted: true, reason });
    return signal;
  }
  static timeout(milliseconds) {
    const delay = Math.trunc(Number(milliseconds));
    if (!(delay >= 0 && delay <= Number.MAX_SAFE_INTEGER)) throw new TypeError("AbortSignal.timeout() needs a number of milliseconds, 0 or more");
    const signal = new AbortSignal(MAKE);
    // Made here, where the stack still has the caller.
    const reason = new DOMException("The operation timed out", "TimeoutError");
    timeouts.add(reason);
    host.setTimer(() => abort(signal, reason), delay, true);
    return signal;
  }
  static any(signals) {
    const given = [...signals];
    if (given.some((one) => !(one instanceof AbortSignal))) throw new TypeError("AbortSignal.any() needs a list of AbortSignals");
    const done = given.find((one) => one.aborted);
    if (done !== undefined) return AbortSignal.abort(done.reason);
    const signal = new AbortSignal(MAKE);
    for (const one of given) {
      const { sources } = one[STATE];
      for (const source of sources.size > 0 ? sources : [one]) {
        signal[STATE].sources.add(source);
        source[STATE].dependents.add(signal);
      }
    }
    return signal;
  }
  get aborted() {
    return this[STATE].aborted;
  }
  get reason() {
    return this[STATE].reason;
  }
  throwIfAborted() {
    if (this.aborted) throw this.reason;
  }
  get onabort() {
    return this.#onabort;
  }
  set onabort(callback) {
    if (this.#onabort !== null) this.removeEventListener("abort", this.#onabort);
    this.#onabort = typeof callback === "function" ? callback : null;
    this.addEventListener("abort", this.#onabort);
  }
}

function abort(signal, reason) {
  if (signal.aborted) return;
  const dependents = [...signal[STATE].dependents].filter((one) => !one.aborted);
  for (const one of [signal, ...dependents]) Object.assign(one[STATE], { aborted: true, reason });
  for (const one of [signal, ...dependents]) {
    const steps = [...one[STATE].steps];
    one[STATE].steps.clear();
    for (const step of steps) step();
    one.dispatchEvent(new Event("abort"));
  }
}

class AbortController {
  #signal = new AbortSignal(MAKE);
  get signal() {
    return this.#signal;
  }
  abort(reason = new DOMException("This operation was aborted", "AbortError")) {
    abort(this.#signal, reason);
  }
}

define({ Event, EventTarget, AbortSignal, AbortController });
