//! The feed reader.

use std::time::Duration;

use bg_test_support::{FakeSite, charm_source};
use serde_json::{Value, json};

use crate::support::{Charm, client, component};

/// RSS 2.0 with these items, each `(guid, title, more)`.
fn rss(items: &[(&str, &str, &str)]) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|(guid, title, more)| format!("<item><title>{title}</title><guid>{guid}</guid>{more}</item>"))
        .collect();
    format!(
        "<?xml version=\"1.0\"?><!DOCTYPE rss><rss version=\"2.0\"><channel><title>News</title><link>https://a.example/</link>{}</channel></rss>",
        items.concat()
    )
}

const ATOM: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title type="text">A&#x26;B</title>
  <!-- a comment with <entry> in it -->
  <entry>
    <id>tag:b.example,2024:1</id><title type="html">Tom &amp;amp; &lt;b&gt;Jerry&lt;/b&gt;</title>
    <link rel="self" href="https://b.example/self"/><link href="https://b.example/1?a=1&amp;b=2"/>
    <updated>2024-05-02T10:00:00+02:00</updated>
    <summary type="xhtml"><div>One <em>two</em></div></summary>
  </entry>
</feed>"#;

async fn reader(site: &FakeSite, paths: &[&str], limit: u32) -> Charm {
    let component = component(Duration::from_mins(1)).await;
    let urls: Vec<String> = paths.iter().map(|path| site.url(path)).collect();
    let inputs = json!({"urls": urls, "limit": limit});
    Charm::fixture(&component, "feed.tsx", inputs, client(Some(&site.base_url()))).await
}

/// A reader that gives itself twenty times its time, for what only a busy machine cannot read in it.
async fn patient_reader(site: &FakeSite, paths: &[&str]) -> Charm {
    let component = component(Duration::from_mins(20)).await;
    let source = std::fs::read_to_string(charm_source("feed.tsx")).unwrap();
    let times = "{ ask: 30_000, read: 50_000, feed: 25_000 }";
    assert!(source.contains(times), "the reader has other times");
    let source = source.replace(times, "{ ask: 600_000, read: 1_000_000, feed: 500_000 }");
    let urls: Vec<String> = paths.iter().map(|path| site.url(path)).collect();
    let inputs = json!({"urls": urls, "limit": 10});
    Charm::changed_fixture(&component, "feed.tsx", source, inputs, client(Some(&site.base_url()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_both_kinds_of_feed_are_read_with_their_entities() {
    let site = FakeSite::start().unwrap();
    let item = "<link>https://a.example/1</link><pubDate>Wed, 01 May 2024 08:30:00 EDT</pubDate>\
                <description><![CDATA[<p>It&rsquo;s &lt;here&gt; ]]&gt;</p>]]></description>";
    site.put("/rss", "application/rss+xml", &rss(&[("1", "Caf&#233; &quot;one&quot;", item), ("2", "No date", "")]));
    site.put("/atom", "application/atom+xml", ATOM);
    let mut charm = reader(&site, &["/rss", "/atom"], 10).await;
    charm.poll().await;
    let (rss, atom) = (site.url("/rss"), site.url("/atom"));
    assert_eq!(
        charm.cell("entries"),
        json!([
            {
                "id": "tag:b.example,2024:1", "feed": atom, "title": "Tom & Jerry", "link": "https://b.example/1?a=1&b=2",
                "published": "2024-05-02T08:00:00.000Z", "summary": "One two",
            },
            {
                "id": "1", "feed": rss, "title": "Café \"one\"", "link": "https://a.example/1",
                "published": "2024-05-01T12:30:00.000Z", "summary": "It&rsquo;s <here> ]]>",
            },
            {"id": "2", "feed": rss, "title": "No date", "link": "", "published": "", "summary": ""},
        ])
    );
    let feeds = charm.cell("feeds");
    assert_eq!((&feeds[0]["title"], &feeds[1]["title"]), (&json!("News"), &json!("A&B")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_sent_again_only_if_it_changed_and_an_entry_is_taken_once() {
    let site = FakeSite::start().unwrap();
    let dated = |day: u32| format!("<pubDate>{day:02} May 2024 00:00 +0200</pubDate>");
    let days: Vec<String> = (1..=5).map(dated).collect();
    site.put("/rss", "text/xml", &rss(&[("3", "Three", &days[2]), ("2", "Two", &days[1]), ("1", "One", &days[0])]));
    let mut charm = reader(&site, &["/rss"], 3).await;
    charm.poll().await;
    assert_eq!(charm.each("entries", "title"), ["Three", "Two", "One"]);
    let first = site.take_requests().remove(0);
    assert!(
        !first.headers.contains_key("if-none-match") && !first.headers.contains_key("if-modified-since"),
        "{first:?}"
    );

    charm.poll().await;
    let second = site.take_requests().remove(0);
    assert_eq!((second.status, second.headers["if-none-match"].as_str()), (304, "\"v1\""));
    assert!(second.headers["if-modified-since"].ends_with("GMT"), "{second:?}");
    assert_eq!(charm.each("entries", "title"), ["Three", "Two", "One"]);

    // The oldest makes room, and does not come back though the feed still has it.
    let items =
        [("4", "Four", days[3].as_str()), ("3", "Three", &days[2]), ("2", "Two", &days[1]), ("1", "One", &days[0])];
    site.put("/rss", "text/xml", &rss(&items));
    charm.poll().await;
    assert_eq!(charm.each("entries", "title"), ["Four", "Three", "Two"]);
    assert_eq!(site.take_requests().remove(0).status, 200);
    let items = [("5", "Five", days[4].as_str()), items[0], items[1], items[2], items[3]];
    site.put("/rss", "text/xml", &rss(&items));
    charm.poll().await;
    assert_eq!(charm.each("entries", "title"), ["Five", "Four", "Three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_feed_that_fails_does_not_lose_the_others_entries() {
    let site = FakeSite::start().unwrap();
    site.put("/good", "text/xml", &rss(&[("1", "Good", "")]));
    site.put("/html", "text/html", "<html><body>Not a feed</body></html>");
    site.set_status("/gone", 410);
    site.redirect("/moved", "/good");
    let mut charm = reader(&site, &["/gone", "/html", "/good", "/moved"], 10).await;
    charm.poll().await;
    assert_eq!(charm.each("entries", "title"), ["Good", "Good"]);
    assert_eq!(
        charm.each("feeds", "error"),
        ["Error: answered 410 Gone", "Error: this is neither RSS nor Atom", "", ""]
    );
    // It is asked again, and what was read before is not asked for.
    site.put("/gone", "text/xml", &rss(&[("2", "Back", "")]));
    site.take_requests();
    charm.poll().await;
    assert_eq!(charm.each("entries", "title").len(), 3);
    assert_eq!(charm.each("feeds", "error")[0], "");
    let mut seen: Vec<(String, u16)> = site.take_requests().into_iter().map(|seen| (seen.path, seen.status)).collect();
    seen.sort();
    let expected = [("/gone", 200), ("/good", 304), ("/good", 304), ("/html", 200), ("/moved", 301)];
    assert_eq!(seen, expected.map(|(path, status)| (path.to_owned(), status)));
    // A feed that is taken off the list is forgotten.
    charm.set("urls", &Value::Array(vec![site.url("/good").into()]));
    charm.poll().await;
    assert_eq!(charm.each("feeds", "title"), ["News"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_do_not_come_again_after_an_answer_without_them() {
    let site = FakeSite::start().unwrap();
    let full = rss(&[("1", "One", ""), ("2", "Two", "")]);
    site.put("/rss", "text/xml", &full);
    let mut charm = reader(&site, &["/rss"], 10).await;
    charm.poll().await;
    assert_eq!(charm.each("entries", "title"), ["One", "Two"]);
    for gone in [rss(&[]), rss(&[("2", "Two", "")])] {
        site.put("/rss", "text/xml", &gone);
        charm.poll().await;
        site.put("/rss", "text/xml", &full);
        charm.poll().await;
        assert_eq!(charm.each("entries", "title"), ["One", "Two"]);
    }
    // What a feed no longer has is remembered, but not without end.
    for round in 0..3 {
        let ids: Vec<String> = (0..700).map(|n| format!("{round}-{n}")).collect();
        let items: Vec<_> = ids.iter().map(|id| (id.as_str(), id.as_str(), "")).collect();
        site.put("/rss", "text/xml", &rss(&items));
        charm.poll().await;
    }
    assert_eq!(charm.cell("feeds")[0]["seen"].as_array().unwrap().len(), 700 + 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_are_read_in_their_encoding_or_say_which_one_is_not_known() {
    let site = FakeSite::start().unwrap();
    let declared = |encoding: &str| rss(&[("1", "TITLE", "")]).replace("?>", &format!(" encoding=\"{encoding}\"?>"));
    let put = |path: &str, kind: &'static str, xml: &str, title: &[u8]| {
        let (before, after) = xml.split_once("TITLE").unwrap();
        site.put_bytes(path, kind, &[before.as_bytes(), title, after.as_bytes()].concat());
    };
    let plain = rss(&[("1", "TITLE", "")]);
    put("/utf8", "text/xml", &plain, "Café €".as_bytes());
    put("/latin", "application/rss+xml", &declared("ISO-8859-1"), b"Caf\xe9 \x80");
    put("/header", "text/xml; charset=windows-1251", &plain, b"\xcf\xf0\xe8\xe2\xe5\xf2");
    // What the server says counts, as the standard has it; and a mark before all.
    put("/both", "text/xml; charset=\"iso-8859-15\"", &declared("utf-8"), b"Caf\xe9 \xa4");
    put("/koi", "text/xml", &declared("KOI8-R"), b"\xf0\xd2\xc9\xd7\xc5\xd4");
    let marked = format!("\u{feff}{}", declared("iso-8859-1"));
    put("/mark", "text/xml; charset=iso-8859-1", &marked, "Café".as_bytes());
    let utf16: Vec<u16> = declared("utf-16").replace("TITLE", "Café €").encode_utf16().collect();
    let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16.iter().flat_map(|unit| unit.to_le_bytes())).collect();
    let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(utf16.iter().flat_map(|unit| unit.to_be_bytes())).collect();
    site.put_bytes("/little", "text/xml", &little);
    site.put_bytes("/big", "text/xml", &big);
    put("/unknown", "text/xml", &declared("x-klingon"), b"\x83\x65");

    let expected = [
        ("/utf8", "Café €"),
        ("/latin", "Café €"),
        ("/header", "Привет"),
        ("/both", "Café €"),
        ("/koi", "Привет"),
        ("/mark", "Café"),
        ("/little", "Café €"),
        ("/big", "Café €"),
    ];
    for (path, title) in expected {
        let mut charm = reader(&site, &[path], 10).await;
        charm.poll().await;
        assert_eq!(charm.each("entries", "title"), [title], "{path}: {}", charm.cell("feeds"));
    }
    let mut charm = reader(&site, &["/unknown"], 10).await;
    charm.poll().await;
    assert_eq!(charm.each("feeds", "error"), ["Error: the encoding x-klingon is not known here"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_of_five_megabytes_is_read_and_so_is_one_that_is_made_to_be_slow() {
    let site = FakeSite::start().unwrap();
    let body = format!("<description><![CDATA[<p>{}</p>]]></description>", "Some words of it. ".repeat(50));
    let ids: Vec<String> = (0..5_000).map(|n| format!("https://a.example/{n}")).collect();
    let items: Vec<_> = ids.iter().map(|id| (id.as_str(), "A &amp; B", body.as_str())).collect();
    let large = rss(&items);
    assert!(large.len() > 5_000_000, "{}", large.len());
    site.put("/large", "text/xml", &large);
    // Beginnings without ends; quotes; elements within elements.
    let hostile = [
        "<![CDATA[".repeat(50_000),
        "<!--".repeat(100_000),
        format!("<a {}", "b=\"c\" ".repeat(100_000)),
        "<a b='>".repeat(100_000),
        "</item>".repeat(100_000),
        format!("<channel>{}</channel>", "text<br/>".repeat(50_000)),
    ];
    for (n, text) in hostile.iter().enumerate() {
        site.put(&format!("/{n}"), "text/xml", &format!("<rss><channel><item><guid>{n}</guid></item>{text}"));
    }
    let mut charm = patient_reader(&site, &["/large"]).await;
    let began = std::time::Instant::now();
    charm.poll().await;
    println!("{} bytes: {:?}", large.len(), began.elapsed());
    assert_eq!(charm.cell("feeds")[0]["seen"].as_array().unwrap().len(), 5_000);
    let mut charm = patient_reader(&site, &["/0", "/1", "/2", "/3", "/4", "/5"]).await;
    let began = std::time::Instant::now();
    charm.poll().await;
    println!("hostile: {:?}", began.elapsed());
    assert_eq!(charm.each("entries", "id").len(), 6, "{}", charm.cell("feeds"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_no_poll_could_hold_is_an_error_of_its_own_feed_alone() {
    let site = FakeSite::start().unwrap();
    site.put("/good", "text/xml", &rss(&[("1", "Good", "")]));
    let in_item = |text: String| format!("<rss><channel><item><guid>1</guid>{text}</item></channel></rss>");
    let entries = (0..100_000).map(|n| format!("<item><guid>{n}</guid><title>t</title></item>"));
    let entries = entries.collect::<Vec<_>>().concat();
    let (deep, many) = ("elements within each other", "elements outside its entries, or in one");
    let no_feed = "neither RSS nor Atom";
    let pages = [
        ("/html", format!("<html><body>{}</body></html>", "<br>a".repeat(400_000)), no_feed),
        ("/item", in_item("<br>a".repeat(400_000)), deep),
        ("/unclosed", format!("<rss><channel>{}", "<item><title>a".repeat(350_000)), deep),
        ("/quotes", format!("<rss><channel>{}", "<a b=\"x'>".repeat(500_000)), ""),
        ("/wide", in_item("<br/>a".repeat(400_000)), many),
        ("/titles", format!("<rss><channel>{}", "<title/>".repeat(400_000)), many),
        ("/texts", in_item("a<!---->".repeat(400_000)), many),
        ("/tiny", format!("<rss><channel>{entries}</channel></rss>"), "more than 30000 entries"),
    ];
    for (path, page, error) in &pages {
        site.put(path, "text/html", page);
        let mut charm = reader(&site, &[path, "/good"], 10).await;
        charm.poll().await;
        assert_eq!(charm.each("entries", "title"), ["Good"], "{path}");
        let errors = charm.each("feeds", "error");
        // A slow machine ends the reading of a feed earlier.
        let is_expected = errors[0].contains(error) || errors[0].contains("there was no time");
        assert!(is_expected && errors[1].is_empty(), "{path}: {errors:?}");
    }
    // What is of no use is not held, however much of it there is.
    let sparse = format!("<rss><channel>{}<item><guid>1</guid></item></channel></rss>", "<br/>a".repeat(100_000));
    site.put("/sparse", "text/xml", &sparse);
    let mut charm = patient_reader(&site, &["/sparse"]).await;
    charm.poll().await;
    assert_eq!(charm.each("entries", "id"), ["1"], "{}", charm.cell("feeds"));
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_of_rss_1_are_read() {
    let site = FakeSite::start().unwrap();
    let rdf = "<?xml version=\"1.0\"?><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" \
               xmlns=\"http://purl.org/rss/1.0/\"><channel rdf:about=\"https://a.example/rss\"><title>News</title>\
               <items><rdf:Seq><rdf:li rdf:resource=\"https://a.example/1\"/></rdf:Seq></items></channel>\
               <image><title>Logo</title></image>\
               <item rdf:about=\"https://a.example/1\"><title>One</title><link>https://a.example/1?from=rss</link>\
               <dc:date>2024-05-02T10:00:00Z</dc:date></item></rdf:RDF>";
    site.put("/rdf", "application/rdf+xml", rdf);
    let mut charm = reader(&site, &["/rdf"], 10).await;
    charm.poll().await;
    let entries = charm.cell("entries");
    assert_eq!((&entries[0]["id"], &entries[0]["title"]), (&json!("https://a.example/1"), &json!("One")));
    assert_eq!(entries[0]["published"], json!("2024-05-02T10:00:00.000Z"));
    assert_eq!(charm.each("feeds", "title"), ["News"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_feeds_than_a_poll_may_ask_for_take_turns() {
    let site = FakeSite::start().unwrap();
    let paths: Vec<String> = (0..90).map(|n| format!("/{n}")).collect();
    for path in &paths {
        site.put(path, "text/xml", &rss(&[(path, path, "")]));
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let mut charm = reader(&site, &paths, 1_000).await;
    for entries in [40, 80, 90] {
        charm.poll().await;
        assert_eq!(charm.each("entries", "id").len(), entries);
        assert!(charm.each("feeds", "error").iter().all(String::is_empty), "{}", charm.cell("feeds"));
        assert!(site.take_requests().len() <= 40);
    }
}
