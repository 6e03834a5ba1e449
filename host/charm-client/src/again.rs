//! Tests of events that are sent again.

use std::sync::{Arc, Mutex};

use bg_charm_api::wire::{ErrorCode, Problem, Trigger};
use bg_identity::{CharmId, Identity, space_did};
use bg_poller::{CharmRef, CharmRuntime, Outcome, RuntimeError, Scope};
use bg_test_support::{RawAnswer, RawServer};
use http::StatusCode;
use serde_json::json;

use crate::RemoteRuntime;

/// Triggers a charm twice. The server answers the first trigger with success, and then gives these answers in turn.
/// Returns the result of the second trigger, and its requests.
async fn second_trigger(answers: Vec<RawAnswer>) -> (Result<Outcome, RuntimeError>, Vec<Trigger>) {
    let success = RawAnswer::new("200 OK", "", r#"{"kind": "Success", "server": "first"}"#);
    let mut answers = std::iter::once(success).chain(answers).collect::<Vec<_>>().into_iter();
    let (next, seen) =
        (Mutex::new(move || answers.next().unwrap_or(RawAnswer::Close)), Arc::new(Mutex::new(Vec::new())));
    let log = seen.clone();
    let server = RawServer::start(move |request| {
        log.lock().unwrap().push(serde_json::from_slice::<Trigger>(request.body()).unwrap());
        (next.lock().unwrap())()
    });
    let server = server.unwrap();
    let url = format!("http://{}", server.address()).parse().unwrap();
    let remote = RemoteRuntime::new(url, Identity::from_passphrase("implicit trust"));
    let charm = CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") };
    assert_eq!(remote.trigger(&charm, "bgUpdater", &json!({})).await, Ok(Outcome::success()));
    let result = remote.trigger(&charm, "bgUpdater", &json!({})).await;
    let mut seen = seen.lock().unwrap().clone();
    let first = seen.remove(0);
    assert!(first.again.is_none() && first.key.is_some());
    assert!(seen.iter().all(|sent| sent.key != first.key && sent.key == seen[0].key), "{seen:?}");
    (result, seen)
}

fn again(sent: &[Trigger]) -> Vec<Option<&str>> {
    sent.iter().map(|sent| sent.again.as_deref()).collect()
}

fn problem(problem: &Problem) -> RawAnswer {
    let headers = if problem.status == StatusCode::BAD_REQUEST { "" } else { "Retry-After: 0\r\n" };
    RawAnswer::new(&problem.status.to_string(), headers, serde_json::to_string(problem).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_after_one_whose_answer_was_lost_says_that_it_is_sent_again() {
    let busy = Problem { status: StatusCode::TOO_MANY_REQUESTS, ..Problem::new(ErrorCode::Invalid, "in a moment") };
    let away = Problem::new(ErrorCode::Unavailable, "it has just started");
    let done = RawAnswer::new("200 OK", "", r#"{"kind": "Success", "server": "second"}"#);
    for refusal in [busy, away] {
        let refusal = problem(&refusal);
        let (result, sent) =
            second_trigger(vec![RawAnswer::Close, refusal.clone(), refusal.clone(), done.clone()]).await;
        assert_eq!(result, Ok(Outcome::success()));
        assert_eq!(again(&sent), [None, Some("first"), Some("first"), Some("first")]);
        // Nothing was lost: the server refused the first.
        let (result, sent) = second_trigger(vec![refusal.clone(), done.clone()]).await;
        assert_eq!((result, again(&sent)), (Ok(Outcome::success()), vec![None, None]));
        let (result, sent) = second_trigger(vec![refusal, RawAnswer::Close, done.clone()]).await;
        assert_eq!((result, again(&sent)), (Ok(Outcome::success()), vec![None, None, Some("first")]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_an_event_that_is_sent_again_is_final_and_is_reported() {
    let invalid = Problem::new(ErrorCode::Invalid, "this key is that of another event");
    let (result, sent) = second_trigger(vec![RawAnswer::Close, problem(&invalid)]).await;
    assert_eq!(result, Err(RuntimeError::Invalid("this key is that of another event".into())));
    assert_eq!(again(&sent), [None, Some("first")]);
    let unknown =
        Problem::new(ErrorCode::UnknownEvent, "it is unknown whether the event was handled: it was forgotten");
    let (result, sent) = second_trigger(vec![RawAnswer::Close, problem(&unknown)]).await;
    let error = result.unwrap_err();
    assert!(matches!(error, RuntimeError::Unavailable { scope: Scope::Charm, .. }), "{error:?}");
    assert!(error.to_string().contains("unknown whether the event was handled: it was forgotten"), "{error}");
    assert_eq!(again(&sent), [None, Some("first")]);
}
