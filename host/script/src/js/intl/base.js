// What all of Intl stands on: locales and options. English is what there is data for, of the United States and, as far
// as it differs, of Great Britain and Canada; as ECMA-402 has it, a locale that is not there is replaced by the
// default, which is `en-US`.

const LOCALES = ["en", "en-US", "en-GB", "en-CA"];
const DEFAULT = "en-US";

const isAmerican = (locale) => locale === "en" || locale === "en-US";

// A language tag in its canonical form: `EN-us` is `en-US`.
function canonical(tag) {
  if (typeof tag !== "string" && (typeof tag !== "object" || tag === null)) throw new TypeError(`${inspect(tag)} is no locale`);
  const text = tag instanceof Locale ? tag.toString() : toDOMString(tag);
  const parts = text.split("-");
  if (!/^[A-Za-z]{2,3}$|^[A-Za-z]{5,8}$/.test(parts[0]) || !parts.every((part) => /^[A-Za-z0-9]{1,8}$/.test(part))) throw new RangeError(`${inspect(text)} is no locale`);
  const form = (part, at) => {
    if (at === 0) return part.toLowerCase();
    if (parts.slice(1, at).some((before) => before.length === 1)) return part.toLowerCase();
    if (/^[A-Za-z]{4}$/.test(part)) return part[0].toUpperCase() + part.slice(1).toLowerCase();
    return /^[A-Za-z]{2}$/.test(part) ? part.toUpperCase() : part.toLowerCase();
  };
  return parts.map(form).join("-");
}

function localeList(locales) {
  if (locales === undefined) return [];
  if (locales === null) throw new TypeError("null is no list of locales");
  const list = typeof locales === "string" || locales instanceof Locale ? [locales] : Array.from(Object(locales));
  return [...new Set(list.map(canonical))];
}

// What of it there is, without extensions.
function known(tag) {
  for (let name = tag.replace(/-[a-z0-9]-.*$/i, ""); name !== ""; name = name.replace(/(^|-)[^-]*$/, "")) {
    if (LOCALES.includes(name)) return name;
  }
  return undefined;
}

function localeOf(locales) {
  for (const tag of localeList(locales)) {
    const found = known(tag);
    if (found !== undefined) return found;
  }
  return DEFAULT;
}

// What the first locale says after `-u-` of a key: `h23` of `hc` in `en-u-hc-h23`.
function extensionOf(locales, key) {
  const [tag = ""] = localeList(locales);
  return new RegExp(`-u-(?:.*-)?${key}-([a-z0-9]{3,8})`).exec(tag)?.[1];
}

function supportedLocalesOf(locales) {
  return localeList(locales).filter((tag) => known(tag) !== undefined);
}

// The given options of a class whose name errors mention.
function reader(owner, given) {
  if (given === null) throw new TypeError(`${owner}: null is no object of options`);
  const options = given === undefined ? {} : Object(given);
  return {
    // One of some texts.
    text(name, values, otherwise) {
      const value = options[name];
      if (value === undefined) return otherwise;
      const text = toDOMString(value);
      if (values !== undefined && !values.includes(text)) throw new RangeError(`${owner}: ${name} can't be ${inspect(value)}, only ${values.join(", ")}`);
      return text;
    },
    flag(name, otherwise) {
      const value = options[name];
      return value === undefined ? otherwise : Boolean(value);
    },
    number(name, least, most, otherwise) {
      const value = options[name];
      if (value === undefined) return otherwise;
      const number = Number(value);
      if (!(number >= least && number <= most)) throw new RangeError(`${owner}: ${name} can't be ${inspect(value)}, only ${least} to ${most}`);
      return Math.floor(number);
    },
    any: (name) => options[name],
    // What Intl has, and what is not here.
    refuse(names) {
      const name = names.find((one) => options[one] !== undefined);
      if (name !== undefined) throw new TypeError(`${owner}: the option ${name} is not supported here`);
    },
    // As a locale's extensions; there is one of each.
    only(name, value) {
      const asked = options[name];
      if (asked !== undefined && toDOMString(asked).toLowerCase() !== value) throw new RangeError(`${owner}: ${name} can't be ${inspect(asked)} here, only ${value}`);
    },
  };
}

const joined = (parts) => parts.map((part) => part.value).join("");
const part = (type, value) => ({ type, value });

// A class of Intl, as the standard's are: with `supportedLocalesOf`, its name as its tag; `callable`, also without
// `new`.
function offer(name, made, callable = false) {
  const fix = (of, key, value) => Object.defineProperty(of, key, { value, writable: true, enumerable: false, configurable: true });
  let offered = made;
  if (callable) {
    offered = function (locales = undefined, options = undefined) {
      return new.target === undefined ? new made(locales, options) : Reflect.construct(made, [locales, options], new.target);
    };
    Object.defineProperty(offered, "name", { value: name, configurable: true });
    Object.defineProperty(offered, "length", { value: 0, configurable: true });
    Object.defineProperty(offered, "prototype", { value: made.prototype, writable: false });
    fix(made.prototype, "constructor", offered);
  }
  fix(offered, "supportedLocalesOf", { supportedLocalesOf: (locales) => supportedLocalesOf(locales) }.supportedLocalesOf);
  Object.defineProperty(made.prototype, Symbol.toStringTag, { value: `Intl.${name}`, configurable: true });
  return offered;
}

// The parts of a language tag, for those who ask.
class Locale {
  #tag;
  constructor(tag, given) {
    const options = reader("Intl.Locale", given);
    options.refuse(["calendar", "collation", "hourCycle", "caseFirst", "numeric", "numberingSystem"]);
    const [language, ...rest] = canonical(tag).split("-");
    const script = rest.find((one) => /^[A-Z][a-z]{3}$/.test(one));
    const region = rest.find((one) => /^([A-Z]{2}|\d{3})$/.test(one));
    const others = rest.filter((one) => one !== script && one !== region);
    const asked = [options.text("language", undefined, language), options.text("script", undefined, script), options.text("region", undefined, region)];
    this.#tag = canonical([...asked.filter((one) => one !== undefined), ...others].join("-"));
  }
  get baseName() {
    return this.#tag.replace(/-[a-z0-9]-.*$/, "");
  }
  get language() {
    return this.baseName.split("-")[0];
  }
  get script() {
    return this.baseName.split("-").find((one) => /^[A-Z][a-z]{3}$/.test(one));
  }
  get region() {
    return this.baseName.split("-").slice(1).find((one) => /^([A-Z]{2}|\d{3})$/.test(one));
  }
  toString() {
    return this.#tag;
  }
}
