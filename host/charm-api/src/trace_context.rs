//! The context of a trace, carried over HTTP (W3C Trace Context).

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use tracing::Span;

/// Writes the context of the present span to the headers of a request, and reads the sender's context.
pub trait Propagator: Send + Sync {
    /// Adds `traceparent` and related headers.
    fn inject(&self, headers: &mut HeaderMap);

    /// Makes `span` a part of the trace in the headers, if there is one.
    fn extract(&self, headers: &HeaderMap, span: &Span);
}

/// The propagator, if traces are enabled.
#[derive(Clone, Default)]
pub struct TraceContext(Option<Arc<dyn Propagator>>);

impl TraceContext {
    /// Propagates contexts with this.
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
