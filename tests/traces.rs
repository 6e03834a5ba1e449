//! Traces as a collector gets them over OTLP: one from a poll in one process to a guest's request in another.

use std::sync::{Arc, Mutex};

use bg_test_support::{RawAnswer, RawServer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use crate::common::{SOON, deploy, fixture, host, register};

/// A collector: each span, with the service that sent it.
struct Collector {
    server: RawServer,
    spans: Arc<Mutex<Vec<(String, Span)>>>,
}

impl Collector {
    fn start() -> Self {
        let spans = Arc::<Mutex<Vec<(String, Span)>>>::default();
        let kept = spans.clone();
        let server = RawServer::start(move |request| {
            assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/traces"));
            let sent = ExportTraceServiceRequest::decode(request.body()).unwrap();
            for resource in sent.resource_spans {
                let attributes = &resource.resource.as_ref().unwrap().attributes;
                let service = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
                let service = format!("{:?}", service.value);
                let all = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                kept.lock().unwrap().extend(all.map(|span| (service.clone(), span)));
            }
            RawAnswer::new("200 OK", "Content-Type: application/x-protobuf\r\n", b"")
        });
        Self { server: server.unwrap(), spans }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Waits for a span for which `is_it` holds.
    fn wait(&self, what: &str, is_it: impl Fn(&str, &Span) -> bool) -> Span {
        let until = std::time::Instant::now() + SOON;
        loop {
            let spans = self.spans.lock().unwrap();
            if let Some((_, span)) = spans.iter().find(|(service, span)| is_it(service, span)) {
                return span.clone();
            }
            assert!(std::time::Instant::now() < until, "no {what} among {spans:#?}");
            drop(spans);
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    found.map(|attribute| format!("{:?}", attribute.value)).unwrap_or_default()
}

#[test]
fn a_poll_is_followed_from_the_loop_through_the_runtime_to_the_guests_request() {
    let collector = Collector::start();
    let host = host().env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let charm = deploy(&host, &fixture("nosy.tsx"), "my-space", &json!({}));
    register(&host, &charm, "my-test");
    let host = host.env("OTEL_SERVICE_NAME", "the-poll-loop");
    let service = host.spawn(["run", "--polls", "1"]).unwrap();
    service.wait_for_exit(SOON).unwrap().success().unwrap();

    let poll = collector.wait("poll", |service, span| service.contains("the-poll-loop") && span.name == "poll");
    assert!(poll.parent_span_id.is_empty());
    assert!(attribute(&poll, "outcome").contains("Success"), "{poll:#?}");
    assert!(attribute(&poll, "charm").contains(&charm), "{poll:#?}");
    let of_it = |name: &'static str, parent: Span| {
        collector.wait(name, move |service, span| {
            span.name == name
                && service.contains("bg-wasm-host")
                && span.trace_id == parent.trace_id
                && span.parent_span_id == parent.span_id
                && (name != "request" || attribute(span, "url.path").contains("/trigger"))
        })
    };
    let request = of_it("request", poll);
    let call = of_it("call", request);
    assert!(attribute(&call, "charm").contains(&charm), "{call:#?}");
    let egress = of_it("egress", call);
    assert!(attribute(&egress, "decision").contains("denied"), "{egress:#?}");
    server.terminate().unwrap().success().unwrap();
}

#[test]
fn a_service_whose_collector_is_unreachable_says_so_once_and_works() {
    let host = host().env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    register(&host, &charm, "my-test");
    let ended = host.command(["run", "--interval", "100ms", "--polls", "5"]).unwrap().success().unwrap();
    assert_eq!(ended.stderr.matches("Successfully executed charm").count(), 5, "{ended}");
    assert!(ended.stderr.matches("traces cannot be sent").count() <= 1, "{ended}");
}
