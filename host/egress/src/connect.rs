//! The time a connection may take, and that each belongs to a request.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Layer, Service};

use crate::error::BoxError;
use crate::resolve::{PINNED, Pinned};

/// Wraps reqwest's connector.
#[derive(Clone, Debug)]
pub(crate) struct ConnectLayer;

/// A connector that knows for which request it connects: it refuses to without one, and keeps that request's time limit,
/// which reqwest itself has for whole clients only.
#[derive(Clone, Debug)]
pub(crate) struct Connect<S>(S);

/// A connection was not there in time.
#[derive(Debug, thiserror::Error)]
#[error("not connected within {0:?}")]
pub(crate) struct ConnectTimeout(pub(crate) Duration);

impl<S> Layer<S> for ConnectLayer {
    type Service = Connect<S>;

    fn layer(&self, inner: S) -> Connect<S> {
        Connect(inner)
    }
}

impl<S, R> Service<R> for Connect<S>
where
    S: Service<R, Error = BoxError>,
    S::Response: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, to: R) -> Self::Future {
        let Ok(pinned) = PINNED.try_with(Pinned::clone) else {
            return Box::pin(async { Err("a connection that belongs to no request".into()) });
        };
        let within = pinned.connect_within;
        // The pool may finish a connection in a task of its own, once another one was free sooner. The checked addresses
        // go there with it.
        let connecting = PINNED.sync_scope(pinned.clone(), || self.0.call(to));
        let connecting = PINNED.scope(pinned, connecting);
        Box::pin(async move {
            match tokio::time::timeout(within, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectTimeout(within).into()),
            }
        })
    }
}
