// What depends on a language or a place: the order of texts, and the doors to Intl, whose files are evaluated only for
// charms that use it.

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

function checkLocales(locales) {
  for (const one of locales === undefined ? [] : Array.isArray(locales) ? locales : [locales]) {
    if (typeof one !== "string" || !/^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/.test(one)) throw new RangeError(`${inspect(one)} is no locale`);
  }
}

// An option that is one of some values, if it is given.
function option(options, name, values) {
  const value = options[name];
  if (value === undefined) return undefined;
  if (!values.includes(value)) throw new RangeError(`${name}: ${inspect(value)} is not supported here, only ${values.join(", ")}`);
  return value;
}

function refuse(options, names) {
  const name = names.find((one) => options[one] !== undefined);
  if (name !== undefined) throw new TypeError(`the option ${name} is not supported here`);
}

// White space, punctuation, symbols, digits, letters: the order of the Unicode collation, in which case and accents
// only break ties.
function rank(char) {
  if (/\s/.test(char)) return 0;
  if (/\p{P}/u.test(char)) return 1;
  if (/\p{N}/u.test(char)) return 3;
  return /\p{L}/u.test(char) ? 4 : 2;
}

const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function compareLetters(a, b) {
  if (/^[a-z0-9 ]*$/.test(a + b)) return order(a, b);
  const [left, right] = [[...a], [...b]];
  for (let at = 0; at < left.length && at < right.length; at++) {
    if (left[at] !== right[at]) return order(rank(left[at]), rank(right[at])) || order(left[at].codePointAt(0), right[at].codePointAt(0));
  }
  return order(left.length, right.length);
}

// Runs of digits by what they amount to, what is between them by its letters.
function compareNumeric(a, b) {
  const [left, right] = [a, b].map((text) => text.match(/[0-9]+|[^0-9]+/g) ?? []);
  for (let at = 0; at < left.length && at < right.length; at++) {
    const figures = /^[0-9]/.test(left[at]) && /^[0-9]/.test(right[at]);
    const found = figures ? order(BigInt(left[at]), BigInt(right[at])) : compareLetters(left[at], right[at]);
    if (found !== 0) return found;
  }
  return order(left.length, right.length);
}

function localCompare(a, b, locales, given) {
  checkLocales(locales);
  const options = given === undefined ? {} : Object(given);
  refuse(options, options.ignorePunctuation ? ["ignorePunctuation", "collation"] : ["collation"]);
  const sensitivity = option(options, "sensitivity", ["base", "accent", "case", "variant"]) ?? "variant";
  const upperFirst = option(options, "caseFirst", ["upper", "lower", "false"]) === "upper";
  const [left, right] = [a.normalize("NFD"), b.normalize("NFD")];
  if (left === right) return 0;
  const bare = (text) => text.replace(/\p{M}/gu, "");
  const found = (options.numeric ? compareNumeric : compareLetters)(bare(left).toLowerCase(), bare(right).toLowerCase());
  if (found !== 0) return found;
  const accents = sensitivity === "base" || sensitivity === "case" ? 0 : order(left.toLowerCase(), right.toLowerCase());
  if (accents !== 0) return accents;
  if (sensitivity === "base" || sensitivity === "accent") return 0;
  // Upper case comes first by its numbers, and last in a dictionary.
  return upperFirst ? order(bare(left), bare(right)) : order(bare(right), bare(left));
}

let international;
const internationally = () => (international ??= host.library("intl")(host, inspect, toDOMString, localCompare));

Object.defineProperty(globalThis, "Intl", {
  get: () => internationally().Intl,
  set(value) {
    Object.defineProperty(globalThis, "Intl", { value, writable: true, enumerable: false, configurable: true });
  },
  enumerable: false,
  configurable: true,
});

function replace(prototype, methods) {
  for (const [name, value] of Object.entries(methods)) Object.defineProperty(prototype, name, { value, writable: true, enumerable: false, configurable: true });
}
replace(Date.prototype, {
  toLocaleString(locales = undefined, options = undefined) {
    return internationally().date(this, locales, options, "any", "all");
  },
  toLocaleDateString(locales = undefined, options = undefined) {
    return internationally().date(this, locales, options, "date", "date");
  },
  toLocaleTimeString(locales = undefined, options = undefined) {
    return internationally().date(this, locales, options, "time", "time");
  },
});
replace(Number.prototype, {
  toLocaleString(locales = undefined, options = undefined) {
    return internationally().number(Number.prototype.valueOf.call(this), locales, options);
  },
});
replace(BigInt.prototype, {
  toLocaleString(locales = undefined, options = undefined) {
    return internationally().number(BigInt.prototype.valueOf.call(this), locales, options);
  },
});
replace(String.prototype, {
  localeCompare(that, locales = undefined, options = undefined) {
    if (this === null || this === undefined) throw new TypeError("localeCompare needs a text");
    return localCompare(String(this), String(that), locales, options);
  },
});
const lists = {
  toLocaleString(locales = undefined, options = undefined) {
    return Array.from(this, (one) => (one === null || one === undefined ? "" : toDOMString(one.toLocaleString(locales, options)))).join(",");
  },
};
replace(Array.prototype, lists);
replace(Object.getPrototypeOf(Uint8Array.prototype), lists);
