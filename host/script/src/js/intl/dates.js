// Dates and times of day, in a time zone.

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ERAS = { long: ["Before Christ", "Anno Domini"], short: ["BC", "AD"], narrow: ["B", "A"] };

const STYLES = ["full", "long", "medium", "short"];
const DATE_STYLES = {
  full: { weekday: "long", month: "long", day: "numeric", year: "numeric" },
  long: { month: "long", day: "numeric", year: "numeric" },
  medium: { month: "short", day: "numeric", year: "numeric" },
  short: { month: "numeric", day: "numeric", year: "2-digit" },
};
const TIME = { hour: "numeric", minute: "numeric" };
const TIME_STYLES = {
  full: { ...TIME, second: "numeric", timeZoneName: "long" },
  long: { ...TIME, second: "numeric", timeZoneName: "short" },
  medium: { ...TIME, second: "numeric" },
  short: TIME,
};
const NUMERIC = ["numeric", "2-digit"];
const WORDS = ["long", "short", "narrow"];
const DATE_PARTS = ["weekday", "year", "month", "day"];
const TIME_PARTS = ["hour", "minute", "second", "fractionalSecondDigits"];
const ZONE_NAMES = ["short", "long", "shortOffset", "longOffset", "shortGeneric", "longGeneric"];

// The time zone's name as it is written; offsets are zones as well.
function zoneOf(given) {
  if (given === undefined) return "UTC";
  const name = toDOMString(given);
  if (/^(UTC|GMT|Etc\/(UTC|GMT))$/i.test(name)) return "UTC";
  const [, sign, hours, minutes = "00"] = /^([+-])([01]\d|2[0-3])(?::?([0-5]\d))?$/.exec(name) ?? [];
  if (sign !== undefined) return `${hours + minutes === "0000" ? "+" : sign}${hours}:${minutes}`;
  const found = host.zoneName(name);
  if (found === undefined) throw new RangeError(`Intl.DateTimeFormat: there is no time zone ${inspect(name)}`);
  return found;
}

// Seconds from Greenwich at a moment.
function offsetOf(zone, time) {
  if (zone === "UTC") return 0;
  const [, sign, hours, minutes] = /^([+-])(\d\d):(\d\d)$/.exec(zone) ?? [];
  return sign === undefined ? host.zoneOffset(zone, time) : Number(`${sign}1`) * (Number(hours) * 3600 + Number(minutes) * 60);
}

// GMT-8, GMT+5:30, GMT+05:30
function greenwich(offset, isLong) {
  if (offset === 0) return "GMT";
  const size = Math.abs(offset);
  const [hours, minutes, seconds] = [Math.floor(size / 3600), Math.floor(size / 60) % 60, size % 60];
  const rest = isLong || minutes !== 0 || seconds !== 0 ? `:${two(minutes)}` : "";
  return `GMT${offset < 0 ? "-" : "+"}${isLong ? two(hours) : hours}${rest}${seconds === 0 ? "" : `:${two(seconds)}`}`;
}

// By the form of its name: what a zone is called at an offset.
function zoneText(zone, offset, form, locale) {
  if (form === "shortOffset" || form === "longOffset") return greenwich(offset, form === "longOffset");
  if (zone === "UTC") return form.startsWith("long") ? (form === "long" ? "Coordinated Universal Time" : "GMT") : form === "short" ? "UTC" : "GMT";
  const names = zoneNames(zone);
  const found = names && (form.endsWith("Generic") ? names.generic[form] : names.at[offset / 60]?.[form]);
  if (form === "short" && locale === "en-GB") return BRITISH[names?.at[offset / 60]?.long] ?? greenwich(offset, false);
  if (found && (form.startsWith("long") || locale !== "en-GB")) return found;
  return greenwich(offset, form.startsWith("long"));
}

// What is short for a place is not known elsewhere: PST to Americans, CET to Britons.
const BRITISH = {
  "British Summer Time": "BST", "Irish Standard Time": "GMT+1", "Western European Standard Time": "WET", "Western European Summer Time": "WEST",
  "Central European Standard Time": "CET", "Central European Summer Time": "CEST", "Eastern European Standard Time": "EET", "Eastern European Summer Time": "EEST",
};

let namesOfZones;
function zoneNames(zone) {
  if (namesOfZones === undefined) {
    namesOfZones = new Map();
    for (const line of ZONES.split("\n")) {
      const [long, short, at, zones] = line.split("|");
      const names = { generic: { longGeneric: long, shortGeneric: short }, at: {} };
      for (const one of at === "" ? [] : at.split(";")) {
        const [minutes, name, letters] = one.split("=");
        names.at[minutes] = { long: name, short: letters };
      }
      for (const name of zones.split(" ")) namesOfZones.set(name, names);
    }
  }
  return namesOfZones.get(zone);
}

const two = (value) => String(value).padStart(2, "0");
const numeral = (value, form) => (form === "2-digit" ? two(value % 100) : String(value));

class AnyDateTimeFormat {
  #locale;
  #zone;
  #options;
  #shown;
  #format;
  // `needed` and `defaults` are "date", "time" or "any" and "all", as in ECMA-402.
  constructor(locales, given, needed, defaults) {
    this.#locale = localeOf(locales);
    const options = reader("Intl.DateTimeFormat", given);
    options.text("localeMatcher", ["lookup", "best fit"]);
    options.text("formatMatcher", ["basic", "best fit"]);
    options.only("calendar", "gregory");
    options.only("numberingSystem", "latn");
    options.refuse(["dayPeriod"]);
    const hour12 = options.any("hour12") === undefined ? undefined : options.flag("hour12");
    const cycles = ["h11", "h12", "h23", "h24"];
    const asked = options.text("hourCycle", cycles) ?? cycles.find((one) => one === extensionOf(locales, "hc"));
    const cycle = hour12 === undefined ? (asked ?? (this.#locale === "en-GB" ? "h23" : "h12")) : hour12 ? "h12" : "h23";
    this.#zone = zoneOf(options.any("timeZone"));
    const parts = {
      weekday: options.text("weekday", WORDS),
      era: options.text("era", WORDS),
      year: options.text("year", NUMERIC),
      month: options.text("month", [...NUMERIC, ...WORDS]),
      day: options.text("day", NUMERIC),
      hour: options.text("hour", NUMERIC),
      minute: options.text("minute", NUMERIC),
      second: options.text("second", NUMERIC),
      fractionalSecondDigits: options.number("fractionalSecondDigits", 1, 3),
      timeZoneName: options.text("timeZoneName", ZONE_NAMES),
    };
    const dateStyle = options.text("dateStyle", STYLES);
    const timeStyle = options.text("timeStyle", STYLES);
    if (dateStyle !== undefined || timeStyle !== undefined) {
      const wrong = (needed === "date" && timeStyle !== undefined) || (needed === "time" && dateStyle !== undefined);
      if (wrong || Object.values(parts).some((one) => one !== undefined)) {
        throw new TypeError("dateStyle and timeStyle do not go together with the other options, nor with what they do not belong to");
      }
      this.#options = { dateStyle, timeStyle };
      this.#shown = { ...DATE_STYLES[dateStyle], ...TIME_STYLES[timeStyle], cycle, at: dateStyle === "full" || dateStyle === "long", dateStyle };
      if (this.#locale === "en-GB" && dateStyle === "short") this.#shown.year = "numeric";
      if (this.#locale === "en-CA" && dateStyle === "short") this.#shown.year = "numeric";
      return;
    }
    const has = (names) => names.some((name) => parts[name] !== undefined);
    const enough = (needed !== "time" && has(DATE_PARTS)) || (needed !== "date" && has(TIME_PARTS));
    if (!enough && defaults !== "time") Object.assign(parts, { year: "numeric", month: "numeric", day: "numeric" });
    if (!enough && defaults !== "date") Object.assign(parts, TIME, { second: "numeric" });
    this.#options = parts;
    this.#shown = { ...parts, cycle, at: parts.month === "long" };
  }
  get format() {
    this.#format ??= (date) => joined(this.#parts(date));
    return this.#format;
  }
  formatToParts(date) {
    return this.#parts(date);
  }
  formatRange() {
    throw new TypeError("Intl.DateTimeFormat: formatRange() is not supported here: format both ends");
  }
  resolvedOptions() {
    const { dateStyle, timeStyle, ...parts } = this.#options;
    const hasHour = parts.hour !== undefined || timeStyle !== undefined;
    const { cycle } = this.#shown;
    const minutes = parts.hour === undefined && parts.second === undefined ? parts.minute : parts.minute && "2-digit";
    const seconds = parts.minute === undefined ? parts.second : parts.second && "2-digit";
    const all = {
      locale: this.#locale, calendar: "gregory", numberingSystem: "latn", timeZone: this.#zone,
      ...(hasHour ? { hourCycle: cycle, hour12: cycle === "h11" || cycle === "h12" } : {}),
      ...parts, minute: minutes, second: seconds, dateStyle, timeStyle,
    };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  }
  #parts(given) {
    const time = given === undefined ? Date.now() : Number(given);
    if (!Number.isFinite(time) || Math.abs(time) > 8.64e15) throw new RangeError("Invalid time value");
    const offset = offsetOf(this.#zone, time);
    const date = new Date(Math.trunc(time) + offset * 1000);
    const days = this.#dateParts(date);
    const hours = this.#timeParts(date, offset);
    if (days.length === 0 || hours.length === 0) return [...days, ...hours];
    return [...days, part("literal", this.#between(hours)), ...hours];
  }
  // What is between the day and the time of day.
  #between(hours) {
    const { weekday, year, month, day, era, at } = this.#shown;
    if (at) return " at ";
    const isWeekday = weekday !== undefined && [year, month, day, era].every((one) => one === undefined);
    return isWeekday && hours[0].type === "hour" && this.#locale !== "en-GB" ? " " : ", ";
  }
  #dateParts(date) {
    const { weekday, era, year, month, day, dateStyle } = this.#shown;
    const [y, m, d] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
    const locale = this.#locale;
    const figures = NUMERIC.includes(month);
    // Two digits each, where a locale writes dates of figures so, unless others are asked for.
    const isBare = (form) => form === undefined || form === "numeric";
    const asUsual = weekday === undefined ? isBare(month) && isBare(day) : era === undefined;
    const padded = figures && !isAmerican(locale) && asUsual && (day !== undefined || year !== undefined);
    const found = {
      weekday: weekday && part("weekday", word(DAYS[date.getUTCDay()], weekday)),
      year: year && part("year", numeral(y > 0 ? y : 1 - y, year)),
      month: month && part("month", figures ? numeral(m + 1, padded ? "2-digit" : month) : monthWord(m, month, locale)),
      day: day && part("day", numeral(d, padded ? "2-digit" : day)),
    };
    const parts = figures ? this.#figures(found) : this.#words(found, dateStyle);
    if (era === undefined) return parts;
    const name = part("era", ERAS[era][y > 0 ? 1 : 0]);
    return parts.length === 0 ? [name] : [...parts, part("literal", " "), name];
  }
  // 9/9/2001
  #figures({ weekday, year, month, day }) {
    const isBritish = this.#locale === "en-GB";
    const isCanadian = this.#locale === "en-CA";
    const ordered = isCanadian ? [year, month, day] : isBritish ? [day, month, year] : [month, day, year];
    const whole = between(ordered, isCanadian ? "-" : "/");
    if (weekday === undefined) return whole;
    if (day === undefined) return [...whole, part("literal", " "), weekday];
    return [weekday, part("literal", isBritish && year === undefined ? " " : ", "), ...whole];
  }
  // Sep 9, 2001
  #words({ weekday, year, month, day }, dateStyle) {
    const isBritish = this.#locale === "en-GB";
    if (month === undefined) {
      if (weekday !== undefined && day !== undefined) return between(isAmerican(this.#locale) ? [day, weekday, year] : [weekday, day, year], " ");
      if (year?.value.length > 2 && day !== undefined) return [year, part("literal", " (day: "), day, part("literal", ")")];
      return between([day, year, weekday], " ");
    }
    if (day === undefined) return between([month, year, weekday], " ");
    const named = between(isBritish ? [day, month] : [month, day], " ");
    const withYear = year === undefined ? named : [...named, part("literal", isBritish ? " " : ", "), year];
    if (weekday === undefined) return withYear;
    const comma = !isBritish || (year !== undefined && dateStyle === undefined) || dateStyle === "full";
    return [weekday, part("literal", comma ? ", " : " "), ...withYear];
  }
  #timeParts(date, offset) {
    const { hour, minute, second, fractionalSecondDigits: digits, timeZoneName, cycle } = this.#shown;
    const [h, m, s] = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
    const of12 = cycle === "h11" || cycle === "h12";
    const parts = [];
    const add = (type, value, before) => {
      if (parts.length > 0) parts.push(part("literal", before));
      parts.push(part(type, value));
    };
    if (hour) {
      const count = { h11: h % 12, h12: h % 12 || 12, h23: h, h24: h || 24 }[cycle];
      const isShort = of12 || (this.#locale === "en-GB" && minute === "2-digit");
      add("hour", hour === "numeric" && isShort ? String(count) : two(count), "");
    }
    if (minute) add("minute", hour || second ? two(m) : String(m), ":");
    if (second) add("second", hour || minute ? two(s) : String(s), ":");
    if (digits) add("fractionalSecond", String(date.getUTCMilliseconds()).padStart(3, "0").slice(0, digits), ".");
    if (hour && of12) add("dayPeriod", halfOf(h, this.#locale), " ");
    if (timeZoneName) add("timeZoneName", zoneText(this.#zone, offset, timeZoneName, this.#locale), " ");
    return parts;
  }
}

const halfOf = (hour, locale) => {
  const half = hour < 12 ? "AM" : "PM";
  return { "en-GB": half.toLowerCase(), "en-CA": `${half[0].toLowerCase()}.m.` }[locale] ?? half;
};

const word = (text, form) => (form === "long" ? text : text.slice(0, form === "short" ? 3 : 1));
const monthWord = (month, form, locale) => (form === "short" && month === 8 && locale === "en-GB" ? "Sept" : word(MONTHS[month], form));

// What there is of some parts, with a text between each two.
function between(parts, text) {
  return parts.filter((one) => one !== undefined).flatMap((one, at) => (at === 0 ? [one] : [part("literal", text), one]));
}

// What charms make shows dates if it is not asked for anything else.
class DateTimeFormat extends AnyDateTimeFormat {
  constructor(locales, options) {
    super(locales, options, "any", "date");
  }
}
