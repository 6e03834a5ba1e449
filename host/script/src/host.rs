//! What the engine wants of the outside.

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `console.trace`.
    Trace,
    /// `console.debug`.
    Debug,
    /// `console.log` and `console.info`.
    Info,
    /// `console.warn`.
    Warn,
    /// `console.error`.
    Error,
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// In upper case.
    pub method: String,
    /// Absolute, as the URL standard writes it, without a fragment.
    pub url: String,
    /// Names in lower case; each character of a value is a byte.
    pub headers: Vec<(String, String)>,
    /// None for none.
    pub body: Option<Vec<u8>>,
}

/// An HTTP response, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// In the order of arrival; each byte of a value is a character.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: Vec<u8>,
}

/// A request that was sent: the first is 1, the next 2, and so on. Those that could not be sent have no number.
pub type RequestId = u32;

/// What the engine wants of the outside. Errors are texts for the charm's author.
pub trait Host {
    /// The value of a cell, a JSON text, or none.
    fn cell(&self, name: &str) -> Result<Option<String>, String>;
    /// Sets a cell to a JSON text.
    fn set_cell(&self, name: &str, json: &str) -> Result<(), String>;
    /// What is secret, as far as the host knows: a JSON array of paths, each the name of a cell, then keys; `*` is any
    /// of them.
    fn secrets(&self) -> String;
    /// The cells that others have written since the charm's last call, a JSON array of names; `*` is any of them.
    fn changed(&self) -> String;
    /// Where the charm runtime's API is: an absolute URL.
    fn api_url(&self) -> String;
    /// Writes one line to the log.
    fn log(&self, level: Level, message: &str);
    /// Nanoseconds since some moment.
    fn now(&self) -> u64;
    /// Milliseconds since 1970 (UTC).
    fn wall_clock(&self) -> i64;
    /// Sends a request, and does not wait for the response.
    fn send(&self, request: Request) -> Result<RequestId, String>;
    /// Drops a request that was sent; nobody wants its response any more.
    fn forget(&self, id: RequestId);
    /// Waits until one of the requests is done, and returns its outcome; or until [`Host::now`] is at `deadline`, and
    /// returns none. Never called without a request or a deadline.
    fn wait(&self, deadline: Option<u64>) -> Option<(RequestId, Result<Response, String>)>;
}
