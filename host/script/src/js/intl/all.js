// What is offered of all this: to charms, and to `toLocaleString` and the like.

const missing = (name, instead) => ({
  [name]: class {
    constructor() {
      throw new TypeError(`Intl.${name} is not supported here: ${instead}`);
    }
  },
})[name];

const Intl = Object.create(Object.prototype, { [Symbol.toStringTag]: { value: "Intl", configurable: true } });
const OFFERED = {
  Collator: offer("Collator", Collator, true),
  DateTimeFormat: offer("DateTimeFormat", DateTimeFormat, true),
  ListFormat: offer("ListFormat", ListFormat),
  Locale,
  NumberFormat: offer("NumberFormat", NumberFormat, true),
  PluralRules: offer("PluralRules", PluralRules),
  RelativeTimeFormat: offer("RelativeTimeFormat", RelativeTimeFormat),
  DisplayNames: missing("DisplayNames", "there are no names of languages, regions and currencies"),
  DurationFormat: missing("DurationFormat", "format its parts with Intl.NumberFormat and Intl.ListFormat"),
  Segmenter: missing("Segmenter", "iterate a text for its characters"),
  getCanonicalLocales: (locales) => localeList(locales),
  supportedValuesOf(key) {
    const kind = toDOMString(key);
    if (kind === "unit") return Object.keys(UNITS).sort();
    if (kind === "timeZone") return host.zones();
    if (kind === "calendar") return ["gregory"];
    if (kind === "numberingSystem") return ["latn"];
    if (kind === "collation") return [];
    if (kind === "currency") return [...new Set([...Object.keys(CURRENCIES), ...Object.keys(NARROW), ...Object.keys(NAMES)])].sort();
    throw new RangeError(`Intl.supportedValuesOf: ${inspect(key)} is no kind of values`);
  },
};
for (const [name, value] of Object.entries(OFFERED)) Object.defineProperty(Intl, name, { value, writable: true, enumerable: false, configurable: true });

return {
  Intl,
  date(date, locales, options, needed, defaults) {
    const time = Date.prototype.getTime.call(date);
    const format = new AnyDateTimeFormat(locales, options, needed, defaults);
    return Number.isNaN(time) ? "Invalid Date" : format.format(time);
  },
  number: (value, locales, options) => new NumberFormat(locales, options).format(value),
};
