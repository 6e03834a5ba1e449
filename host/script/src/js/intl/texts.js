// What English says of numbers and lists: plurals, lists, times from now; and the order of texts.

class PluralRules {
  #locale;
  #type;
  #digits;
  constructor(locales, given) {
    this.#locale = localeOf(locales);
    const options = reader("Intl.PluralRules", given);
    options.text("localeMatcher", ["lookup", "best fit"]);
    options.refuse(["notation"]);
    this.#type = options.text("type", ["cardinal", "ordinal"], "cardinal");
    this.#digits = digitOptions(options, 0, 3, "standard");
  }
  select(value) {
    const number = decimalOf(Number(value));
    if (number.kind !== "number") return "other";
    const [whole, fraction] = figures(rounded(number, this.#digits), this.#digits);
    if (/[1-9]/.test(fraction) || (fraction !== "" && this.#type === "cardinal")) return "other";
    const [count, last, two] = [whole.replace(/^0+(?=\d)/, ""), Number(whole.slice(-1)), Number(whole.slice(-2))];
    if (this.#type === "cardinal") return count === "1" ? "one" : "other";
    if (two >= 11 && two <= 13) return "other";
    return { 1: "one", 2: "two", 3: "few" }[last] ?? "other";
  }
  resolvedOptions() {
    const { roundingMode, trailingZeroDisplay, isCompact, ...digits } = this.#digits;
    const pluralCategories = this.#type === "cardinal" ? ["one", "other"] : ["few", "one", "two", "other"];
    return { locale: this.#locale, type: this.#type, ...digits, pluralCategories, roundingIncrement: 1, roundingMode, roundingPriority: "auto", trailingZeroDisplay };
  }
}

const LIST_STYLES = ["long", "short", "narrow"];

class ListFormat {
  #locale;
  #type;
  #style;
  constructor(locales, given) {
    this.#locale = localeOf(locales);
    const options = reader("Intl.ListFormat", given);
    options.text("localeMatcher", ["lookup", "best fit"]);
    this.#type = options.text("type", ["conjunction", "disjunction", "unit"], "conjunction");
    this.#style = options.text("style", LIST_STYLES, "long");
  }
  // What is between two of two, before the last of more, and between the others.
  #between() {
    const american = isAmerican(this.#locale);
    if (this.#type === "disjunction") return [" or ", american ? ", or " : " or ", ", "];
    if (this.#type === "unit") return this.#style === "narrow" ? [" ", " ", " "] : [", ", ", ", ", "];
    if (this.#style === "narrow") return [", ", ", ", ", "];
    const word = this.#style === "long" || !american ? "and" : "&";
    return [` ${word} `, american ? `, ${word} ` : ` ${word} `, ", "];
  }
  format(list) {
    return joined(this.formatToParts(list));
  }
  formatToParts(list) {
    const items = list === undefined ? [] : Array.from(list);
    const wrong = items.find((item) => typeof item !== "string");
    if (wrong !== undefined) throw new TypeError(`Intl.ListFormat: ${inspect(wrong)} is no text`);
    const [pair, end, middle] = this.#between();
    return items.flatMap((item, at) => {
      if (at === 0) return [part("element", item)];
      return [part("literal", at < items.length - 1 ? middle : items.length === 2 ? pair : end), part("element", item)];
    });
  }
  resolvedOptions() {
    return { locale: this.#locale, type: this.#type, style: this.#style };
  }
}

const PERIODS = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];
const SHORT_PERIODS = { second: "sec.", minute: "min.", hour: "hr.", week: "wk.", month: "mo.", quarter: "qtr.", year: "yr." };
const NARROW_PERIODS = { second: "s", minute: "m", hour: "h", day: "d", week: "w", month: "mo", quarter: "q", year: "y" };

class RelativeTimeFormat {
  #locale;
  #style;
  #numeric;
  #numbers;
  constructor(locales, given) {
    this.#locale = localeOf(locales);
    const options = reader("Intl.RelativeTimeFormat", given);
    options.text("localeMatcher", ["lookup", "best fit"]);
    options.only("numberingSystem", "latn");
    this.#style = options.text("style", LIST_STYLES, "long");
    this.#numeric = options.text("numeric", ["always", "auto"], "always");
    // The short forms are those of American English.
    if (this.#style !== "long" && !isAmerican(this.#locale)) this.#locale = "en";
    this.#numbers = new NumberFormat(locales);
  }
  format(value, unit) {
    return joined(this.formatToParts(value, unit));
  }
  formatToParts(value, given) {
    const number = Number(value);
    const unit = toDOMString(given).replace(/s$/, "");
    if (!PERIODS.includes(unit)) throw new RangeError(`Intl.RelativeTimeFormat: ${inspect(given)} is no unit, only ${PERIODS.join(", ")}`);
    if (!Number.isFinite(number)) throw new RangeError(`Intl.RelativeTimeFormat: ${inspect(value)} is no time`);
    const short = this.#style !== "long" && SHORT_PERIODS[unit] ? SHORT_PERIODS[unit] : unit;
    if (this.#numeric === "auto") {
      const word = this.#word(number, unit, short);
      if (word !== undefined) return [part("literal", word)];
    }
    const figures = this.#numbers.formatToParts(Math.abs(number)).map((one) => ({ ...one, unit }));
    const isOne = joined(figures) === "1";
    let after = ` ${short}`;
    if (this.#style === "narrow") after = NARROW_PERIODS[unit];
    else if (!isOne && short === unit) after += "s";
    else if (!isOne && unit === "quarter") after = " qtrs.";
    if (number < 0 || Object.is(number, -0)) return [...figures, part("literal", `${after} ago`)];
    return [part("literal", "in "), ...figures, part("literal", after)];
  }
  // The word for what is near.
  #word(number, unit, short) {
    if (unit === "second") return number === 0 ? "now" : undefined;
    if (unit === "day") return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[number];
    if (unit === "minute" || unit === "hour") return number === 0 ? `this ${unit}` : undefined;
    return { "-1": `last ${short}`, 0: `this ${short}`, 1: `next ${short}` }[number];
  }
  resolvedOptions() {
    return { locale: this.#locale, style: this.#style, numeric: this.#numeric, numberingSystem: "latn" };
  }
}

class Collator {
  #locale;
  #options;
  #compare;
  constructor(locales, given) {
    this.#locale = localeOf(locales);
    const options = reader("Intl.Collator", given);
    options.text("localeMatcher", ["lookup", "best fit"]);
    options.refuse(["collation"]);
    if (options.flag("ignorePunctuation", false)) options.refuse(["ignorePunctuation"]);
    const usage = options.text("usage", ["sort", "search"], "sort");
    const sensitivity = options.text("sensitivity", ["base", "accent", "case", "variant"], "variant");
    const caseFirst = options.text("caseFirst", ["upper", "lower", "false"], "false");
    this.#options = { usage, sensitivity, ignorePunctuation: false, collation: "default", numeric: options.flag("numeric", false), caseFirst };
  }
  get compare() {
    const { sensitivity, numeric, caseFirst } = this.#options;
    this.#compare ??= (a, b) => localCompare(toDOMString(a), toDOMString(b), undefined, { sensitivity, numeric, caseFirst });
    return this.#compare;
  }
  resolvedOptions() {
    return { locale: this.#locale, ...this.#options };
  }
}
