// Dates as texts: the engine reads what it writes itself, and little of what mail, HTTP, feeds and people write.

const OwnDate = globalThis.Date;

const ISO = /^(\d{4}|[+-]\d{6})-(\d\d?)(?:-(\d\d?))?(?:[T\s]\s*(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/i;
const CLOCK = /(\d\d?):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:\s*([ap])\.?m\b\.?)?/i;
const ZONE = /(?:\b(?:GMT|UTC?|Z))?[+-]\d\d:?\d\d|\b(?:GMT|UTC?|Z|[ECMP][SD]T)\b/i;
const DAY_FIRST = /^(?:([a-z]{3,9})\.?,?\s+)?(\d\d?)(?:\s+|-)([a-z]{3,9})\.?(?:,?\s+|-)(\d{4}|\d\d)$/i;
const MONTH_FIRST = /^(?:([a-z]{3,9})\.?,?\s+)?([a-z]{3,9})\.?\s+(\d\d?),?\s+(\d{4}|\d\d)$/i;
const FIGURES = /^(?:(\d{4})\/(\d\d?)\/(\d\d?)|(\d\d?)\/(\d\d?)\/(\d{4}|\d\d))$/;
// Hours from Greenwich of the zones that mail knew by name.
const ZONES = { EST: -5, EDT: -4, CST: -6, CDT: -5, MST: -7, MDT: -6, PST: -8, PDT: -7 };

// Which of the names begins with, or is, this word; from 1, or 0.
const which = (names, word) => (word === undefined ? 0 : names.findIndex((name) => name.toLowerCase().startsWith(word.toLowerCase())) + 1);

// Milliseconds from Greenwich.
function offset(zone = "") {
  const [, sign, hours, minutes] = /([+-])(\d\d):?(\d\d)$/.exec(zone) ?? [];
  const named = ZONES[zone.slice(0, 3).toUpperCase()] ?? 0;
  return ((sign === undefined ? 0 : Number(`${sign}1`) * (Number(hours) * 60 + Number(minutes))) + named * 60) * 60_000;
}

// The moment, or NaN if it does not exist. `parts` are numbers or texts: year, month from 1, day, hour, minute, second.
function moment(parts, fraction, zone) {
  const [year, month, day, hour, minute, second] = parts.map((part) => Number(part ?? 0));
  const inDay = hour < 24 && minute < 60 && second < 60 || hour === 24 && minute === 0 && second === 0;
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= 31 && inDay)) return NaN;
  const date = new OwnDate(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, Math.trunc(Number(`0.${fraction ?? 0}`) * 1000));
  return date.getTime() - offset(zone);
}

// What is before and after a part.
function split(text, part) {
  const at = text.indexOf(part);
  return [text.slice(0, at), text.slice(at + part.length)];
}

// Two digits are of the century that they are nearest to.
const yearOf = (text) => (text.length > 2 ? text : Number(text) + (Number(text) < 50 ? 2000 : 1900));

function parseDate(given) {
  const text = given.trim();
  const iso = ISO.exec(text);
  if (iso !== null) {
    const [, year, month, day, hour, minute, second, fraction, zone] = iso;
    return year === "-000000" ? NaN : moment([year, month, day ?? 1, hour, minute, second], fraction, zone);
  }
  // Comments, the time of day and the zone after it differ in form; what is left is the day.
  const bare = text.replace(/\([^()]*\)/g, " ");
  const [clock, hour, minute, second, fraction, half] = CLOCK.exec(bare) ?? [];
  const [before, after] = clock === undefined ? [bare.replace(/\s(?:GMT|UTC?|Z)\s*$/i, ""), ""] : split(bare, clock);
  const zone = ZONE.exec(after)?.[0];
  const rest = `${before.replace(/,?\s*(?:\bat\s*)?$/i, "")} ${zone === undefined ? after : split(after, zone).join("")}`.replace(/\s+/g, " ").trim();
  if (half !== undefined && !(hour >= 1 && hour <= 12)) return NaN;
  const hours = half === undefined ? hour : (Number(hour) % 12) + (half.toLowerCase() === "p" ? 12 : 0);
  const day = (year, month, date) => moment([year, month, date, hours, minute, second], fraction, zone);
  const figures = FIGURES.exec(rest);
  if (figures !== null) return figures[1] !== undefined ? day(figures[1], figures[2], figures[3]) : day(yearOf(figures[6]), figures[4], figures[5]);
  const [, week, date, month, year] = DAY_FIRST.exec(rest) ?? (MONTH_FIRST.exec(rest) ?? []).map((part, at, all) => all[[0, 1, 3, 2, 4][at]]);
  if (year === undefined || week !== undefined && which(DAYS, week) === 0) return OwnDate.parse(text);
  return day(yearOf(year), which(MONTHS, month), date);
}

// What an object is in place of itself.
function primitive(value) {
  if (value === null || typeof value !== "object" && typeof value !== "function") return value;
  if (typeof value[Symbol.toPrimitive] === "function") return value[Symbol.toPrimitive]("default");
  const plain = value.valueOf();
  return plain === null || typeof plain !== "object" ? plain : String(value);
}

// Stands for the engine's constructor, whose prototype it has.
function LenientDate(...given) {
  if (new.target === undefined) return new OwnDate().toString();
  if (given.length === 1 && !(given[0] instanceof OwnDate)) {
    const value = primitive(given[0]);
    return Reflect.construct(OwnDate, [typeof value === "string" ? parseDate(value) : value], new.target);
  }
  return Reflect.construct(OwnDate, given, new.target);
}
const fix = (of, name, value, writable = true) => Object.defineProperty(of, name, { value, writable, enumerable: false, configurable: writable });
fix(LenientDate, "prototype", OwnDate.prototype, false);
fix(LenientDate, "name", "Date");
fix(LenientDate, "length", 7);
fix(LenientDate, "now", OwnDate.now);
fix(LenientDate, "UTC", OwnDate.UTC);
fix(LenientDate, "parse", (text) => parseDate(toDOMString(text)));
fix(OwnDate.prototype, "constructor", LenientDate);
fix(globalThis, "Date", LenientDate);
