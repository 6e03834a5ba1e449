//! What a server may cost this client.

use std::time::Duration;

/// Limits of one session.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes that a message may have, in both directions.
    pub message_bytes: usize,
    /// The most documents that the watches of a session may bring.
    pub documents: usize,
    /// The most bytes of text that these documents may have.
    pub document_bytes: usize,
    /// The most requests that may wait for their answers.
    pub requests: usize,
    /// The time for a connection, from its start to an open session.
    pub connect: Duration,
    /// The time for an answer.
    pub answer: Duration,
    /// The time that a request waits for a connection that was lost.
    pub reconnect: Duration,
    /// After this time without a message, the server is asked for a sign of life; after another, the connection is lost.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 8 << 20,
            documents: 20_000,
            document_bytes: 32 << 20,
            requests: 256,
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            reconnect: Duration::from_secs(2),
            silence: Duration::from_secs(20),
        }
    }
}
