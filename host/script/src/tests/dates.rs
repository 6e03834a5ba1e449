//! Dates as texts.

use serde_json::json;

use super::expect_each;

/// 2023-11-14T22:13:20Z, and the beginnings of that minute and of that day.
const MOMENT: i64 = 1_700_000_000_000;
const MINUTE: i64 = 1_699_999_980_000;
const DAY: i64 = 1_699_920_000_000;

#[test]
fn what_mail_http_feeds_and_people_write_is_understood() {
    let texts = [
        ("Tue, 14 Nov 2023 22:13:20 GMT", MOMENT),
        ("Tue, 14 Nov 2023 22:13:20 UT", MOMENT),
        ("Tue, 14 Nov 2023 23:13:20 +0100", MOMENT),
        ("Tue, 14 Nov 2023 16:43:20 -05:30 (somewhere)", MOMENT),
        ("14 Nov 2023 17:13:20 EST", MOMENT),
        ("14 Nov 23 15:13:20 PDT", MOMENT),
        ("Tuesday, 14-Nov-23 22:13:20 GMT", MOMENT),
        ("Tue Nov 14 22:13:20 2023", MOMENT),
        ("Tue Nov 14 22:13:20 UTC 2023", MOMENT),
        ("Tue, 14 Nov 2023 22:13 GMT", MINUTE),
        ("2023-11-14T22:13:20Z", MOMENT),
        ("2023-11-14T22:13:20", MOMENT),
        ("2023-11-14 22:13:20.000123", MOMENT),
        ("2023-11-14T23:13:20.5+01:00", MOMENT + 500),
        ("2023-11-14t22:13z", MINUTE),
        ("+002023-11-14T22:13Z", MINUTE),
        ("2023-11-14", DAY),
        ("2023-11-14T24:00Z", DAY + 86_400_000),
        ("2023-11", DAY - 13 * 86_400_000),
        ("14 November 2023", DAY),
        ("Nov 14, 2023", DAY),
        ("Tuesday, November 14, 2023 at 10:13:20 PM", MOMENT),
        ("11/14/2023, 10:13:20 PM", MOMENT),
        ("11/14/23", DAY),
        ("2023/11/14 22:13:20", MOMENT),
        ("14 Nov 2023 12:00 am", DAY),
        (" 14 Sept 1999 ", 937_267_200_000),
    ];
    let cases: Vec<_> = texts.iter().map(|(text, moment)| (format!("Date.parse('{text}')"), json!(moment))).collect();
    expect_each(&cases.iter().map(|(code, expected)| (code.as_str(), expected.clone())).collect::<Vec<_>>());
}

#[test]
fn what_is_no_date_is_nan() {
    let texts = [
        "",
        "yesterday",
        "14",
        "2023-13-01",
        "2023-11-32",
        "2023-11-14T25:00Z",
        "2023-11-14T22:60Z",
        "Foo, 14 Nov 2023",
        "14 Foo 2023",
        "32 Nov 2023",
        "13/14/2023",
        "14 Nov 2023 13:00 PM",
        "-000000-01-01T00:00Z",
        "2023-11-14T22:13:20+1",
        "null",
    ];
    let cases: Vec<_> = texts.iter().map(|text| (format!("Number.isNaN(Date.parse('{text}'))"), json!(true))).collect();
    expect_each(&cases.iter().map(|(code, expected)| (code.as_str(), expected.clone())).collect::<Vec<_>>());
}

#[test]
fn what_dates_write_they_read() {
    expect_each(&[
        ("Date.parse(new Date(1700000000123).toISOString())", json!(1_700_000_000_123_i64)),
        ("Date.parse(new Date(1700000000000).toString())", json!(MOMENT)),
        ("Date.parse(new Date(1700000000000).toUTCString())", json!(MOMENT)),
        ("Date.parse(new Date(1700000000000).toLocaleString())", json!(MOMENT)),
        ("Date.parse(new Date(1700000000000).toDateString())", json!(DAY)),
        (
            "[-62198755200000, 8.64e15, -8.64e15].map((t) => Date.parse(new Date(t).toISOString()) === t)",
            json!([true, true, true]),
        ),
    ]);
}

#[test]
fn the_constructor_is_as_it_was_but_for_texts() {
    expect_each(&[
        ("new Date('14 Nov 2023 23:13:20 +0100').toISOString()", json!("2023-11-14T22:13:20.000Z")),
        (
            "[new Date(0).getTime(), new Date(2023, 10, 14).getTime(), new Date(new Date(5)).getTime(), new Date(null).getTime(), new Date(true).getTime()]",
            json!([0, DAY, 5, 0, 1]),
        ),
        (
            "[new Date().getTime(), Date.now(), +new Date(undefined) === +new Date(undefined)]",
            json!([1_700_000_000_123_i64, 1_700_000_000_123_i64, false]),
        ),
        (
            "[new Date({ valueOf: () => 7 }).getTime(), new Date(Object('1970-01-01')).getTime(), new Date({ [Symbol.toPrimitive]: () => '1970-01-02' }).getTime()]",
            json!([7, 0, 86_400_000]),
        ),
        (
            "[typeof Date(), Date.name, Date.length, Date.UTC(1970, 0, 2), new Date(0) instanceof Date, new Date(0).constructor === Date]",
            json!(["string", "Date", 7, 86_400_000, true, true]),
        ),
        (
            "(() => { class Mine extends Date { get day() { return this.getUTCDate(); } } const d = new Mine('Nov 14, 2023'); return [d.day, d instanceof Mine, Object.prototype.toString.call(d)]; })()",
            json!([14, true, "[object Date]"]),
        ),
        ("new Date(Symbol())", json!("TypeError: argument must not be a symbol")),
        ("new Date(10n)", json!("TypeError: argument must not be a bigint")),
        ("out.set('Nov 14, 2023') && new Date(out).getTime()", json!(DAY)),
    ]);
}
