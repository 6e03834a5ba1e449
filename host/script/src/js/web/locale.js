// What depends on a language or a place is American English in UTC here, whatever the caller asks for: there is no
// Intl, and as its standard has it, a locale that is not there is replaced by the default. Other time zones are
// refused, and options that are not understood as well.

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

function checkLocales(locales) {
  for (const one of locales === undefined ? [] : Array.isArray(locales) ? locales : [locales]) {
    if (typeof one !== "string" || !/^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$/.test(one)) throw new RangeError(`${inspect(one)} is no locale`);
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
  if (name !== undefined) throw new TypeError(`the option ${name} is not supported here: there is no Intl`);
}

const STYLES = ["full", "long", "medium", "short"];
const DATE_STYLES = {
  full: { weekday: "long", month: "long", day: "numeric", year: "numeric" },
  long: { month: "long", day: "numeric", year: "numeric" },
  medium: { month: "short", day: "numeric", year: "numeric" },
  short: { month: "numeric", day: "numeric", year: "2-digit" },
};
const TIME = { hour: "numeric", minute: "2-digit" };
const TIME_STYLES = {
  full: { ...TIME, second: "2-digit", timeZoneName: "long" },
  long: { ...TIME, second: "2-digit", timeZoneName: "short" },
  medium: { ...TIME, second: "2-digit" },
  short: TIME,
};
const NUMERIC = ["numeric", "2-digit"];
const DATE_PARTS = ["weekday", "year", "month", "day"];
const TIME_PARTS = ["hour", "minute", "second", "fractionalSecondDigits"];

// The parts to show; `needed` and `defaults` are "date", "time" or "any" and "all", as in ECMA-402.
function dateParts(options, needed, defaults) {
  refuse(options, ["era", "dayPeriod", "calendar", "numberingSystem"]);
  const zone = options.timeZone;
  if (zone !== undefined && !/^(UTC|GMT|Etc\/(UTC|GMT)|[+-]00:?00)$/i.test(toDOMString(zone))) {
    throw new RangeError(`timeZone: ${inspect(zone)} is not supported here, only UTC`);
  }
  const dateStyle = option(options, "dateStyle", STYLES);
  const timeStyle = option(options, "timeStyle", STYLES);
  const parts = {
    weekday: option(options, "weekday", ["long", "short", "narrow"]),
    year: option(options, "year", NUMERIC),
    month: option(options, "month", [...NUMERIC, "long", "short", "narrow"]),
    day: option(options, "day", NUMERIC),
    hour: option(options, "hour", NUMERIC),
    minute: option(options, "minute", NUMERIC),
    second: option(options, "second", NUMERIC),
    fractionalSecondDigits: option(options, "fractionalSecondDigits", [1, 2, 3]),
    timeZoneName: option(options, "timeZoneName", ["short", "long"]),
  };
  const hours24 = options.hour12 === undefined ? /^h2[34]$/.test(option(options, "hourCycle", ["h11", "h12", "h23", "h24"]) ?? "h12") : !options.hour12;
  if (dateStyle !== undefined || timeStyle !== undefined) {
    const wrong = (needed === "date" && timeStyle !== undefined) || (needed === "time" && dateStyle !== undefined);
    if (wrong || Object.values(parts).some((part) => part !== undefined)) {
      throw new TypeError("dateStyle and timeStyle do not go together with the other options, nor with what they do not belong to");
    }
    return { ...DATE_STYLES[dateStyle], ...TIME_STYLES[timeStyle], hours24, at: dateStyle === "full" || dateStyle === "long" };
  }
  const has = (names) => names.some((name) => parts[name] !== undefined);
  const enough = (needed !== "time" && has(DATE_PARTS)) || (needed !== "date" && has(TIME_PARTS));
  if (!enough && defaults !== "time") Object.assign(parts, { year: "numeric", month: "numeric", day: "numeric" });
  if (!enough && defaults !== "date") Object.assign(parts, TIME, { second: "2-digit" });
  return { ...parts, hours24, at: false };
}

const two = (value) => String(value).padStart(2, "0");
const numeral = (value, form) => (form === "2-digit" ? two(value % 100) : String(value));
const word = (text, form) => (form === "long" ? text : text.slice(0, form === "short" ? 3 : 1));

function dateText(date, { weekday, year, month, day }) {
  const [y, m, d] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  const week = weekday && word(DAYS[date.getUTCDay()], weekday);
  const [yearText, dayText] = [year && numeral(y, year), day && numeral(d, day)];
  if (month === undefined) return [week, dayText, yearText].filter((part) => part !== undefined).join(week && dayText && !yearText ? " " : ", ");
  if (NUMERIC.includes(month)) {
    const figures = [numeral(m + 1, month), dayText, yearText].filter((part) => part !== undefined).join("/");
    return week ? `${week}, ${figures}` : figures;
  }
  const named = [word(MONTHS[m], month), dayText].filter((part) => part !== undefined).join(" ");
  const withYear = yearText === undefined ? named : `${named}${dayText ? "," : ""} ${yearText}`;
  return week ? `${week}, ${withYear}` : withYear;
}

function timeText(date, { hour, minute, second, fractionalSecondDigits: digits, timeZoneName, hours24 }) {
  const [h, m, s] = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
  const fraction = digits ? String(date.getUTCMilliseconds()).padStart(3, "0").slice(0, digits) : "";
  const parts = [];
  if (hour) parts.push(hours24 ? two(h) : numeral(h % 12 || 12, hour));
  if (minute) parts.push(hour || second ? two(m) : String(m));
  if (second) parts.push((hour || minute ? two(s) : String(s)) + (fraction && `.${fraction}`));
  else if (fraction) parts.push(fraction);
  let text = parts.join(":");
  if (hour && !hours24) text += h < 12 ? " AM" : " PM";
  const zone = timeZoneName && (timeZoneName === "short" ? "UTC" : "Coordinated Universal Time");
  return [text, zone].filter((part) => part).join(" ");
}

function localDate(date, locales, options, needed, defaults) {
  const time = Date.prototype.getTime.call(date);
  checkLocales(locales);
  const parts = dateParts(options === undefined ? {} : Object(options), needed, defaults);
  if (Number.isNaN(time)) return "Invalid Date";
  const texts = [dateText(date, parts), timeText(date, parts)].filter((text) => text !== "");
  return texts.join(parts.at ? " at " : ", ");
}

const CURRENCIES = { USD: "$", EUR: "€", GBP: "£", JPY: "¥", INR: "₹", CNY: "CN¥", KRW: "₩", CAD: "CA$", AUD: "A$", BRL: "R$", MXN: "MX$" };
const WHOLE_CURRENCIES = ["JPY", "KRW", "CLP", "ISK", "VND"];

// A count of digits, if it is given.
function digitsOption(options, name, least) {
  const value = options[name];
  if (value === undefined) return undefined;
  const count = Math.floor(Number(value));
  if (!(count >= least && count <= (name === "minimumIntegerDigits" ? 21 : 100))) throw new RangeError(`${name}: ${inspect(value)} is out of range`);
  return count;
}

function localNumber(value, locales, given) {
  checkLocales(locales);
  const options = given === undefined ? {} : Object(given);
  refuse(options, ["unit", "minimumSignificantDigits", "maximumSignificantDigits", "signDisplay", "roundingMode", "roundingIncrement", "numberingSystem", "currencySign"]);
  option(options, "notation", ["standard"]);
  const style = option(options, "style", ["decimal", "percent", "currency"]) ?? "decimal";
  const display = option(options, "currencyDisplay", ["symbol", "narrowSymbol", "code"]) ?? "symbol";
  const code = options.currency === undefined ? undefined : toDOMString(options.currency).toUpperCase();
  if (style === "currency" && code === undefined) throw new TypeError("the style currency needs a currency, such as USD");
  if (code !== undefined && !/^[A-Z]{3}$/.test(code)) throw new RangeError(`currency: ${inspect(options.currency)} is no currency`);
  const [fewest, most] = style === "currency" ? (WHOLE_CURRENCIES.includes(code) ? [0, 0] : [2, 2]) : [0, style === "percent" ? 0 : 3];
  const [low, high] = [digitsOption(options, "minimumFractionDigits", 0), digitsOption(options, "maximumFractionDigits", 0)];
  if (low > high) throw new RangeError("maximumFractionDigits is less than minimumFractionDigits");
  const least = low ?? Math.min(fewest, high ?? fewest);
  const text = numberText(style === "percent" ? percent(value) : value, least, high ?? Math.max(most, least), digitsOption(options, "minimumIntegerDigits", 1) ?? 1, options.useGrouping);
  const [sign, figures] = text.startsWith("-") ? ["-", text.slice(1)] : ["", text];
  if (style === "percent") return `${sign}${figures}%`;
  if (style === "decimal") return sign + figures;
  const symbol = display === "code" ? undefined : CURRENCIES[code];
  return symbol === undefined ? `${sign}${code}\u00a0${figures}` : sign + symbol + figures;
}

const percent = (value) => (typeof value === "bigint" ? value * 100n : Number((value * 100).toPrecision(15)));

// Digits before and after the point, rounded as the number is written: 1.005 to 1.01, whatever it is in binary.
function decimals(size, most) {
  if (typeof size === "bigint" || size >= 1e21) return [BigInt(size).toString(), ""];
  const scaled = Math.round(Number(`${size}e${most}`));
  if (!Number.isSafeInteger(scaled)) return [...size.toFixed(most).split("."), ""];
  const digits = String(scaled).padStart(most + 1, "0");
  return [digits.slice(0, digits.length - most), digits.slice(digits.length - most)];
}

function numberText(value, least, most, integers, grouping) {
  if (typeof value === "number" && !Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value < 0 ? "-∞" : "∞";
  const negative = value < 0 || Object.is(value, -0);
  const size = value < 0 ? -value : value;
  const [whole, given] = decimals(size, most);
  let fraction = given.padEnd(least, "0");
  while (fraction.length > least && fraction.endsWith("0")) fraction = fraction.slice(0, -1);
  const padded = whole.padStart(integers, "0");
  const groups = grouping === false || grouping === "false" ? padded : padded.replace(/\B(?=(\d{3})+$)/g, ",");
  return (negative ? "-" : "") + groups + (fraction && `.${fraction}`);
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
  refuse(options, ["ignorePunctuation", "collation"]);
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

function replace(prototype, methods) {
  for (const [name, value] of Object.entries(methods)) Object.defineProperty(prototype, name, { value, writable: true, enumerable: false, configurable: true });
}
replace(Date.prototype, {
  toLocaleString(locales = undefined, options = undefined) {
    return localDate(this, locales, options, "any", "all");
  },
  toLocaleDateString(locales = undefined, options = undefined) {
    return localDate(this, locales, options, "date", "date");
  },
  toLocaleTimeString(locales = undefined, options = undefined) {
    return localDate(this, locales, options, "time", "time");
  },
});
replace(Number.prototype, {
  toLocaleString(locales = undefined, options = undefined) {
    return localNumber(Number.prototype.valueOf.call(this), locales, options);
  },
});
replace(BigInt.prototype, {
  toLocaleString(locales = undefined, options = undefined) {
    return localNumber(BigInt.prototype.valueOf.call(this), locales, options);
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
