//! The context of a trace, carried over HTTP (W3C Trace Context).

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use tracing::Span;

/// Writes the context of the present span into the headers of a request, and reads that of a request's sender.
pub trait Propagator: Send + Sync {
    /// Adds `traceparent`, and what belongs to it.
    fn inject(&self, headers: &mut HeaderMap);

    /// Makes `span` a part of the trace that the headers name, if they do.
    fn extract(&self, headers: &HeaderMap, span: &Span);
}

/// What carries contexts, if anything does.
#[derive(Clone, Default)]
pub struct TraceContext(Option<Arc<dyn Propagator>>);

impl TraceContext {
    /// They are carried by this.
    pub fn new(propagator: Arc<dyn Propagator>) -> Self {
        Self(Some(propagator))
    }

    /// Adds the context of the present span.
    pub fn inject(&self, headers: &mut HeaderMap) {
        if let Some(propagator) = &self.0 {
            propagator.inject(headers);
        }
    }

    /// Makes `span` a part of the sender's trace.
    pub fn extract(&self, headers: &HeaderMap, span: &Span) {
        if let Some(propagator) = &self.0 {
            propagator.extract(headers, span);
        }
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TraceContext").field(&self.0.is_some()).finish()
    }
}
