//! Responses.

use serde::de::DeserializeOwned;

use super::HttpError;

/// An answer, with any status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header with that lower-case name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        std::str::from_utf8(value).ok()
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| HttpError::Malformed(format!("the answer is not the expected JSON: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_not_the_expected_json_is_an_error() {
        let response = Response { status: 200, headers: vec![("a".into(), b"b".to_vec())], body: b"[1,2]".to_vec() };
        assert_eq!(response.json::<Vec<u8>>(), Ok(vec![1, 2]));
        assert!(matches!(response.json::<String>(), Err(HttpError::Malformed(_))));
        assert_eq!(response.header("a"), Some("b"));
        assert_eq!(response.header("b"), None);
    }
}
