//! The web's API in the sandbox: what stands on the host.

use std::time::{Duration, Instant};

use bg_poller::{Blame, OutcomeKind};
use bg_test_support::FakeSite;
use serde_json::json;

use crate::support::{Charm, client, component};

/// A charm with one handler, of which `body` is the body, and the inputs `base` and `out`.
async fn charm(site: &FakeSite, charm_time: Duration, body: &str) -> Charm {
    let component = component(charm_time).await;
    let source = format!(
        "import {{ handler, pattern }} from 'commontools';\nconst run = handler(async (_, {{ base, out }}) => {{ {body} }});\n\
         export default pattern(({{ base, out }}) => ({{ out, run: run({{ base, out }}) }}));"
    );
    let inputs = json!({"base": site.base_url(), "out": null});
    Charm::deploy(&component, "web.js", &source, &inputs, client(Some(&site.base_url()))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_request_is_ended_by_the_host_while_the_call_goes_on() {
    let site = FakeSite::start().unwrap();
    site.be_silent("/never");
    site.answer_after("/begun", "/never");
    site.put("/", "text/plain", "here");
    let body = "const c = new AbortController(); const never = fetch(base + '/never', { signal: c.signal }).catch((e) => e.name); \
                await fetch(base + '/begun'); const here = await (await fetch(base + '/')).text(); c.abort(); \
                const late = await fetch(base + '/never', { signal: AbortSignal.timeout(1000) }).catch((e) => e.name); \
                await new Promise((done) => setTimeout(done, 1000)); \
                const seen = await (await fetch(base + '/')).text(); out.set([here, await never, late, seen]);";
    let mut charm = charm(&site, Duration::from_secs(20), body).await;
    charm.trigger("run", json!({})).await.unwrap();
    assert_eq!(charm.cell("out"), json!(["here", "AbortError", "TimeoutError", "here"]));
    let ended: Vec<(String, u16)> = site.take_requests().into_iter().map(|seen| (seen.path, seen.status)).collect();
    let [begun, here, never] =
        [("/begun", 204), ("/", 200), ("/never", 0)].map(|(path, status)| (path.to_owned(), status));
    let expected = [begun, here.clone(), never.clone(), never, here];
    assert_eq!(ended, expected, "the connections ended before the last request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_within_the_charms_own_timeout_is_to_blame() {
    let site = FakeSite::start().unwrap();
    site.be_silent("/never");
    let never = |signal: &str| format!("await fetch(base + '/never', {{ signal: {signal} }})");
    let aborted = "const c = new AbortController(); setTimeout(() => c.abort(), 300); ".to_owned() + &never("c.signal");
    let wrapped = format!(
        "try {{ {} }} catch (e) {{ throw new Error('no mail', {{ cause: e }}); }}",
        never("AbortSignal.timeout(300)")
    );
    for (body, kind, blame) in [
        (never("AbortSignal.timeout(300)"), OutcomeKind::Unavailable, Some(Blame::Upstream)),
        (never("AbortSignal.any([AbortSignal.timeout(300)])"), OutcomeKind::Unavailable, Some(Blame::Upstream)),
        (wrapped, OutcomeKind::Unavailable, Some(Blame::Upstream)),
        (aborted, OutcomeKind::HandlerFailed, None),
    ] {
        let mut charm = charm(&site, Duration::from_secs(20), &body).await;
        let failure = charm.trigger("run", json!({})).await.unwrap_err();
        assert_eq!((failure.kind, failure.cause.map(bg_poller::Cause::blame)), (kind, blame), "{body}: {failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_that_is_never_cleared_ends_with_the_time_of_the_call() {
    let site = FakeSite::start().unwrap();
    let mut charm = charm(&site, Duration::from_secs(1), "out.set('half'); setInterval(() => {}, 10);").await;
    let failure = charm.trigger("run", json!({})).await.unwrap_err();
    assert_eq!(failure.kind, OutcomeKind::Timeout, "{failure:?}");
    assert_eq!(charm.cell("out"), json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn random_numbers_clocks_and_urls_work_in_the_guest() {
    let site = FakeSite::start().unwrap();
    let body = "const a = crypto.randomUUID(), b = crypto.randomUUID(); const began = performance.now(); \
                await new Promise((done) => setTimeout(done, 30)); \
                out.set([a !== b, a.length, performance.now() - began >= 30, new URL('x?q=ü', base).search, [...new TextEncoder().encode('é')]]);";
    let mut charm = charm(&site, Duration::from_secs(20), body).await;
    charm.trigger("run", json!({})).await.unwrap();
    assert_eq!(charm.cell("out"), json!([true, 36, true, "?q=%C3%BC", [195, 169]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_timeout_does_not_make_a_call_longer() {
    let site = FakeSite::start().unwrap();
    site.put("/", "text/plain", "here");
    let body = "out.set(await (await fetch(base, { signal: AbortSignal.timeout(60_000) })).text());";
    let mut charm = charm(&site, Duration::from_secs(40), body).await;
    let began = Instant::now();
    charm.trigger("run", json!({})).await.unwrap();
    println!("a request with a timeout: {:?}", began.elapsed());
    assert_eq!(charm.cell("out"), json!("here"));
}
