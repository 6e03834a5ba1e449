// Numbers: decimal, in per cent, money and measures; grouped, rounded, compact.

// A number as it is written in decimal: `digits` without zeros at either end, and where its point is: 0.DIGITS times
// ten to the power of `point`. Numbers are rounded as they are written: 1.005 to 1.01, whatever it is in binary.
function decimalOf(value) {
  if (typeof value === "bigint") return plain(value < 0n, String(value < 0n ? -value : value), "", 0);
  if (typeof value === "string") {
    const text = value.trim();
    const [, sign, whole, fraction = "", power = "0"] = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,4}))?$/i.exec(text) ?? [];
    if (sign !== undefined && whole + fraction !== "") return plain(sign === "-", whole, fraction, Number(power));
  }
  const number = Number(value);
  if (Number.isNaN(number)) return { kind: "nan", negative: false };
  const negative = number < 0 || Object.is(number, -0);
  if (!Number.isFinite(number)) return { kind: "infinity", negative };
  const [, whole, fraction = "", power = "0"] = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(Math.abs(number)));
  return plain(negative, whole, fraction, Number(power));
}

function plain(negative, whole, fraction, power) {
  const all = (whole + fraction).replace(/^0+/, "");
  const leading = whole.length + fraction.length - all.length;
  const digits = all.replace(/0+$/, "");
  return { kind: "number", negative, digits, point: digits === "" ? 0 : whole.length - leading + power };
}

// Whether what is cut off, the digits from `at`, makes the rest larger by one.
function goesUp({ digits, negative }, at, mode) {
  const rest = at < 0 ? `0${digits}` : digits.slice(at);
  if (rest === "") return false;
  const away = { ceil: !negative, floor: negative, expand: true, trunc: false }[mode];
  if (away !== undefined) return away;
  const half = at >= 0 && rest[0] === "5" && /^50*$/.test(rest);
  if (!half) return at >= 0 && rest[0] >= "5";
  if (mode === "halfEven") return at > 0 && Number(digits[at - 1]) % 2 === 1;
  return { halfExpand: true, halfTrunc: false, halfCeil: !negative, halfFloor: negative }[mode];
}

// The number with `places` digits after the point at most, which may be fewer than none.
function roundedTo(number, places, mode) {
  const at = number.point + places;
  if (at >= number.digits.length) return number;
  const up = goesUp(number, at, mode);
  if (at <= 0) return up ? { ...number, digits: "1", point: 1 - places } : { ...number, digits: "", point: 0 };
  const kept = number.digits.slice(0, at);
  if (!up) return { ...number, digits: kept.replace(/0+$/, "") };
  const more = String(BigInt(kept) + 1n);
  return { ...number, digits: more.replace(/0+$/, ""), point: number.point + (more.length - kept.length) };
}

const roundedToDigits = (number, most, mode) => roundedTo(number, most - number.point, mode);

// The digits before and after the point.
function written({ digits, point }) {
  if (point <= 0) return ["0", digits === "" ? "" : "0".repeat(-point) + digits];
  return [digits.slice(0, point).padEnd(point, "0"), digits.slice(point)];
}

const ROUNDING = ["ceil", "floor", "expand", "trunc", "halfCeil", "halfFloor", "halfExpand", "halfTrunc", "halfEven"];

// How many digits there are, which numbers and plurals have in common.
function digitOptions(options, fewest, most, notation) {
  options.refuse(["roundingPriority"]);
  if (Number(options.any("roundingIncrement") ?? 1) !== 1) options.refuse(["roundingIncrement"]);
  const found = { minimumIntegerDigits: options.number("minimumIntegerDigits", 1, 21, 1) };
  const asked = (name) => options.any(name) !== undefined;
  const bySignificance = asked("minimumSignificantDigits") || asked("maximumSignificantDigits");
  const byFraction = asked("minimumFractionDigits") || asked("maximumFractionDigits");
  if (bySignificance) {
    found.minimumSignificantDigits = options.number("minimumSignificantDigits", 1, 21, 1);
    found.maximumSignificantDigits = options.number("maximumSignificantDigits", found.minimumSignificantDigits, 21, 21);
  } else if (byFraction || notation !== "compact") {
    let low = options.number("minimumFractionDigits", 0, 100, undefined);
    let high = options.number("maximumFractionDigits", 0, 100, undefined);
    if (low === undefined) low = Math.min(fewest, high ?? fewest);
    else if (high === undefined) high = Math.max(most, low);
    high ??= Math.max(most, low);
    if (low > high) throw new RangeError("maximumFractionDigits is less than minimumFractionDigits");
    Object.assign(found, { minimumFractionDigits: low, maximumFractionDigits: high });
  } else {
    Object.assign(found, { minimumFractionDigits: 0, maximumFractionDigits: 0, minimumSignificantDigits: 1, maximumSignificantDigits: 2, isCompact: true });
  }
  found.roundingMode = options.text("roundingMode", ROUNDING, "halfExpand");
  found.trailingZeroDisplay = options.text("trailingZeroDisplay", ["auto", "stripIfInteger"], "auto");
  return found;
}

function rounded(number, digits) {
  const { roundingMode: mode } = digits;
  if (digits.isCompact) return number.point >= 2 ? roundedTo(number, 0, mode) : roundedToDigits(number, 2, mode);
  if (digits.maximumSignificantDigits !== undefined) return roundedToDigits(number, digits.maximumSignificantDigits, mode);
  return roundedTo(number, digits.maximumFractionDigits, mode);
}

// What is written of a number that is rounded.
function figures(number, digits) {
  let [whole, fraction] = written(number);
  if (digits.minimumSignificantDigits !== undefined && !digits.isCompact) {
    const has = number.digits === "" ? 1 : number.point > 0 ? whole.length : 1 - number.point - 1;
    const least = number.point > 0 || number.digits === "" ? digits.minimumSignificantDigits - has : digits.minimumSignificantDigits - number.point;
    fraction = fraction.padEnd(Math.max(0, least), "0");
  } else if (!digits.isCompact) fraction = fraction.padEnd(digits.minimumFractionDigits, "0");
  if (digits.trailingZeroDisplay === "stripIfInteger" && /^0*$/.test(fraction)) fraction = "";
  return [whole.padStart(digits.minimumIntegerDigits, "0"), fraction];
}

const COMPACT = { short: ["", "K", "M", "B", "T"], british: ["", "k", "m", "bn", "tn"], long: ["", " thousand", " million", " billion", " trillion"] };

// Currencies whose amounts have no hundredths.
const FRACTIONS = { 0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF", 3: "BHD IQD JOD KWD LYD OMR TND", 4: "CLF UYW" };
const fractionOf = (code) => Number(Object.keys(FRACTIONS).find((count) => FRACTIONS[count].includes(code)) ?? 2);
const CURRENCIES = {
  USD: "$", EUR: "€", GBP: "£", JPY: "¥", INR: "₹", CNY: "CN¥", KRW: "₩", CAD: "CA$", AUD: "A$", BRL: "R$", MXN: "MX$", NZD: "NZ$",
  HKD: "HK$", TWD: "NT$", ILS: "₪", VND: "₫", PHP: "₱", XAF: "FCFA", XOF: "F\u202fCFA", XPF: "CFPF", XCD: "EC$",
};
const REGIONAL = { "en-GB": { USD: "US$", JPY: "JP¥" }, "en-CA": { USD: "US$", CAD: "$", JPY: "JP¥", AUD: "AU$" } };
const NARROW = {
  CNY: "¥", CAD: "$", AUD: "$", MXN: "$", NZD: "$", HKD: "$", TWD: "$", SGD: "$", ARS: "$", CLP: "$", COP: "$", XCD: "$", RUB: "₽",
  TRY: "₺", UAH: "₴", PLN: "zł", SEK: "kr", NOK: "kr", DKK: "kr", ISK: "kr", CZK: "Kč", HUF: "Ft", NGN: "₦", THB: "฿", ZAR: "R",
  RON: "lei", EGP: "E£", KZT: "₸", PKR: "Rs", LKR: "Rs", IDR: "Rp", MYR: "RM", CRC: "₡", GEL: "₾", BDT: "৳",
};
const NAMES = {
  USD: "US dollar", EUR: "euro", GBP: "British pound", JPY: "Japanese yen|Japanese yen", INR: "Indian rupee", CNY: "Chinese yuan|Chinese yuan",
  KRW: "South Korean won|South Korean won", CAD: "Canadian dollar", AUD: "Australian dollar", BRL: "Brazilian real", MXN: "Mexican peso",
  NZD: "New Zealand dollar", HKD: "Hong Kong dollar", CHF: "Swiss franc", SEK: "Swedish krona|Swedish kronor", NOK: "Norwegian krone|Norwegian kroner",
  DKK: "Danish krone|Danish kroner", PLN: "Polish zloty|Polish zlotys", RUB: "Russian ruble", TRY: "Turkish lira|Turkish Lira", ZAR: "South African rand|South African rand",
  SGD: "Singapore dollar", THB: "Thai baht|Thai baht", ILS: "Israeli new shekel",
};

// Measures: the short form, the narrow one, and the long ones for one and for many. `#` is the number; what is left out
// is as short, or the unit's name with an s.
const UNITS = {
  acre: "# ac|#ac", bit: "# bit|#bit", byte: "# byte|#B", celsius: "#°C||# degree Celsius|# degrees Celsius", centimeter: "# cm|#cm", day: "# day,# days|#d", degree: "# deg|#°",
  fahrenheit: "#°F|#°|# degree Fahrenheit|# degrees Fahrenheit", "fluid-ounce": "# fl oz|#fl oz|# fluid ounce|# fluid ounces", foot: "# ft|#′|# foot|# feet", gallon: "# gal|#gal",
  gigabit: "# Gb|#Gb", gigabyte: "# GB|#GB", gram: "# g|#g", hectare: "# ha|#ha", hour: "# hr|#h", inch: "# in|#″|# inch|# inches", kilobit: "# kb|#kb",
  kilobyte: "# kB|#kB", kilogram: "# kg|#kg", kilometer: "# km|#km", liter: "# L|#L", megabit: "# Mb|#Mb", megabyte: "# MB|#MB", meter: "# m|#m",
  mile: "# mi|#mi", "mile-scandinavian": "# smi|#smi|# mile-scandinavian|# miles-scandinavian", milliliter: "# mL|#mL", millimeter: "# mm|#mm", millisecond: "# ms|#ms",
  minute: "# min|#m", month: "# mth,# mths|#m", ounce: "# oz|#oz", percent: "#%|#%|# percent|# percent", petabyte: "# PB|#PB", pound: "# lb|##",
  second: "# sec|#s", stone: "# st|#st|# stone|# stones", terabit: "# Tb|#Tb", terabyte: "# TB|#TB", week: "# wk,# wks|#w", yard: "# yd|#yd", year: "# yr,# yrs|#y",
  microsecond: "# μs|#μs", nanosecond: "# ns|#ns",
};
const WHOLE_UNITS = {
  "kilometer-per-hour": "# km/h|#km/h|# kilometer per hour|# kilometers per hour", "mile-per-hour": "# mph|#mph|# mile per hour|# miles per hour",
  "mile-per-gallon": "# mpg|#mpg|# mile per gallon|# miles per gallon", "meter-per-second": "# m/s|#m/s|# meter per second|# meters per second",
  "liter-per-kilometer": "# L/km|#L/km|# liter per kilometer|# liters per kilometer",
};

// How a measure is written for one and for many, with `#` for the number.
function unitForms(unit, display) {
  const known = UNITS[unit] ?? WHOLE_UNITS[unit];
  const [short, narrow, one, many] = known.split("|");
  if (display === "long") return one === undefined ? [`# ${unit}`, `# ${unit}s`] : [one, many];
  const forms = ((display === "narrow" && narrow) || short).split(",");
  return [forms[0], forms[1] ?? forms[0]];
}

class NumberFormat {
  #locale;
  #options;
  #digits;
  #format;
  constructor(locales, given) {
    this.#locale = localeOf(locales);
    const options = reader("Intl.NumberFormat", given);
    options.only("numberingSystem", "latn");
    options.text("localeMatcher", ["lookup", "best fit"]);
    const style = options.text("style", ["decimal", "percent", "currency", "unit"], "decimal");
    const found = { style };
    const code = options.text("currency");
    if (code !== undefined && !/^[A-Z]{3}$/i.test(code)) throw new RangeError(`Intl.NumberFormat: ${inspect(code)} is no currency`);
    if (style === "currency" && code === undefined) throw new TypeError("Intl.NumberFormat: the style currency needs a currency, such as USD");
    const display = options.text("currencyDisplay", ["symbol", "narrowSymbol", "code", "name"], "symbol");
    const sign = options.text("currencySign", ["standard", "accounting"], "standard");
    const unit = options.text("unit");
    if (style === "unit" && unit === undefined) throw new TypeError("Intl.NumberFormat: the style unit needs a unit, such as kilometer");
    if (unit !== undefined && !Object.hasOwn(UNITS, unit) && !Object.hasOwn(WHOLE_UNITS, unit)) throw new RangeError(`Intl.NumberFormat: the unit ${inspect(unit)} is not supported here`);
    const unitDisplay = options.text("unitDisplay", ["short", "narrow", "long"], "short");
    if (style === "currency") Object.assign(found, { currency: code.toUpperCase(), currencyDisplay: display, currencySign: sign });
    if (style === "unit") Object.assign(found, { unit, unitDisplay });
    // Measures are those of American English.
    if (style === "unit" && !isAmerican(this.#locale)) this.#locale = "en";
    const notation = options.text("notation", ["standard", "scientific", "engineering", "compact"], "standard");
    const cents = style === "currency" && notation === "standard" ? fractionOf(found.currency) : undefined;
    const [fewest, most] = cents === undefined ? [0, style === "percent" ? 0 : 3] : [cents, cents];
    this.#digits = digitOptions(options, fewest, most, notation);
    const compactDisplay = options.text("compactDisplay", ["short", "long"], "short");
    const grouping = options.any("useGrouping");
    const usual = notation === "compact" ? "min2" : "auto";
    if (grouping === undefined || grouping === "true" || grouping === "false") found.useGrouping = usual;
    else if (grouping === true) found.useGrouping = "always";
    else found.useGrouping = grouping === false || grouping === null || grouping === 0 || grouping === "" ? false : options.text("useGrouping", ["min2", "auto", "always"]);
    found.notation = notation;
    if (notation === "compact") found.compactDisplay = compactDisplay;
    found.signDisplay = options.text("signDisplay", ["auto", "never", "always", "exceptZero", "negative"], "auto");
    this.#options = found;
  }
  get format() {
    this.#format ??= (value) => joined(this.#parts(value));
    return this.#format;
  }
  formatToParts(value) {
    return this.#parts(value);
  }
  formatRange() {
    throw new TypeError("Intl.NumberFormat: formatRange() is not supported here: format both ends");
  }
  resolvedOptions() {
    const { style, currency, currencyDisplay, currencySign, unit, unitDisplay, ...rest } = this.#options;
    const { roundingMode, trailingZeroDisplay, isCompact, ...digits } = this.#digits;
    const whole = { locale: this.#locale, numberingSystem: "latn", style, currency, currencyDisplay, currencySign, unit, unitDisplay, ...digits, ...rest };
    const all = { ...whole, roundingIncrement: 1, roundingMode, roundingPriority: isCompact ? "morePrecision" : "auto", trailingZeroDisplay };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  }
  // The figures, without sign and measure, and what they amount to: `one`, or not.
  #figures(given) {
    if (given.kind === "nan") return { parts: [part("nan", "NaN")], isZero: false };
    if (given.kind === "infinity") return { parts: [part("infinity", "∞")], isZero: false };
    const { notation, compactDisplay, useGrouping } = this.#options;
    const number = this.#options.style === "percent" && given.digits !== "" ? { ...given, point: given.point + 2 } : given;
    if (notation === "standard") {
      const round = rounded(number, this.#digits);
      return { ...this.#written(round, useGrouping), isZero: round.digits === "" };
    }
    const scale = (one) => {
      const power = one.digits === "" ? 0 : one.point - 1;
      if (notation === "scientific") return power;
      const step = Math.floor(power / 3) * 3;
      return notation === "engineering" ? step : Math.min(12, Math.max(0, step));
    };
    const at = (power) => rounded(number.digits === "" ? number : { ...number, point: number.point - power }, this.#digits);
    let power = scale(number);
    let round = at(power);
    // What is rounded up to the next step is written with that: 999,999 is 1M.
    const next = round.digits === "" ? power : scale({ ...round, point: round.point + power });
    if (next !== power) [power, round] = [next, at(next)];
    const { parts, isOne } = this.#written(round, useGrouping);
    const isZero = round.digits === "";
    if (notation === "compact") {
      const { style, currencyDisplay } = this.#options;
      const isShort = compactDisplay === "short" || (style === "currency" && currencyDisplay !== "name");
      const form = isShort ? (this.#locale === "en-GB" ? "british" : "short") : "long";
      const [, space, name] = /^( ?)(.*)$/.exec(COMPACT[form][power / 3]);
      if (space !== "") parts.push(part("literal", space));
      if (name !== "") parts.push(part("compact", name));
      return { parts, isOne: isOne && power === 0, isZero };
    }
    parts.push(part("exponentSeparator", "E"));
    if (power < 0) parts.push(part("exponentMinusSign", "-"));
    parts.push(part("exponentInteger", String(Math.abs(power))));
    return { parts, isOne: isOne && power === 0, isZero };
  }
  #written(number, grouping) {
    const [whole, fraction] = figures(number, this.#digits);
    const isGrouped = grouping !== false && whole.length > (grouping === "min2" ? 4 : 3);
    const groups = isGrouped ? whole.split(/(?=(?:\d{3})+$)/) : [whole];
    const parts = groups.flatMap((group, at) => (at === 0 ? [part("integer", group)] : [part("group", ","), part("integer", group)]));
    if (fraction !== "") parts.push(part("decimal", "."), part("fraction", fraction));
    return { parts, isOne: /^0*1$/.test(whole) && fraction === "" };
  }
  #parts(value) {
    const { style, signDisplay, currency, currencyDisplay, currencySign, unit, unitDisplay } = this.#options;
    const given = decimalOf(typeof value === "object" && value !== null ? Number(value) : value === undefined ? NaN : value);
    const { parts, isOne, isZero } = this.#figures(given);
    const isNaN = given.kind === "nan";
    const hides = signDisplay === "never" || (isZero && (signDisplay === "exceptZero" || signDisplay === "negative"));
    const minus = given.negative && !isNaN && !hides;
    const plus = !given.negative && (signDisplay === "always" || (signDisplay === "exceptZero" && !isZero && !isNaN));
    const sign = minus ? [part("minusSign", "-")] : plus ? [part("plusSign", "+")] : [];
    if (style === "percent") return [...sign, ...parts, part("percentSign", "%")];
    if (style === "unit") {
      const form = unitForms(unit, unitDisplay)[isOne ? 0 : 1];
      const [, before, space, name] = /^(#)( ?)(.*)$/.exec(form);
      const measure = part(unit === "percent" && unitDisplay !== "long" ? "percentSign" : "unit", name);
      return before === "#" ? [...sign, ...parts, ...(space === "" ? [] : [part("literal", space)]), measure] : parts;
    }
    if (style !== "currency") return [...sign, ...parts];
    if (currencyDisplay === "name") {
      const [one, many] = (NAMES[currency] ?? `${currency}|${currency}`).split("|");
      return [...sign, ...parts, part("literal", " "), part("currency", isOne ? one : (many ?? `${one}s`))];
    }
    const own = REGIONAL[this.#locale]?.[currency] ?? CURRENCIES[currency];
    const symbol = currencyDisplay === "code" ? currency : ((currencyDisplay === "narrowSymbol" ? NARROW[currency] ?? (own?.endsWith("$") ? "$" : own?.endsWith("¥") ? "¥" : own) : own) ?? currency);
    const spaced = /[A-Za-z]$/.test(symbol) && given.kind === "number" ? [part("literal", "\u00a0")] : [];
    const money = [part("currency", symbol), ...spaced, ...parts];
    if (minus && currencySign === "accounting") return [part("literal", "("), ...money, part("literal", ")")];
    return [...sign, ...money];
  }
}
