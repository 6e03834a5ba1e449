//! What depends on a language: American English in UTC.

use serde_json::json;

use super::expect_each;

/// A Tuesday.
const DATE: &str = "const date = new Date('2023-11-14T22:03:20.045Z');";

fn expect_of_date(cases: &[(&str, serde_json::Value)]) {
    super::expect_each_of(|body| super::Charm::with_handler(&format!("{DATE}\n{body}")), cases);
}

#[test]
fn dates_are_written_as_americans_write_them() {
    expect_of_date(&[
        ("date.toLocaleString()", json!("11/14/2023, 10:03:20 PM")),
        ("date.toLocaleDateString()", json!("11/14/2023")),
        ("date.toLocaleTimeString()", json!("10:03:20 PM")),
        (
            "date.toLocaleDateString('en-US', { year: 'numeric', month: 'long', day: 'numeric' })",
            json!("November 14, 2023"),
        ),
        (
            "date.toLocaleDateString('de-DE', { weekday: 'short', month: 'short', day: '2-digit' })",
            json!("Tue, Nov 14"),
        ),
        (
            "date.toLocaleDateString(undefined, { weekday: 'long', year: 'numeric', month: 'numeric', day: 'numeric' })",
            json!("Tuesday, 11/14/2023"),
        ),
        ("date.toLocaleDateString([], { month: 'long', year: 'numeric' })", json!("November 2023")),
        ("date.toLocaleDateString('en', { month: '2-digit', day: '2-digit', year: '2-digit' })", json!("11/14/23")),
        ("date.toLocaleDateString('en', { weekday: 'long' })", json!("Tuesday")),
        ("date.toLocaleDateString('en', { hour: 'numeric' })", json!("11/14/2023, 10 PM")),
        ("date.toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit' })", json!("10:03 PM")),
        ("date.toLocaleTimeString('en', { hour12: false })", json!("22:03:20")),
        (
            "date.toLocaleTimeString('en', { hour: 'numeric', minute: 'numeric', hourCycle: 'h23', timeZone: 'UTC', timeZoneName: 'short' })",
            json!("22:03 UTC"),
        ),
        (
            "date.toLocaleTimeString('en', { minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 })",
            json!("03:20.045"),
        ),
        (
            "date.toLocaleString('en', { dateStyle: 'full', timeStyle: 'short' })",
            json!("Tuesday, November 14, 2023 at 10:03 PM"),
        ),
        ("date.toLocaleString('en', { dateStyle: 'medium', timeStyle: 'medium' })", json!("Nov 14, 2023, 10:03:20 PM")),
        ("date.toLocaleDateString('en', { dateStyle: 'short' })", json!("11/14/23")),
        (
            "[new Date(0).toLocaleTimeString(), new Date(43200000).toLocaleTimeString(), new Date(0).toLocaleTimeString('en', { hour12: false })]",
            json!(["12:00:00 AM", "12:00:00 PM", "00:00:00"]),
        ),
        ("new Date(NaN).toLocaleString()", json!("Invalid Date")),
    ]);
}

#[test]
fn what_would_be_nonsense_is_an_error() {
    expect_of_date(&[
        (
            "date.toLocaleString('en', { timeZone: 'Europe/Bielefeld' })",
            json!("RangeError: Intl.DateTimeFormat: there is no time zone \"Europe/Bielefeld\""),
        ),
        ("date.toLocaleString('not a locale')", json!("RangeError: \"not a locale\" is no locale")),
        (
            "date.toLocaleString('en', { month: 'wide' })",
            json!(
                "RangeError: Intl.DateTimeFormat: month can't be \"wide\", only numeric, 2-digit, long, short, narrow"
            ),
        ),
        (
            "date.toLocaleString('en', { dayPeriod: 'short' })",
            json!("TypeError: Intl.DateTimeFormat: the option dayPeriod is not supported here"),
        ),
        (
            "date.toLocaleString('en', { calendar: 'hebrew' })",
            json!("RangeError: Intl.DateTimeFormat: calendar can't be \"hebrew\" here, only gregory"),
        ),
        (
            "date.toLocaleDateString('en', { timeStyle: 'short' }).length",
            json!(
                "TypeError: dateStyle and timeStyle do not go together with the other options, nor with what they do not belong to"
            ),
        ),
        ("Date.prototype.toLocaleString.call({})", json!("TypeError: 'this' is not a Date")),
        ("new Intl.DateTimeFormat().format(NaN)", json!("RangeError: Invalid time value")),
        (
            "(5).toLocaleString('en', { style: 'unit', unit: 'parsec' })",
            json!("RangeError: Intl.NumberFormat: the unit \"parsec\" is not supported here"),
        ),
        (
            "(5).toLocaleString('en', { notation: 'tiny' })",
            json!(
                "RangeError: Intl.NumberFormat: notation can't be \"tiny\", only standard, scientific, engineering, compact"
            ),
        ),
        (
            "(5).toLocaleString('en', { style: 'currency' })",
            json!("TypeError: Intl.NumberFormat: the style currency needs a currency, such as USD"),
        ),
        (
            "(5).toLocaleString('en', { maximumFractionDigits: 101 })",
            json!("RangeError: Intl.NumberFormat: maximumFractionDigits can't be 101, only 0 to 100"),
        ),
        (
            "'a'.localeCompare('b', 'en', { ignorePunctuation: true })",
            json!("TypeError: the option ignorePunctuation is not supported here"),
        ),
        (
            "new Intl.Segmenter('en')",
            json!("TypeError: Intl.Segmenter is not supported here: iterate a text for its characters"),
        ),
        (
            "new Intl.DateTimeFormat('en').formatRange(0, 1)",
            json!("TypeError: Intl.DateTimeFormat: formatRange() is not supported here: format both ends"),
        ),
    ]);
}

#[test]
fn time_zones_are_those_of_the_iana_database() {
    expect_of_date(&[
        ("date.toLocaleString('en-US', { timeZone: 'America/Los_Angeles' })", json!("11/14/2023, 2:03:20 PM")),
        ("date.toLocaleDateString('en-CA', { timeZone: 'Asia/Tokyo' })", json!("2023-11-15")),
        ("date.toLocaleTimeString([], { timeZone: 'asia/kolkata', timeStyle: 'long' })", json!("3:33:20 AM GMT+5:30")),
        ("new Intl.DateTimeFormat('en', { timeZone: 'us/pacific' }).resolvedOptions().timeZone", json!("US/Pacific")),
        (
            "[new Date(-8.64e15), new Date(8.64e15)].map((d) => d.toLocaleString('en', { timeZone: 'Europe/Berlin' }))",
            json!(["4/20/271822, 12:53:28 AM", "9/13/275760, 2:00:00 AM"]),
        ),
        ("date.toLocaleTimeString('en', { timeZone: '-09:30' })", json!("12:33:20 PM")),
        (
            "Intl.supportedValuesOf('timeZone').filter((name) => /Berlin|Pacific.Apia/.test(name))",
            json!(["Europe/Berlin", "Pacific/Apia"]),
        ),
    ]);
}

#[test]
fn numbers_are_grouped_and_rounded() {
    expect_each(&[
        ("(1234567.8915).toLocaleString()", json!("1,234,567.892")),
        (
            "[0, -0, 999, 1000, -1234.5, 1e21, NaN, -Infinity].map((n) => n.toLocaleString())",
            json!(["0", "-0", "999", "1,000", "-1,234.5", "1,000,000,000,000,000,000,000", "NaN", "-∞"]),
        ),
        ("(1234.5).toLocaleString('de-DE', { minimumFractionDigits: 2 })", json!("1,234.50")),
        (
            "(0.5).toLocaleString('en', { maximumFractionDigits: 0 }) + (2).toLocaleString('en', { minimumIntegerDigits: 2 })",
            json!("102"),
        ),
        ("(1234.567).toLocaleString('en', { style: 'currency', currency: 'USD' })", json!("$1,234.57")),
        ("(-5).toLocaleString('en', { style: 'currency', currency: 'eur', maximumFractionDigits: 0 })", json!("-€5")),
        ("(1234.5).toLocaleString('en', { style: 'currency', currency: 'JPY' })", json!("¥1,235")),
        ("(5).toLocaleString('en', { style: 'currency', currency: 'CHF' })", json!("CHF\u{a0}5.00")),
        (
            "(0.256).toLocaleString('en', { style: 'percent' }) + (0.07).toLocaleString('en', { style: 'percent', minimumFractionDigits: 1 })",
            json!("26%7.0%"),
        ),
        (
            "[1.005, 0.1 + 0.2, 1e-7, 123456789012345.678].map((n) => n.toLocaleString('en', { maximumFractionDigits: 2 }))",
            json!(["1.01", "0.3", "0", "123,456,789,012,345.67"]),
        ),
        ("(12345).toLocaleString('en', { useGrouping: false })", json!("12345")),
        ("12345678901234567890n.toLocaleString()", json!("12,345,678,901,234,567,890")),
        ("[1234.5, new Date(0), 'x', null, 5n].toLocaleString()", json!("1,234.5,1/1/1970, 12:00:00 AM,x,,5")),
        ("new Float64Array([1234.5, 2]).toLocaleString()", json!("1,234.5,2")),
        ("({}).toLocaleString()", json!("[object Object]")),
    ]);
}

#[test]
fn texts_are_sorted_as_in_a_dictionary() {
    expect_each(&[
        (
            "['b', 'a', 'B', 'A', 'ä', 'Z', 'z', 'é', 'e', 'f', '10', '9', '_', ' '].sort((x, y) => x.localeCompare(y)).join('')",
            json!(" _109aAäbBeéfzZ"),
        ),
        (
            "['résumé', 'resume', 'Resume', 'résume'].sort((x, y) => x.localeCompare(y))",
            json!(["resume", "Resume", "résume", "résumé"]),
        ),
        (
            "['item10', 'item9', 'Item1'].sort((x, y) => x.localeCompare(y, undefined, { numeric: true }))",
            json!(["Item1", "item9", "item10"]),
        ),
        (
            "['a'.localeCompare('A', 'en', { sensitivity: 'base' }), 'a'.localeCompare('á', 'en', { sensitivity: 'base' }), 'a'.localeCompare('á', 'en', { sensitivity: 'accent' }), 'a'.localeCompare('A', 'en', { sensitivity: 'accent' }), 'a'.localeCompare('A', 'en', { sensitivity: 'case' })]",
            json!([0, 0, -1, 0, -1]),
        ),
        (
            "['a'.localeCompare('b'), 'b'.localeCompare('a'), 'a'.localeCompare('a'), 'a'.localeCompare('ab'), 'e\\u0301'.localeCompare('é')]",
            json!([-1, 1, 0, -1, 0]),
        ),
        ("'a'.localeCompare('A', 'en', { caseFirst: 'upper' })", json!(1)),
        (
            "'e\\u0301'.normalize() === 'é' && 'é'.normalize('NFD') === 'e\\u0301' && '\\ufb01'.normalize('NFKC')",
            json!("fi"),
        ),
        ("['ß'.toLocaleUpperCase(), 'İ'.toLocaleLowerCase('tr').length]", json!(["SS", 2])),
    ]);
}
