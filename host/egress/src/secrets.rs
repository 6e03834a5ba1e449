//! Secrets that a guest knows, and where they may go.
//!
//! A charm's handler reads its own token, and sends it to the address in its cells. Someone who may write these cells
//! must not be able to send the token to every granted server. So a secret can be bound to origins: a request to
//! another origin that contains the secret, in any of the [usual forms](forms), is denied. Other encodings pass: this
//! prevents accidents and redirection, but does not stop a program that encrypts its own token.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use bg_identity::{Lines, Most, SECRET_MASK, Secret, excerpt};
use bg_manifest::{HttpGrant, command_line_option};
use http::{HeaderMap, Method};

use crate::error::{EgressError, Rule};
use crate::target::Target;
use crate::{Owner, forms};

/// Shorter secrets are not searched for: they occur in too many places by chance.
const SHORTEST: usize = 8;

/// Of a longer secret, the end is searched for: tokens often start with the same header.
const LONGEST: usize = 128;

/// How many secrets are searched for. If a call has more, everything that could contain one is neither sent elsewhere
/// nor logged.
const MOST: usize = 64;

/// Longest path of a secret in a message. Keys of cells may come from anywhere.
const PATH_CHARS: usize = 100;

/// A secret that a guest knows.
#[derive(Clone)]
pub struct KnownSecret {
    /// Its name in messages: `auth.token`.
    pub path: String,
    /// The secret itself.
    pub text: Secret,
    /// Where it may go, as far as grants allow; only their schemes, hosts and ports matter. `None` if it is not bound.
    pub origins: Option<Arc<[HttpGrant]>>,
}

impl fmt::Debug for KnownSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownSecret").field("path", &self.path).field("origins", &self.origins).finish_non_exhaustive()
    }
}

impl KnownSecret {
    fn may_go_to(&self, target: &Target) -> bool {
        self.origins.as_ref().is_none_or(|origins| origins.iter().any(|grant| grant.matches_origin(target.url())))
    }

    fn is_looked_for(&self) -> bool {
        self.text.expose().len() >= SHORTEST
    }
}

/// The secrets of one call.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    known: Vec<KnownSecret>,
    /// Built for the first request.
    matcher: OnceLock<Matcher>,
}

#[derive(Debug)]
struct Matcher {
    /// `None` if there are too many to search for: then any text may contain one.
    forms: Option<AhoCorasick>,
    /// For each form, the index of its secret.
    of: Vec<usize>,
}

impl Secrets {
    /// Bound secrets come first, since only the first [`MOST`] are searched for.
    pub(crate) fn new(known: Vec<KnownSecret>) -> Self {
        let mut known: Vec<_> = known.into_iter().filter(KnownSecret::is_looked_for).collect();
        known.sort_by_key(|secret| secret.origins.is_none());
        Self { known, matcher: OnceLock::new() }
    }

    /// Whether a URL contains one, and must not be shown.
    pub(crate) fn are_in(&self, text: &str) -> bool {
        self.known.len() > MOST || self.found_in(text.as_bytes(), |_| true).is_some()
    }

    /// Whether a text of a record or an error contains one. Secrets beyond the first [`MOST`] are searched for
    /// literally only: the operator has to see what was denied, and why, for such a charm too.
    pub(crate) fn appear_in(&self, text: &str) -> bool {
        let is_in = |secret: &KnownSecret| {
            let secret = secret.text.expose().as_bytes();
            text.as_bytes().windows(secret.len()).any(|part| part.eq_ignore_ascii_case(secret))
        };
        text.len() >= SHORTEST
            && (self.found_in(text.as_bytes(), |_| true).is_some() || self.known.iter().skip(MOST).any(is_in))
    }

    /// The text, or a mask if it contains one.
    pub(crate) fn masked(&self, text: String) -> String {
        if self.appear_in(&text) { SECRET_MASK.to_owned() } else { text }
    }

    /// The error of a request with that method, without the texts that contain a secret.
    pub(crate) fn masked_error(&self, error: EgressError, method: &Method) -> EgressError {
        let method = method.as_str();
        // Messages cut a long method, and the rest of a secret would not be recognized.
        let cut = self.appear_in(method).then(|| method.get(..SHORTEST).unwrap_or(method));
        error.masked(|text| cut.is_some_and(|cut| text.contains(cut)) || self.appear_in(text))
    }

    /// Whether one of them may not go to the target, so that what is sent there must be searched.
    pub(crate) fn are_bound_elsewhere(&self, target: &Target) -> bool {
        self.known.iter().any(|secret| !secret.may_go_to(target))
    }

    /// Denies a request whose URL or headers contain one that may not go there.
    pub(crate) fn check_head(
        &self,
        owner: &Owner,
        target: &Target,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<(), EgressError> {
        if !self.are_bound_elsewhere(target) {
            return Ok(());
        }
        let bound = self.known.iter().filter(|secret| secret.origins.is_some()).count();
        if bound > MOST {
            let message = format!(
                "{owner} may not send anything to {}: the charm has {bound} secrets that are bound to other origins, \
                and at most {MOST} can be looked for",
                target.origin()
            );
            return Err(EgressError::Denied { rule: Rule::BoundSecret, message, option: None });
        }
        let mut head = [method.as_str(), " ", target.url().as_str(), "\n"].concat().into_bytes();
        for (name, value) in headers {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
        }
        self.check(owner, target, &head, "URL or headers")
    }

    /// Denies a request whose body contains one that may not go there.
    pub(crate) fn check_body(&self, owner: &Owner, target: &Target, body: &[u8]) -> Result<(), EgressError> {
        self.check(owner, target, body, "body")
    }

    fn check(&self, owner: &Owner, target: &Target, bytes: &[u8], part: &str) -> Result<(), EgressError> {
        let Some(secret) = self.found_in(bytes, |secret| !secret.may_go_to(target)) else { return Ok(()) };
        let path = excerpt(&secret.path, Lines::Escaped, Most::Chars(PATH_CHARS));
        let origins = secret.origins.as_deref().unwrap_or_default();
        let bound = match origins {
            // What the host renews.
            [] if secret.path == "auth.refreshToken" => {
                "is for the service that renews tokens only, which the host asks; \
                 a handler whose token is refused sets auth.expiresAt to 1, and the host renews it before the next poll"
                    .to_owned()
            }
            [] => "is for the service that renews tokens only".to_owned(),
            origins => format!("may go to {} only", list(origins)),
        };
        // A host name that contains the secret is not shown, and no option is suggested for it.
        let (place, option) = if self.are_in(target.host()) {
            ("a host of that name".to_owned(), None)
        } else {
            let origin = target.origin().to_string();
            // The option accepts no other characters.
            let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let option = || command_line_option("--charm-credential", &format!("{}={origin}", secret.path));
            let option = secret.path.chars().all(fits).then(option);
            (origin, option)
        };
        let message =
            format!("{owner} may not send the charm's secret {path} to {place}, in the request's {part}: it {bound}");
        Err(EgressError::Denied { rule: Rule::BoundSecret, message, option })
    }

    /// The first of the wanted secrets that occurs in `bytes`, in any form.
    fn found_in(&self, bytes: &[u8], wanted: impl Fn(&KnownSecret) -> bool) -> Option<&KnownSecret> {
        if self.known.is_empty() {
            return None;
        }
        let Matcher { forms, of } = self.matcher.get_or_init(|| Matcher::of(&self.known));
        let Some(forms) = forms else { return self.known.iter().find(|secret| wanted(secret)) };
        forms::readings(bytes).find_map(|reading: Cow<'_, [u8]>| {
            let mut found = forms.find_overlapping_iter(&*reading);
            found
                .find_map(|form| of.get(form.pattern().as_usize()).map(|&at| &self.known[at]).filter(|one| wanted(one)))
        })
    }
}

impl Matcher {
    fn of(known: &[KnownSecret]) -> Self {
        let mut patterns: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (at, secret) in known.iter().enumerate().take(MOST) {
            for form in forms::of(end(secret.text.expose())).into_iter().filter(|form| form.len() >= SHORTEST) {
                patterns.entry(form).or_insert(at);
            }
        }
        let (patterns, of): (Vec<_>, Vec<_>) = patterns.into_iter().unzip();
        let forms = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(patterns)
            .ok();
        Self { forms, of }
    }
}

/// The end of a text, from a character boundary.
fn end(text: &str) -> &str {
    let from = text.char_indices().map(|(at, _)| at).find(|at| text.len() - at <= LONGEST);
    from.map_or("", |from| &text[from..])
}

fn list(origins: &[HttpGrant]) -> String {
    let mut origins: Vec<String> = origins
        .iter()
        .map(|grant| {
            grant.origin().map_or_else(|| format!("{}://{}", grant.scheme(), grant.host()), |origin| origin.to_string())
        })
        .collect();
    origins.dedup();
    origins.join(", ")
}
