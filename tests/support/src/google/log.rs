//! A log of requests.

/// How a request was authorized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authorization {
    /// It had no `Authorization` header.
    Absent,
    /// It had an accepted bearer token.
    Accepted,
    /// It had anything else: an expired or unknown token, another scheme, several headers.
    Refused,
}

/// One request as received. Contains no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRequest {
    /// `GET`, …
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// The query, without its `?`; empty if there was none. If it contained a token, only `(a token)`.
    pub query: String,
    /// How it was authorized.
    pub authorization: Authorization,
    /// The names of its headers, lower case, sorted.
    pub header_names: Vec<String>,
    /// Whether a token that this Google issued was in the wrong place: in the path, the query or a header other than
    /// `Authorization`.
    pub token_leaked: bool,
    /// The status of the answer.
    pub status: u16,
    /// The requests of a batch, each with its status: `GET /gmail/v1/users/me/profile 200`.
    pub parts: Vec<String>,
}

impl std::fmt::Display for SeenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        if !self.query.is_empty() {
            write!(f, "?{}", self.query)?;
        }
        write!(f, " {}", self.status)?;
        if !self.parts.is_empty() {
            write!(f, " ({})", self.parts.join(", "))?;
        }
        Ok(())
    }
}
