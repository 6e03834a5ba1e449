//! Which methods a grant covers.

use std::fmt;
use std::str::FromStr;

use http::Method;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A set of HTTP methods, or any. Never contains `CONNECT`, `TRACE` and `TRACK`: they open a tunnel, or show what a
/// proxy added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods(Option<Vec<Method>>);

/// A text that is not a list of methods.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMethodsError {
    /// It is empty.
    #[error("at least one method must be named, such as GET")]
    Empty,
    /// One of them is not a method.
    #[error("{0:?} is not an HTTP method; methods are written like GET or POST, in capitals, with commas between them")]
    NotAMethod(String),
    /// One of them can't be granted.
    #[error("{0} can't be granted")]
    Forbidden(Method),
}

/// In any case of letters: methods are case-sensitive, but some servers are not.
fn is_forbidden(method: &Method) -> bool {
    Methods::FORBIDDEN.iter().any(|known| method.as_str().eq_ignore_ascii_case(known))
}

impl Methods {
    /// Any method.
    pub const ANY: Self = Self(None);

    /// What no grant covers: they open a tunnel, or show the guest the credential that the gate attaches.
    const FORBIDDEN: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

    /// Whether no grant can cover it.
    pub fn never_allow(method: &Method) -> bool {
        is_forbidden(method)
    }

    /// GET and HEAD: reading.
    pub fn read() -> Self {
        Self(Some(vec![Method::GET, Method::HEAD]))
    }

    fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, ParseMethodsError> {
        let mut methods: Vec<Method> = names.into_iter().map(parse_one).collect::<Result<_, _>>()?;
        if methods.is_empty() {
            return Err(ParseMethodsError::Empty);
        }
        methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        methods.dedup();
        Ok(Self(Some(methods)))
    }

    /// Whether it covers any method.
    pub fn is_any(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it covers this method. Methods are case-sensitive.
    pub fn allow(&self, method: &Method) -> bool {
        !is_forbidden(method) && self.0.as_ref().is_none_or(|methods| methods.contains(method))
    }

    /// The methods in both; `None` if there are none.
    pub(crate) fn intersection(&self, other: &Self) -> Option<Self> {
        let (Some(own), Some(_)) = (&self.0, &other.0) else {
            return Some(if self.is_any() { other.clone() } else { self.clone() });
        };
        let both: Vec<Method> = own.iter().filter(|method| other.allow(method)).cloned().collect();
        (!both.is_empty()).then_some(Self(Some(both)))
    }

    /// The methods in this and not in `other`; `None` if there are none. "Any" without a list can't be listed, so it is
    /// "any" again.
    pub(crate) fn without(&self, other: &Self) -> Option<Self> {
        match (&self.0, &other.0) {
            (_, None) => None,
            (None, Some(_)) => Some(Self::ANY),
            (Some(own), Some(_)) => {
                let rest: Vec<Method> = own.iter().filter(|method| !other.allow(method)).cloned().collect();
                (!rest.is_empty()).then_some(Self(Some(rest)))
            }
        }
    }
}

fn parse_one(name: &str) -> Result<Method, ParseMethodsError> {
    let name = name.trim();
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    if name.is_empty() || name.len() > 32 || !name.bytes().all(allowed) {
        return Err(ParseMethodsError::NotAMethod(name.chars().take(40).collect()));
    }
    let method = Method::from_bytes(name.as_bytes()).map_err(|_| ParseMethodsError::NotAMethod(name.into()))?;
    if is_forbidden(&method) { Err(ParseMethodsError::Forbidden(method)) } else { Ok(method) }
}

/// `GET,HEAD`, or `any method`.
impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(methods) = &self.0 else { return f.write_str("any method") };
        for (index, method) in methods.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{method}")?;
        }
        Ok(())
    }
}

/// Parses a list such as `GET,HEAD`.
impl FromStr for Methods {
    type Err = ParseMethodsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::named(text.split(','))
    }
}

/// A list of names; absent means any.
impl Serialize for Methods {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names: Option<Vec<&str>> = self.0.as_ref().map(|methods| methods.iter().map(Method::as_str).collect());
        names.serialize(serializer)
    }
}

/// A list of names, of which there must be at least one.
impl<'de> Deserialize<'de> for Methods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Self::named(names.iter().map(String::as_str)).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(text: &str) -> Methods {
        text.parse().unwrap()
    }

    #[test]
    fn lists_are_parsed_in_any_order_and_printed_in_one() {
        assert_eq!(methods("POST,GET, GET").to_string(), "GET,POST");
        assert_eq!(methods("PROPFIND,M-SEARCH").to_string(), "M-SEARCH,PROPFIND");
        assert_eq!(Methods::read(), methods("HEAD,GET"));
    }

    #[test]
    fn invalid_methods_are_refused() {
        for text in ["", ",", "GET,", "get", "GE T", "GET;", "*", "GÉT", &"A".repeat(33)] {
            assert!(matches!(text.parse::<Methods>(), Err(ParseMethodsError::NotAMethod(_))), "{text}");
        }
        for text in ["CONNECT", "GET,TRACE", "TRACK"] {
            assert!(matches!(text.parse::<Methods>(), Err(ParseMethodsError::Forbidden(_))), "{text}");
        }
    }

    #[test]
    fn any_excludes_tunnels_and_case_matters() {
        assert!(Methods::ANY.allow(&Method::PATCH));
        assert!(!Methods::ANY.allow(&Method::CONNECT));
        assert!(!Methods::ANY.allow(&Method::TRACE));
        for method in ["connect", "Trace", "trACK"] {
            assert!(!Methods::ANY.allow(&method.parse().unwrap()), "{method}");
        }
        for method in ["foo", "patch", "tracer"] {
            assert!(Methods::ANY.allow(&method.parse().unwrap()), "{method}");
        }
        assert!(!methods("GET").allow(&Method::from_bytes(b"get").unwrap()));
        assert!(!methods("GET").allow(&Method::HEAD));
    }

    #[test]
    fn sets_are_intersected_and_subtracted() {
        let (any, get, get_post) = (Methods::ANY, methods("GET"), methods("GET,POST"));
        assert_eq!(any.intersection(&get), Some(get.clone()));
        assert_eq!(get.intersection(&any), Some(get.clone()));
        assert_eq!(get_post.intersection(&get), Some(get.clone()));
        assert_eq!(get.intersection(&methods("POST")), None);
        assert_eq!(any.without(&get), Some(Methods::ANY));
        assert_eq!(get_post.without(&get), Some(methods("POST")));
        assert_eq!(get.without(&get_post), None);
        assert_eq!(get.without(&any), None);
    }
}
