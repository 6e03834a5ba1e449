//! What was both asked for and granted.

use std::cmp::Reverse;

use bg_identity::IntegrationId;
use http::Method;
use url::Url;

use crate::config::AskedHttp;
use crate::credential::Credential;
use crate::grant::HttpGrant;
use crate::methods::Methods;
use crate::mismatch::Mismatch;
use crate::operator::{OperatorGrant, command_line_option};

/// What the gate allows, and the secret that it attaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveGrant {
    /// Where to, and with which methods.
    pub grant: HttpGrant,
    /// The secret that the gate attaches, if any.
    pub credential: Option<Credential>,
}

/// A grant without a credential.
impl From<HttpGrant> for EffectiveGrant {
    fn from(grant: HttpGrant) -> Self {
        Self { grant, credential: None }
    }
}

/// Something that was asked for and is not, or only partly, granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// What was asked for.
    pub asked: AskedHttp,
    /// Whether a part of it is granted.
    pub partly_granted: bool,
    /// The command-line option that grants the missing part to this integration only; quoted for a shell.
    pub option: String,
}

/// Everything that is asked for, for an operator who grants all of it.
pub fn granted_as_asked(asked: &[AskedHttp]) -> Vec<EffectiveGrant> {
    ordered(asked.iter().map(|asked| (asked, asked.grant.clone())).collect())
}

/// What `integration` may do: what it asked for, as far as the operator granted it. Also returns what was withheld.
pub fn effective(
    integration: &IntegrationId,
    asked: &[AskedHttp],
    granted: &[OperatorGrant],
) -> (Vec<EffectiveGrant>, Vec<Withheld>) {
    let granted: Vec<&HttpGrant> =
        granted.iter().filter(|grant| grant.is_for(integration)).map(|grant| &grant.grant).collect();
    let mut effective = Vec::new();
    let mut withheld = Vec::new();
    for asked in asked {
        let mut common: Vec<HttpGrant> = Vec::new();
        for grant in granted.iter().filter_map(|grant| grant.intersection(&asked.grant)) {
            if !common.iter().any(|other| other.covers(&grant)) {
                common.retain(|other| !grant.covers(other));
                common.push(grant);
            }
        }
        if let Some(missing) = missing_methods(&asked.grant, &common) {
            withheld.push(Withheld {
                asked: asked.clone(),
                partly_granted: !common.is_empty(),
                option: option(integration, &asked.grant, missing),
            });
        }
        effective.extend(common.into_iter().map(|grant| (asked, grant)));
    }
    (ordered(effective), withheld)
}

/// Narrow places first. If two requests of the manifest are narrowed to the same place, the one that was narrower
/// before comes first. So the first match has the right credential.
fn ordered(mut grants: Vec<(&AskedHttp, HttpGrant)>) -> Vec<EffectiveGrant> {
    grants.sort_by_key(|(asked, grant)| Reverse((grant.narrowness(), asked.grant.narrowness())));
    let with_credential =
        |(asked, grant): (&AskedHttp, _)| EffectiveGrant { grant, credential: asked.credential.clone() };
    grants.into_iter().map(with_credential).collect()
}

/// The methods for which `asked` is not granted everywhere that it asks for.
fn missing_methods(asked: &HttpGrant, common: &[HttpGrant]) -> Option<Methods> {
    let everywhere = |grant: &&HttpGrant| grant.host() == asked.host() && grant.path() == asked.path();
    common
        .iter()
        .filter(everywhere)
        .try_fold(asked.methods().clone(), |missing, grant| missing.without(grant.methods()))
}

/// Without methods if all are missing: the manifest limits them anyway, and the option is shorter.
fn option(integration: &IntegrationId, asked: &HttpGrant, missing: Methods) -> String {
    let methods = if missing == *asked.methods() { Methods::ANY } else { missing };
    let grant = OperatorGrant { integration: Some(integration.clone()), grant: asked.clone().with_methods(methods) };
    command_line_option("--allow-http", &grant.to_string())
}

/// The grant that covers a request: of those that match, the one for the narrowest place. If none does, the reason of
/// the closest one.
pub fn find_grant<'a>(
    grants: &'a [EffectiveGrant],
    method: &Method,
    url: &Url,
) -> Result<&'a EffectiveGrant, Mismatch> {
    let mut nearest = Mismatch::NoGrant;
    let mut found: Option<&EffectiveGrant> = None;
    for effective in grants {
        match effective.grant.matches(method, url) {
            Ok(()) => {
                if found.is_none_or(|other| other.grant.narrowness() < effective.grant.narrowness()) {
                    found = Some(effective);
                }
            }
            Err(mismatch) if nearness(&mismatch) > nearness(&nearest) => nearest = mismatch,
            Err(_) => {}
        }
    }
    found.ok_or(nearest)
}

fn nearness(mismatch: &Mismatch) -> u8 {
    match mismatch {
        Mismatch::NoGrant => 0,
        Mismatch::Origin(_) => 1,
        Mismatch::Path(_) => 2,
        Mismatch::Method { .. } => 3,
        Mismatch::Url(_) => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asked for, granted, effective, and the option's value for what is missing.
    type Case = (&'static str, &'static [&'static str], &'static [&'static str], Option<&'static str>);

    fn asked(grant: &str) -> AskedHttp {
        AskedHttp { grant: grant.parse().unwrap(), credential: None, reason: "r".into() }
    }

    fn with_credential(grant: &str, path: &str) -> EffectiveGrant {
        EffectiveGrant { grant: grant.parse().unwrap(), credential: Some(path.parse().unwrap()) }
    }

    fn granted(grants: &[&str]) -> Vec<OperatorGrant> {
        grants.iter().map(|grant| grant.parse().unwrap()).collect()
    }

    #[test]
    fn the_capability_is_what_was_asked_for_and_granted() {
        let gmail: IntegrationId = "gmail".parse().unwrap();
        let cases: [Case; _] = [
            ("GET https://a.example/x/", &[], &[], Some("gmail=https://a.example/x/")),
            ("GET https://a.example/x/", &["https://a.example/"], &["GET https://a.example/x/"], None),
            ("GET https://a.example/x/", &["gmail=https://a.example/x/"], &["GET https://a.example/x/"], None),
            ("GET https://a.example/x/", &["gcal=https://a.example/"], &[], Some("gmail=https://a.example/x/")),
            ("GET https://a.example/x/", &["https://b.example/"], &[], Some("gmail=https://a.example/x/")),
            ("GET https://a.example/x/", &["POST https://a.example/"], &[], Some("gmail=https://a.example/x/")),
            (
                "GET https://a.example/",
                &["https://a.example/x/"],
                &["GET https://a.example/x/"],
                Some("gmail=https://a.example/"),
            ),
            (
                "GET,POST https://a.example/",
                &["GET https://a.example/"],
                &["GET https://a.example/"],
                Some("'gmail=POST https://a.example/'"),
            ),
            (
                "GET,POST https://a.example/",
                &["GET https://a.example/", "POST https://a.example/"],
                &["GET https://a.example/", "POST https://a.example/"],
                None,
            ),
            (
                "GET,POST https://a.example/",
                &["GET https://a.example/", "POST https://a.example/x"],
                &["POST https://a.example/x", "GET https://a.example/"],
                Some("'gmail=POST https://a.example/'"),
            ),
            (
                "GET https://a.example/",
                &["https://a.example/x", "https://a.example/x/y", "https://a.example/"],
                &["GET https://a.example/"],
                None,
            ),
            (
                "GET https://*.a.example/",
                &["https://x.a.example/"],
                &["GET https://x.a.example/"],
                Some("'gmail=https://*.a.example/'"),
            ),
            ("GET https://x.a.example/", &["https://*.a.example/"], &["GET https://x.a.example/"], None),
            (
                "https://a.example/",
                &["GET https://a.example/"],
                &["GET https://a.example/"],
                Some("gmail=https://a.example/"),
            ),
        ];
        for (ask, grants, expected, missing) in cases {
            let (effective, withheld) = effective(&gmail, &[asked(ask)], &granted(grants));
            let texts: Vec<String> = effective.iter().map(|effective| effective.grant.to_string()).collect();
            assert_eq!(texts, expected, "{ask} of {grants:?}");
            let options: Vec<&str> = withheld.iter().map(|withheld| withheld.option.as_str()).collect();
            let missing = missing.map(|value| format!("--allow-http {value}"));
            assert_eq!(options, missing.as_slice(), "{ask} of {grants:?}");
            assert!(withheld.iter().all(|withheld| withheld.partly_granted != effective.is_empty()));
        }
    }

    #[test]
    fn the_narrowest_grant_decides_the_credential() {
        let grants = [
            with_credential("https://a.example/", "charm.wide"),
            with_credential("GET https://a.example/x/", "charm.narrow"),
            with_credential("https://b.a.example/", "charm.exact"),
            EffectiveGrant::from("https://*.a.example/x/y/z".parse::<HttpGrant>().unwrap()),
        ];
        let credential = |method: Method, url: &str| {
            let found = find_grant(&grants, &method, &url.parse().unwrap()).unwrap();
            found.credential.as_ref().map(ToString::to_string)
        };
        assert_eq!(credential(Method::GET, "https://a.example/x/y").as_deref(), Some("charm.narrow"));
        assert_eq!(credential(Method::POST, "https://a.example/x/y").as_deref(), Some("charm.wide"));
        assert_eq!(credential(Method::GET, "https://a.example/y").as_deref(), Some("charm.wide"));
        assert_eq!(credential(Method::GET, "https://b.a.example/x/y/z").as_deref(), Some("charm.exact"));
        assert_eq!(credential(Method::GET, "https://c.a.example/x/y/z"), None);
    }

    #[test]
    fn entries_narrowed_to_one_place_keep_the_order_of_the_manifest() {
        let wide = AskedHttp { credential: Some("charm.wide".parse().unwrap()), ..asked("GET https://a.example/") };
        let narrow =
            AskedHttp { credential: Some("charm.narrow".parse().unwrap()), ..asked("GET https://a.example/x/") };
        let gmail = "gmail".parse().unwrap();
        for order in [[wide.clone(), narrow.clone()], [narrow, wide]] {
            let (effective, _) = effective(&gmail, &order, &granted(&["https://a.example/x/y/"]));
            let found = find_grant(&effective, &Method::GET, &"https://a.example/x/y/z".parse().unwrap()).unwrap();
            assert_eq!(found.credential.as_ref().unwrap().to_string(), "charm.narrow");
        }
    }

    #[test]
    fn the_reason_of_the_closest_grant_is_reported() {
        let grants = granted_as_asked(&[asked("GET https://a.example/x/"), asked("GET https://b.example/")]);
        let reason =
            |method: Method, url: &str| find_grant(&grants, &method, &url.parse().unwrap()).unwrap_err().to_string();
        assert_eq!(reason(Method::GET, "https://c.example/"), "no grant covers https://c.example");
        assert_eq!(reason(Method::GET, "https://a.example/y"), "the path is not within /x/");
        assert_eq!(reason(Method::POST, "https://a.example/x/"), "POST is not granted there, only GET");
        let none = find_grant(&[], &Method::GET, &"https://a.example/".parse().unwrap());
        assert_eq!(none, Err(Mismatch::NoGrant));
    }
}
