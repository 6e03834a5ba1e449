//! Secrets that a guest knows, and where they may go.
//!
//! A charm's handler reads its own token, and sends it where its cells say. Who may write to these must not be able to send the token to
//! any server that is granted. So a secret may be bound to origins: then a request to another one that carries it is denied, in
//! whichever of the [usual forms](forms) it does. A form that nobody thought of passes: this stops what was not meant, and not a program
//! that encrypts its own token.

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

/// Shorter ones are not looked for: they are found in too many places where they mean something else.
const SHORTEST: usize = 8;

/// Of a longer one, its end is looked for: it begins as others do, where it is a token with a head.
const LONGEST: usize = 128;

/// How many are looked for. With more of them, nothing that could hold one is sent elsewhere, or logged.
const MOST: usize = 64;

/// A path of cells may have keys that come from anywhere.
const PATH_CHARS: usize = 100;

/// A secret that a guest knows.
#[derive(Clone)]
pub struct KnownSecret {
    /// By what it is named in messages: `auth.token`.
    pub path: String,
    /// What it is.
    pub text: Secret,
    /// Where it may go, as far as grants allow; of these, schemes, hosts and ports count. None if it is not bound.
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
    /// Made for the first request.
    matcher: OnceLock<Matcher>,
}

#[derive(Debug)]
struct Matcher {
    /// None if there are too many to look for: then any may be anywhere.
    forms: Option<AhoCorasick>,
    /// Of each form, in which of the secrets.
    of: Vec<usize>,
}

impl Secrets {
    /// Bound ones first: these are looked for, whatever else there is.
    pub(crate) fn new(known: Vec<KnownSecret>) -> Self {
        let mut known: Vec<_> = known.into_iter().filter(KnownSecret::is_looked_for).collect();
        known.sort_by_key(|secret| secret.origins.is_none());
        Self { known, matcher: OnceLock::new() }
    }

    /// Whether a URL holds one, so that it is not to be shown.
    pub(crate) fn are_in(&self, text: &str) -> bool {
        self.known.len() > MOST || self.found_in(text.as_bytes(), |_| true).is_some()
    }

    /// Whether a text of a record, or of an error, holds one. Of more than are looked for in every form, the others are found as they are:
    /// the operator has to read what was denied, and why, of such a charm as well.
    pub(crate) fn are_told_by(&self, text: &str) -> bool {
        let is_in = |secret: &KnownSecret| {
            let secret = secret.text.expose().as_bytes();
            text.as_bytes().windows(secret.len()).any(|part| part.eq_ignore_ascii_case(secret))
        };
        text.len() >= SHORTEST
            && (self.found_in(text.as_bytes(), |_| true).is_some() || self.known.iter().skip(MOST).any(is_in))
    }

    /// The text, or a mask if it holds one.
    pub(crate) fn veiled(&self, text: String) -> String {
        if self.are_told_by(&text) { SECRET_MASK.to_owned() } else { text }
    }

    /// Why a request of that method came to nothing, without the texts that hold one.
    pub(crate) fn veiled_error(&self, error: EgressError, method: &Method) -> EgressError {
        let method = method.as_str();
        // Messages cut a long method, and what is left of a secret is not found there any more.
        let cut = self.are_told_by(method).then(|| method.get(..SHORTEST).unwrap_or(method));
        error.veiled(|text| cut.is_some_and(|cut| text.contains(cut)) || self.are_told_by(text))
    }

    /// Whether one of them may not go to the target, so that what is sent there has to be looked through.
    pub(crate) fn are_bound_elsewhere(&self, target: &Target) -> bool {
        self.known.iter().any(|secret| !secret.may_go_to(target))
    }

    /// Denies a request whose URL or headers hold one that may not go there.
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
                "{owner} may not send anything to {}: the charm has {bound} secrets that are bound to other origins, and at most {MOST} can be looked for",
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

    /// Denies a request whose body holds one that may not go there.
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
                "is for the service that renews tokens alone, which the host asks; \
                 a handler whose token is refused sets auth.expiresAt to 1, and the host renews it before the next poll"
                    .to_owned()
            }
            [] => "is for the service that renews tokens alone".to_owned(),
            origins => format!("may go to {} alone", places(origins)),
        };
        // A host name that holds it is not shown, and no option for it.
        let (place, option) = if self.are_in(target.host()) {
            ("a host of that name".to_owned(), None)
        } else {
            let origin = target.origin().to_string();
            // Other keys than these the option does not take.
            let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let option = || command_line_option("--charm-credential", &format!("{}={origin}", secret.path));
            let option = secret.path.chars().all(fits).then(option);
            (origin, option)
        };
        let message =
            format!("{owner} may not send the charm's secret {path} to {place}, in the request's {part}: it {bound}");
        Err(EgressError::Denied { rule: Rule::BoundSecret, message, option })
    }

    /// The first of the wanted secrets that is somewhere in `bytes`, in any form.
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

/// The last bytes of a text, from the beginning of a character.
fn end(text: &str) -> &str {
    let from = text.char_indices().map(|(at, _)| at).find(|at| text.len() - at <= LONGEST);
    from.map_or("", |from| &text[from..])
}

fn places(origins: &[HttpGrant]) -> String {
    let mut places: Vec<String> = origins
        .iter()
        .map(|grant| {
            grant.origin().map_or_else(|| format!("{}://{}", grant.scheme(), grant.host()), |origin| origin.to_string())
        })
        .collect();
    places.dedup();
    places.join(", ")
}
