//! Traces over OTLP: from a poll to the guest calls in it, and to their requests.
//!
//! The program's own spans have the target `span`; without an endpoint, they are not even created. Ended spans go into
//! a queue, from which a task sends them. (The SDK's own processor has a thread, which would have to start before this
//! process confines itself.)

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bg_charm_api::{Propagator, TraceContext};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    SdkTracer, SdkTracerProvider, Span as SdkSpan, SpanData, SpanExporter as _, SpanProcessor,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use url::Url;

use crate::args::Common;

/// The target of spans.
pub(crate) const TARGET: &str = "span";
/// Spans waiting to be sent: some seconds of a busy service. Further ones are dropped, and counted.
const QUEUE: usize = 16_384;
/// Spans per request, and how long smaller batches wait. The SDK's own defaults.
const BATCH: usize = 512;
const PATIENCE: Duration = Duration::from_secs(5);
/// The time limit of a request. The SDK's own default.
const SENDING: Duration = Duration::from_secs(10);
/// The time limit for the last spans when the service ends.
const LAST: Duration = Duration::from_secs(3);

/// Where spans go once it is [started](Self::start).
pub(crate) struct Telemetry {
    endpoint: Url,
    resource: Resource,
    provider: SdkTracerProvider,
    queue: mpsc::Receiver<SpanData>,
    lost: Arc<AtomicU64>,
}

/// Sends spans; call [`finish`](Self::finish) at the end.
pub(crate) struct Sending {
    end: CancellationToken,
    task: JoinHandle<()>,
}

impl Telemetry {
    /// `None` without an endpoint. The sampler is that of `OTEL_TRACES_SAMPLER`.
    pub(crate) fn new(common: &Common) -> Option<Self> {
        let endpoint = common.otlp_endpoint.clone()?;
        let (sender, queue) = mpsc::channel(QUEUE);
        let lost = lost_spans();
        let resource = Resource::builder().with_service_name(service_name()).build();
        let processor = Queue { sender, lost: lost.clone() };
        let provider =
            SdkTracerProvider::builder().with_resource(resource.clone()).with_span_processor(processor).build();
        Some(Self { endpoint, resource, provider, queue, lost })
    }

    pub(crate) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("bg-wasm-host")
    }

    /// Starts sending. Must be called within a tokio runtime.
    pub(crate) fn start(self) -> anyhow::Result<Sending> {
        // The tracer keeps the provider alive.
        let Self { endpoint, resource, provider: _, queue, lost } = self;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(SENDING)
            .build()
            .context("cannot set up the client for traces")?;
        let mut traces = endpoint.clone();
        traces.set_path(&format!("{}/v1/traces", endpoint.path().trim_end_matches('/')));
        let mut exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Client(client))
            .with_endpoint(traces.as_str())
            .with_timeout(SENDING)
            .build()
            .context("cannot set up the export of traces")?;
        exporter.set_resource(&resource);
        tracing::info!("traces go to {traces}");
        let end = CancellationToken::new();
        let task = tokio::spawn(send(exporter, queue, lost, end.clone()));
        Ok(Sending { end, task })
    }
}

/// The number of spans of this process that could not be sent, for display.
pub(crate) fn lost_spans() -> Arc<AtomicU64> {
    static LOST: OnceLock<Arc<AtomicU64>> = OnceLock::new();
    LOST.get_or_init(Arc::default).clone()
}

fn service_name() -> String {
    std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "bg-wasm-host".to_owned())
}

fn tls() -> anyhow::Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.context("cannot set up TLS for traces")?.with_root_certificates(roots).with_no_client_auth())
}

/// Carries contexts to and from other processes.
pub(crate) fn trace_context() -> TraceContext {
    TraceContext::new(Arc::new(W3c(TraceContextPropagator::new())))
}

impl Sending {
    /// Sends the rest, within a short time.
    pub(crate) async fn finish(self) {
        let Self { end, task } = self;
        end.cancel();
        // Spans that take longer are lost: nothing waits for traces.
        let _ = tokio::time::timeout(LAST, task).await;
    }
}

/// Sends batches, and at the end the rest. Spans that cannot be sent are lost, which is reported now and then.
async fn send(
    exporter: opentelemetry_otlp::SpanExporter,
    mut queue: mpsc::Receiver<SpanData>,
    lost: Arc<AtomicU64>,
    end: CancellationToken,
) {
    let (mut failing, mut reported) = (false, 0);
    loop {
        let mut batch = Vec::with_capacity(BATCH);
        let filling = async {
            queue.recv_many(&mut batch, BATCH).await;
            let more = async { while batch.len() < BATCH && queue.recv_many(&mut batch, BATCH).await > 0 {} };
            // A small batch waits for more spans, for a while.
            let _ = tokio::time::timeout(PATIENCE, more).await;
        };
        tokio::select! {
            () = filling => {}
            () = end.cancelled() => {}
        }
        while end.is_cancelled()
            && let Ok(span) = queue.try_recv()
        {
            batch.push(span);
        }
        if batch.is_empty() {
            return;
        }
        let many = batch.len() as u64;
        let all = lost.load(Ordering::Relaxed);
        if !failing && all > reported {
            tracing::warn!(lost = all - reported, "spans were lost: they were created faster than they could be sent");
            reported = all;
        }
        match exporter.export(batch).await {
            Ok(()) if failing => {
                let all = lost.load(Ordering::Relaxed);
                tracing::info!(lost = all - reported, "traces can be sent again");
                (failing, reported) = (false, all);
            }
            Ok(()) => {}
            Err(error) => {
                lost.fetch_add(many, Ordering::Relaxed);
                if !failing {
                    tracing::warn!(%error, "traces cannot be sent; meanwhile they are lost");
                }
                failing = true;
            }
        }
    }
}

/// Puts ended spans into the queue.
#[derive(Debug)]
struct Queue {
    sender: mpsc::Sender<SpanData>,
    lost: Arc<AtomicU64>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut SdkSpan, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// This program's usual HTTP client, for the exporter.
#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self.0.execute(request.try_into()?).await?;
        let (status, body) = (response.status(), response.bytes().await?);
        Ok(Response::builder().status(status).body(body)?)
    }
}

/// W3C Trace Context.
struct W3c(TraceContextPropagator);

impl Propagator for W3c {
    fn inject(&self, headers: &mut HeaderMap) {
        self.0.inject_context(&Span::current().context(), &mut HeaderInjector(headers));
    }

    fn extract(&self, headers: &HeaderMap, span: &Span) {
        // An error means that the span is not traced.
        let _ = span.set_parent(self.0.extract(&HeaderExtractor(headers)));
    }
}

struct HeaderInjector<'a>(&'a mut HeaderMap);

impl Injector for HeaderInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

struct HeaderExtractor<'a>(&'a HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
