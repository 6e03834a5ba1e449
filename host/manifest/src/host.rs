//! Which hosts a grant covers.

use std::fmt;

use url::Host;

/// One host, or all hosts under a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This host only, in normal form.
    Exact(Host<String>),
    /// `*.example.com`: every name that ends with `.example.com`, however deep, but not `example.com` itself. The text
    /// is the part after `*.`.
    Under(String),
}

impl HostPattern {
    /// Whether `host`, in normal form, is covered.
    pub fn matches(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Exact(Host::Domain(own)), Host::Domain(name)) => own == name,
            (Self::Exact(Host::Ipv4(own)), Host::Ipv4(address)) => own == address,
            (Self::Exact(Host::Ipv6(own)), Host::Ipv6(address)) => own == address,
            (Self::Under(base), Host::Domain(name)) => is_under(name, base),
            _ => false,
        }
    }

    /// The hosts that both cover; `None` if there are none.
    pub(crate) fn intersection(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Under(a), Self::Under(b)) if a == b || is_under(a, b) => Some(self.clone()),
            (Self::Under(a), Self::Under(b)) if is_under(b, a) => Some(other.clone()),
            (Self::Exact(host), pattern) | (pattern, Self::Exact(host)) => {
                pattern.matches(&borrowed(host)).then(|| Self::Exact(host.clone()))
            }
            _ => None,
        }
    }
}

/// Whether `name` has at least one more part before `base`.
fn is_under(name: &str, base: &str) -> bool {
    name.strip_suffix(base).and_then(|rest| rest.strip_suffix('.')).is_some_and(|rest| !rest.is_empty())
}

fn borrowed(host: &Host<String>) -> Host<&str> {
    match host {
        Host::Domain(name) => Host::Domain(name),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => write!(f, "{host}"),
            Self::Under(base) => write!(f, "*.{base}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_only_names_under_it() {
        let pattern = HostPattern::Under("example.com".into());
        let cases = [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("example.com", false),
            (".example.com", false),
            ("evilexample.com", false),
            ("a.example.com.evil.example", false),
            ("com", false),
        ];
        for (name, expected) in cases {
            assert_eq!(pattern.matches(&Host::Domain(name)), expected, "{name}");
        }
        assert!(!pattern.matches(&Host::Ipv4([127, 0, 0, 1].into())));
    }

    #[test]
    fn an_intersection_is_the_narrower_one() {
        let under = |base: &str| HostPattern::Under(base.into());
        let exact = |name: &str| HostPattern::Exact(Host::Domain(name.into()));
        let cases = [
            (under("a.b"), under("a.b"), Some(under("a.b"))),
            (under("a.b"), under("x.a.b"), Some(under("x.a.b"))),
            (under("a.b"), under("xa.b"), None),
            (under("a.b"), exact("x.a.b"), Some(exact("x.a.b"))),
            (under("a.b"), exact("a.b"), None),
            (exact("a.b"), exact("a.b"), Some(exact("a.b"))),
            (exact("a.b"), exact("b"), None),
        ];
        for (one, other, expected) in cases {
            assert_eq!(one.intersection(&other), expected, "{one} and {other}");
            assert_eq!(other.intersection(&one), expected, "{other} and {one}");
        }
    }
}
