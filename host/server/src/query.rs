//! Query parameters and path segments.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use bg_identity::{IntegrationId, SpaceDid};
use bg_poller::CharmRef;
use http::Uri;
use http::request::Parts;

use crate::answer::Failure;

/// Parses the value of a query parameter; `None` if it is missing.
pub(crate) fn parameter<T>(uri: &Uri, name: &str) -> Result<Option<T>, Failure>
where
    T: FromStr<Err: std::fmt::Display>,
{
    let query = uri.query().unwrap_or_default().as_bytes();
    let mut values = url::form_urlencoded::parse(query).filter(|(key, _)| key == name).map(|(_, value)| value);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Failure::invalid(format!("the query parameter {name} is given more than once; give it once")));
    }
    value.parse().map(Some).map_err(|error| Failure::invalid(format!("the query parameter {name}: {error}")))
}

/// A path of keys within a charm, in a query as a JSON array of strings.
pub(crate) struct KeyPath(pub(crate) Vec<String>);

impl FromStr for KeyPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let keys = serde_json::from_str(text).map_err(|error| format!("{error}; expected a JSON array of strings"))?;
        Ok(Self(keys))
    }
}

/// The charm that `{space}/{charm}` of a path name.
pub(crate) struct CharmPath(pub(crate) CharmRef);

impl<S: Send + Sync> FromRequestParts<S> for CharmPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path((space, charm)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Failure::invalid(rejection.body_text()))?;
        Ok(Self(CharmRef { space: segment(&space)?, charm: segment(&charm)? }))
    }
}

/// The space that `{space}` of a path names.
pub(crate) struct SpacePath(pub(crate) SpaceDid);

impl<S: Send + Sync> FromRequestParts<S> for SpacePath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        one_segment(parts, state).await.map(Self)
    }
}

/// The integration that `{id}` of a path names.
pub(crate) struct IntegrationPath(pub(crate) IntegrationId);

impl<S: Send + Sync> FromRequestParts<S> for IntegrationPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        one_segment(parts, state).await.map(Self)
    }
}

async fn one_segment<T, S>(parts: &mut Parts, state: &S) -> Result<T, Failure>
where
    T: FromStr<Err: std::fmt::Display>,
    S: Send + Sync,
{
    let Path(text) = Path::<String>::from_request_parts(parts, state)
        .await
        .map_err(|rejection| Failure::invalid(rejection.body_text()))?;
    segment(&text)
}

/// Parse errors say what they are about.
fn segment<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(Failure::invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_read() {
        let uri: Uri = "/x?after=7&path=%5B%22a%22%2C%22b%20c%22%5D&twice=1&twice=2&word=a".parse().unwrap();
        assert_eq!(parameter::<u64>(&uri, "after"), Ok(Some(7)));
        assert_eq!(parameter::<u64>(&uri, "limit"), Ok(None));
        assert_eq!(parameter::<KeyPath>(&uri, "path").unwrap().unwrap().0, ["a", "b c"]);
        for name in ["twice", "word"] {
            let failure = parameter::<u64>(&uri, name).unwrap_err();
            assert!(failure.problem.detail.contains(name), "{failure:?}");
        }
        assert!(parameter::<KeyPath>(&uri, "word").is_err());
        assert_eq!(parameter::<u64>(&Uri::from_static("/x"), "after"), Ok(None));
    }
}
