// Async generators, which the transpiler makes of generators: the engine stops the whole program where calls nest too
// deeply in one of its own.

// What a generator yields to wait for it. A step of `yield*` goes on as it came: with `return` after `return`.
class Awaited {
  constructor(value, isStep) {
    this.value = value;
    this.isStep = isStep;
  }
}

class AsyncGenerator {
  #generator;
  // What was asked for and is not answered yet, the first of which runs.
  #requests = [];

  constructor(generator) {
    this.#generator = generator;
  }
  next(value) {
    return this.#ask("next", value);
  }
  return(value) {
    return this.#ask("return", value);
  }
  throw(error) {
    return this.#ask("throw", error);
  }
  [Symbol.asyncIterator]() {
    return this;
  }
  get [Symbol.toStringTag]() {
    return "AsyncGenerator";
  }

  #ask(how, value) {
    const { promise, resolve, reject } = Promise.withResolvers();
    this.#requests.push({ how, value, resolve, reject });
    if (this.#requests.length === 1) this.#begin();
    return promise;
  }
  #begin() {
    const { how, value } = this.#requests[0];
    if (how !== "return") return this.#step(how, value);
    // What is returned is waited for before it is.
    this.#wait(value, (it) => this.#step("return", it));
  }
  #wait(value, then) {
    let promise;
    try {
      promise = Promise.resolve(value);
    } catch (error) {
      return this.#step("throw", error);
    }
    promise.then(then, (error) => this.#step("throw", error));
  }
  #step(how, value) {
    let step;
    try {
      step = this.#generator[how](value);
    } catch (error) {
      return this.#answer("reject", error);
    }
    const { value: given, done } = step;
    if (given instanceof Awaited) {
      return this.#wait(given.value, (it) => this.#step(given.isStep && how === "return" ? "return" : "next", it));
    }
    this.#wait(given, (it) => this.#answer("resolve", { value: it, done }));
  }
  #answer(how, value) {
    this.#requests.shift()[how](value);
    if (this.#requests.length > 0) this.#begin();
  }
}

// async function* f() { … }
const wrapAsyncGenerator = (make) => function (...given) {
  return new AsyncGenerator(make.apply(this, given));
};

// await x
const awaitAsyncGenerator = (value) => new Awaited(value, false);

// for await (… of iterable), which errors call `text`.
function asyncIterator(iterable, text = "the value") {
  const make = iterable?.[Symbol.asyncIterator];
  if (make !== undefined && make !== null) {
    const iterator = make.call(iterable);
    if (!isObject(iterator)) throw new TypeError("the result of [Symbol.asyncIterator]() is not an object");
    return iterator;
  }
  if (typeof iterable?.[Symbol.iterator] !== "function") throw new TypeError(`${text} is not async iterable`);
  const iterator = iterable[Symbol.iterator]();
  const settled = ({ value, done }, closes) => Promise.resolve(value).then((it) => ({ value: it, done }), (error) => {
    if (!done && closes) iterator.return?.();
    throw error;
  });
  return {
    next: async (value) => settled(iterator.next(value), true),
    return: async (value) => iterator.return === undefined ? { value, done: true } : settled(iterator.return(value), false),
    throw: async (error) => {
      if (iterator.throw !== undefined) return settled(iterator.throw(error), true);
      iterator.return?.();
      throw new TypeError("the iterator has no method throw()");
    },
  };
}

// yield* inner: each step is asked for and waited for, and then it is the step.
function asyncGeneratorDelegate(inner) {
  let waits = false;
  const step = (result) => {
    waits = true;
    return { value: new Awaited(result, true), done: false };
  };
  const came = (result) => {
    waits = false;
    if (!isObject(result)) throw new TypeError("the result of an iterator is not an object");
    return result;
  };
  return {
    [Symbol.iterator]() {
      return this;
    },
    next: (value) => waits ? came(value) : step(inner.next(value)),
    return: (value) => {
      if (waits) return came(value);
      return inner.return === undefined ? { value, done: true } : step(inner.return(value));
    },
    throw: (error) => {
      if (waits) {
        waits = false;
        throw error;
      }
      if (inner.throw !== undefined) return step(inner.throw(error));
      inner.return?.();
      throw new TypeError("the iterator has no method throw()");
    },
  };
}

