// Timers, after HTML's; the clock that only goes forward.

const timers = new Map();
let lastTimer = 0;
// How many timers led to what runs now, each set by the one before.
let nesting = 0;

function startTimer(name, fn, delay, args, repeat) {
  if (typeof fn !== "function") throw new TypeError(`${name}() needs a function`);
  const id = ++lastTimer;
  // A 32-bit number with a sign, as on the web.
  const given = Math.max(0, delay | 0);
  const arm = (level) => {
    // A chain of timers that are due at once would never let the rest of the call run.
    const due = level > 5 ? Math.max(4, given) : given;
    timers.set(id, host.setTimer(() => {
      if (!repeat) timers.delete(id);
      nesting = level + 1;
      fn.apply(globalThis, args);
      if (repeat && timers.has(id)) arm(level + 1);
      nesting = 0;
    }, due, false));
  };
  arm(nesting);
  return id;
}

function stopTimer(id) {
  const timer = timers.get(Number(id));
  if (timer === undefined) return;
  timers.delete(Number(id));
  host.clearTimer(timer);
}

// When the charm first asked, by the two clocks.
let origin;
const sinceOrigin = () => {
  origin ??= { now: host.now(), date: Date.now() };
  return host.now() - origin.now;
};

define({
  setTimeout: (fn, delay = 0, ...args) => startTimer("setTimeout", fn, delay, args, false),
  setInterval: (fn, delay = 0, ...args) => startTimer("setInterval", fn, delay, args, true),
  clearTimeout: stopTimer,
  clearInterval: stopTimer,
  queueMicrotask: (fn) => {
    if (typeof fn !== "function") throw new TypeError("queueMicrotask() needs a function");
    Promise.resolve().then(() => void fn());
  },
  performance: {
    now: sinceOrigin,
    get timeOrigin() {
      sinceOrigin();
      return origin.date;
    },
    toJSON() {
      return { timeOrigin: this.timeOrigin };
    },
  },
});
