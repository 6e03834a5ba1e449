//! What an integration says about itself and asks for: `bg_manifest::Manifest`.
//!
//! Input: an `integration.toml`, or the same as JSON. Lines that start with `#set ` and contain a `=` are the
//! operator's config values.

#![no_main]

#[path = "common/shell.rs"]
mod shell;

use std::collections::BTreeMap;
use std::time::Duration;

use bg_manifest::{
    AskedHttp, ConfigError, Credential, HostPattern, HttpEntry, HttpGrant, Manifest, OperatorGrant, effective,
    granted_as_asked,
};
use libfuzzer_sys::fuzz_target;

/// The operator's config values.
type Values = BTreeMap<String, String>;

fuzz_target!(|data: &[u8]| {
    if let Ok(manifest) = Manifest::from_json(data) {
        check(&manifest, &Values::new());
    }
    let Ok(text) = str::from_utf8(data) else { return };
    let set = text.lines().filter_map(|line| line.strip_prefix("#set ")?.split_once('='));
    let set: Values = set.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    match Manifest::parse(text) {
        Ok(manifest) => check(&manifest, &set),
        // It quotes the wrong line, and no more.
        Err(error) => assert!(error.to_string().len() <= 4 * text.len() + 1024, "{error}"),
    }
});

fn check(manifest: &Manifest, set: &Values) {
    let json = manifest.to_json();
    let again = Manifest::from_json(&json).unwrap_or_else(|error| panic!("what was read, as JSON: {error}"));
    assert_eq!(&again, manifest);
    assert_eq!(again.to_json(), json);
    texts_are_lines(manifest);
    assert!(manifest.http.len() <= 64 && manifest.config.len() <= 64);
    let interval = manifest.integration.interval.unwrap_or(Duration::from_secs(1));
    assert!((Duration::from_secs(1)..=Duration::from_hours(24)).contains(&interval), "{interval:?}");
    assert!(manifest.integration.homepage.iter().all(|url| url.starts_with("https://") || url.starts_with("http://")));

    let defaults = manifest.asked(&Values::new());
    assert!(matches!(defaults, Ok(_) | Err(ConfigError::Missing { .. })), "{defaults:?} was found only now");
    if let Ok(asked) = &defaults {
        asked_for(manifest, &Values::new(), asked);
    }
    if let Ok(asked) = manifest.asked(set) {
        asked_for(manifest, set, &asked);
    }
}

/// Every text of the author can safely be shown to the operator, who decides by it.
fn texts_are_lines(manifest: &Manifest) {
    let about = &manifest.integration;
    let mut texts = vec![about.id.as_str(), &about.name, &about.version, &about.description, &about.license];
    texts.extend(about.authors.iter().map(String::as_str));
    texts.extend(about.homepage.as_deref());
    for HttpEntry { reason, .. } in &manifest.http {
        texts.push(reason);
    }
    for (key, declared) in &manifest.config {
        texts.extend([key.as_str(), &declared.description]);
        texts.extend(declared.default.as_deref());
    }
    let urls: Vec<String> = manifest.http.iter().map(|entry| entry.url.to_string()).collect();
    texts.extend(urls.iter().map(String::as_str));
    for text in texts {
        let unfit = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!text.contains(unfit), "{text:?}");
        assert!(text.chars().count() <= 4000, "{} characters", text.chars().count());
    }
}

fn asked_for(manifest: &Manifest, set: &Values, asked: &[AskedHttp]) {
    assert_eq!(asked.len(), manifest.http.len());
    let mut values = set.clone();
    for (key, declared) in &manifest.config {
        if let Some(default) = &declared.default {
            values.entry(key.clone()).or_insert_with(|| default.clone());
        }
    }
    for (entry, asked) in manifest.http.iter().zip(asked) {
        asked_as_written(entry, &values, asked);
    }
    for (a, b) in asked.iter().flat_map(|a| asked.iter().map(move |b| (a, b))) {
        let same_place = a.grant.host() == b.grant.host() && a.grant.path() == b.grant.path();
        let meet = same_place && a.grant.intersection(&b.grant).is_some();
        assert!(!meet || a.credential == b.credential, "two credentials for {} and {}", a.grant, b.grant);
    }
    granted(manifest, asked);
}

/// What is asked for is the entry with its values filled in. A value can't change the host that the entry names itself.
fn asked_as_written(entry: &HttpEntry, values: &Values, asked: &AskedHttp) {
    assert_eq!(asked.grant.methods(), &entry.methods);
    let credential = entry.credential.clone().map(|path| Credential { path, scheme: entry.scheme.clone() });
    assert_eq!((&asked.credential, &asked.reason), (&credential, &entry.reason));
    let one_host = matches!(asked.grant.host(), HostPattern::Exact(_));
    assert!(asked.credential.is_none() || one_host, "a credential for {}", asked.grant);

    let template = entry.url.to_string();
    let filled = fill(&template, values);
    let expected: HttpGrant = filled.parse().unwrap_or_else(|error| panic!("{filled}: {error}"));
    assert_eq!(asked.grant, expected.with_methods(entry.methods.clone()), "{template} became {filled}");

    let fixed = template.split("${").next().unwrap_or_default();
    let Some((scheme, rest)) = fixed.split_once("://") else { return };
    let Some((host, path)) = rest.split_once('/') else { return };
    // Everything up to the last slash is fixed, since no value can lead upwards.
    let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let bound: HttpGrant = format!("{scheme}://{host}/{folder}")
        .parse()
        .unwrap_or_else(|error| panic!("{template} became {filled}, but its own part: {error}"));
    assert!(bound.covers(&asked.grant), "{template} became {}", asked.grant);
}

/// Replaces keys by values; a slash at a value's end and one right after it are merged.
fn fill(template: &str, values: &Values) -> String {
    let mut pieces = template.split("${");
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (key, text) = piece.split_once('}').expect("it was read");
        filled.push_str(&values[key]);
        let doubled = filled.ends_with('/') && text.starts_with('/');
        filled.push_str(if doubled { &text[1..] } else { text });
    }
    filled
}

/// Nothing is granted without being asked for and granted, and the suggested option for what is missing suffices.
fn granted(manifest: &Manifest, asked: &[AskedHttp]) {
    let id = &manifest.integration.id;
    assert_eq!(granted_as_asked(asked).len(), asked.len());
    let (nothing, withheld) = effective(id, asked, &[]);
    assert!(nothing.is_empty());
    assert_eq!(withheld.len(), asked.len());
    let options = withheld.iter().map(|withheld| {
        let option = &withheld.option;
        let value = shell::value(option, "--allow-http").unwrap_or_else(|| panic!("{option} is not an option"));
        let grant: OperatorGrant = value.parse().unwrap_or_else(|error| panic!("{option}: {error}"));
        assert_eq!(grant.integration.as_ref(), Some(id), "{option}");
        grant
    });
    let options: Vec<OperatorGrant> = options.collect();
    let (everything, withheld) = effective(id, asked, &options);
    assert!(withheld.is_empty(), "{withheld:?}");
    for grant in &everything {
        let by = |asked: &&AskedHttp| asked.grant.covers(&grant.grant) && asked.credential == grant.credential;
        assert!(asked.iter().find(by).is_some(), "nobody asked for {}", grant.grant);
    }
}
