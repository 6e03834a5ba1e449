use bg_abuse::Attempt;
use bg_charm_api::{AccessLevel, Acl, Actor, SetRequest, Spaces, Subject};
use bg_identity::{IntegrationId, SpaceDid, space_did, system_space};
use bg_poller::{Blame, CharmRuntime, Outcome, OutcomeKind, RuntimeError};
use serde_json::{Value, json};

use crate::local::testing::{Home, did, source, space};
use crate::{LocalHandle, Quotas, Reach, Tenancy};

const OTHERS: Reach = Reach::Others { open_spaces: false };

/// A runtime that others reach, with these quotas.
async fn home(reach: Reach, quotas: Quotas) -> Home {
    Home::with(|options| {
        options.owner = Some(did("operator"));
        options.tenancy = Tenancy { reach: Some(reach), quotas };
    })
    .await
}

fn gmail() -> IntegrationId {
    "gmail".parse().unwrap()
}

fn acl<const N: usize>(entries: [(&str, AccessLevel); N]) -> Acl {
    Acl(entries.map(|(name, level)| (Subject::Did(did(name)), level)).into())
}

fn is_refused<T>(result: Result<T, RuntimeError>) -> bool {
    result.is_err_and(|error| matches!(error, RuntimeError::Authorization { .. }))
}

/// That something is more than may be kept, and which option would raise that.
fn over<T: std::fmt::Debug>(result: Result<T, RuntimeError>, option: &str) {
    match result {
        Err(RuntimeError::Quota(text)) => assert!(text.contains(option), "{text}"),
        other => panic!("{option}: {other:?}"),
    }
}

/// The nth charm of a space.
async fn deploy(handle: &LocalHandle, space: &SpaceDid, number: usize) -> Result<bg_poller::CharmRef, RuntimeError> {
    Ok(handle.deploy(space, &source(&format!("{number}.js"), json!({}))).await?.charm)
}

/// A space of its own that a caller makes.
async fn made(handle: &LocalHandle, name: &str) -> SpaceDid {
    handle.new_space(name).await.unwrap().space
}

async fn update(handle: &LocalHandle, charm: &bg_poller::CharmRef, size: usize) -> Outcome {
    handle.trigger(charm, "bgUpdater", &Value::from("x".repeat(size))).await.unwrap()
}

#[tokio::test]
async fn a_new_space_is_its_makers_and_the_services_where_others_reach_the_server() {
    use AccessLevel::{Owner, Write};
    let home = home(OTHERS, Quotas::default()).await;
    home.operator().set_acl(&system_space(), &Subject::Did(did("loop")), Some(Write)).await.unwrap();
    home.operator().set_acl(&system_space(), &Subject::Did(did("watcher")), Some(AccessLevel::Read)).await.unwrap();
    let anns = made(&home.signed("ann"), "notes").await;
    let charm = deploy(&home.signed("ann"), &anns, 0).await.unwrap();
    let expected = acl([("ann", Owner), ("operator", Write), ("loop", Write)]);
    assert_eq!(home.operator().acl(&anns).await.unwrap(), expected);

    let space_key = home.runtime.as_actor(Actor::Did(anns.did().clone()));
    for (who, handle) in
        [("a stranger", home.signed("eve")), ("who has its key", space_key), ("who watches", home.signed("watcher"))]
    {
        let attempt = Attempt::begin("tenants", format!("{who} in a space of another's"));
        assert!(is_refused(handle.open(&charm).await) && is_refused(handle.show(&charm).await));
        assert!(is_refused(handle.trigger(&charm, "append", &json!({})).await));
        assert!(is_refused(deploy(&handle, &anns, 1).await) && is_refused(handle.delete(&charm).await));
        assert!(is_refused(handle.set_acl(&anns, &Subject::Anyone, Some(Owner)).await));
        attempt.ended("Authorization");
    }
    // The service polls it, with the operator's key or another that the operator gave access to the system space.
    for name in ["operator", "loop"] {
        let service = home.signed(name);
        service.register(&charm, &gmail()).await.unwrap();
        assert!(service.open(&charm).await.unwrap().has_stream("bgUpdater").await.unwrap());
        assert!(service.trigger(&charm, "append", &json!({})).await.unwrap().is_success());
    }
    // Commands of the same data directory make spaces alike, and so does the operator by its key.
    let command = home.another().as_actor(Actor::Operator);
    let (first, second) = (space_did("first"), space_did("second"));
    deploy(&command, &first, 0).await.unwrap();
    deploy(&home.signed("operator"), &second, 0).await.unwrap();
    assert_eq!(home.operator().acl(&first).await.unwrap(), acl([("loop", Write)]));
    assert_eq!(home.operator().acl(&second).await.unwrap(), acl([("operator", Owner), ("loop", Write)]));
}

#[tokio::test]
async fn nobody_owns_the_space_of_a_name_for_deploying_there_first() {
    let home = home(OTHERS, Quotas::default()).await;
    let payroll = space_did("payroll");
    let attempt = Attempt::begin("tenants", "to deploy into the space of a name before the victim does");
    // The key of a name is known to anyone who knows the name.
    for handle in [home.signed("eve"), home.runtime.as_actor(Actor::Did(payroll.did().clone()))] {
        let error = deploy(&handle, &payroll, 0).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Authorization { .. }), "{error:?}");
        assert!(error.to_string().contains("`bg-wasm-host space new NAME` makes one"), "{error}");
        // Before anything is read or transpiled.
        assert!(is_refused(handle.needs(crate::Needed::Deploy(payroll.clone())).await));
    }
    assert!(is_refused(deploy(&home.runtime.as_actor(Actor::Anonymous), &payroll, 0).await));
    attempt.ended("Authorization");
    assert!(home.operator().acl(&payroll).await.is_err(), "what is refused leaves no space behind");
    deploy(&home.signed("operator"), &payroll, 0).await.unwrap();
    assert!(is_refused(deploy(&home.signed("eve"), &payroll, 1).await));
    let eves = made(&home.signed("eve"), "payroll").await;
    deploy(&home.signed("eve"), &eves, 1).await.unwrap();
}

#[tokio::test]
async fn the_access_list_of_a_space_is_bounded() {
    let home = home(OTHERS, Quotas::default()).await;
    let (ann, operator) = (home.signed("ann"), home.operator());
    let space = made(&ann, "notes").await;
    let read = Some(AccessLevel::Read);
    let subject = |number: u64| Subject::Did(did(&format!("subject {number}")));
    let named = ann.acl(&space).await.unwrap().0.len() as u64;
    for number in named..100 {
        ann.set_acl(&space, &subject(number), read).await.unwrap();
    }
    let attempt = Attempt::begin("tenants", "an access list that names more and more");
    for (who, subject) in [(&ann, subject(100)), (&ann, Subject::Anyone), (&operator, subject(100))] {
        over(who.set_acl(&space, &subject, read).await, "--revoke");
    }
    attempt.ended("Quota");
    // Whom it names already may have more, or nothing.
    ann.set_acl(&space, &subject(99), Some(AccessLevel::Write)).await.unwrap();
    ann.set_acl(&space, &subject(98), None).await.unwrap();
    ann.set_acl(&space, &subject(98), None).await.unwrap();
    assert_eq!(ann.set_acl(&space, &Subject::Anyone, read).await.unwrap().0.len(), 100);

    // The writers of the system space are in the list of every new one, with its maker and the operator.
    for number in 0..98 {
        operator.set_acl(&system_space(), &subject(number), Some(AccessLevel::Write)).await.unwrap();
    }
    over(operator.set_acl(&system_space(), &subject(98), read).await, "--revoke");
    let full = made(&ann, "full").await;
    assert_eq!(ann.acl(&full).await.unwrap().0.len(), 100);
}

#[tokio::test]
async fn who_asks_for_access_does_not_wait_for_the_whole_access_list() {
    let home = home(OTHERS, Quotas::default()).await;
    let (ann, notes) = (home.signed("ann"), made(&home.signed("ann"), "notes").await);
    // A reader of this entry fails.
    let database = rusqlite::Connection::open(home.database()).unwrap();
    database.execute("INSERT INTO acl (space, subject, level) VALUES (?1, 'x', 'READ')", [notes.as_str()]).unwrap();
    assert!(ann.acl(&notes).await.is_err());
    assert_eq!(ann.charms(&notes).await.unwrap(), []);
    assert!(is_refused(home.signed("eve").charms(&notes).await));
    deploy(&ann, &notes, 0).await.unwrap();
}

#[tokio::test]
async fn new_spaces_are_open_on_loopback_and_where_the_operator_opens_them() {
    for reach in [Reach::Loopback, Reach::Others { open_spaces: true }] {
        let home = home(reach, Quotas::default()).await;
        deploy(&home.signed("ann"), &space(), 0).await.unwrap();
        assert_eq!(home.operator().acl(&space()).await.unwrap(), Acl::of_new_space(Some(&did("ann"))));
        deploy(&home.signed("eve"), &space(), 1).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_is_the_service_for_knowing_a_name_or_the_public_passphrase() {
    let grant = (Subject::Did(did("eve")), Some(AccessLevel::Write));
    let shared = home(OTHERS, Quotas::default()).await;
    let system_key = shared.runtime.as_actor(Actor::Did(system_space().did().clone()));
    let attempt = Attempt::begin("tenants", "the key of the system space, which is made from its name");
    assert!(is_refused(system_key.set_acl(&system_space(), &grant.0, grant.1).await));
    assert!(is_refused(system_key.registrations().await));
    attempt.ended("Authorization");
    // As a data directory has it that was used on loopback before.
    let public = Subject::Did(did("implicit trust"));
    shared.operator().set_acl(&system_space(), &public, Some(AccessLevel::Write)).await.unwrap();
    let attempt = Attempt::begin("tenants", "the key of the public passphrase");
    let error = shared.signed("implicit trust").registrations().await.unwrap_err();
    assert!(error.to_string().contains("bg-wasm-host identity new FILE"), "{error}");
    attempt.ended("Authorization");
    shared.signed("operator").set_acl(&system_space(), &grant.0, grant.1).await.unwrap();

    let owned_by_all = Home::with(|options| {
        options.owner = Some(did("implicit trust"));
        options.tenancy.reach = Some(OTHERS);
    })
    .await;
    assert!(is_refused(owned_by_all.signed("implicit trust").registrations().await));
    deploy(&owned_by_all.operator(), &space(), 0).await.unwrap();
    assert_eq!(owned_by_all.operator().acl(&space()).await.unwrap(), Acl::default());

    // As the original has it.
    let loopback = home(Reach::Loopback, Quotas::default()).await;
    let system_key = loopback.runtime.as_actor(Actor::Did(system_space().did().clone()));
    system_key.set_acl(&system_space(), &grant.0, grant.1).await.unwrap();
}

#[tokio::test]
async fn a_space_has_as_many_charms_as_it_may_and_the_same_once_more_is_none() {
    let home = home(OTHERS, Quotas { charms_per_space: 2, ..Quotas::default() }).await;
    let ann = home.signed("ann");
    let notes = made(&ann, "notes").await;
    let first = deploy(&ann, &notes, 0).await.unwrap();
    deploy(&ann, &notes, 1).await.unwrap();
    let attempt = Attempt::begin("tenants", "more charms than a space may have");
    over(deploy(&ann, &notes, 2).await, "--max-charms");
    attempt.ended("Quota");
    deploy(&ann, &notes, 1).await.unwrap();
    deploy(&home.signed("operator"), &notes, 3).await.unwrap();
    ann.delete(&first).await.unwrap();
    over(deploy(&ann, &notes, 2).await, "--max-charms");
    ann.delete(&deploy(&ann, &notes, 1).await.unwrap()).await.unwrap();
    deploy(&ann, &notes, 2).await.unwrap();
}

#[tokio::test]
async fn a_key_makes_as_many_spaces_as_it_may() {
    let home = home(Reach::Others { open_spaces: true }, Quotas { spaces_per_signer: 2, ..Quotas::default() }).await;
    let ann = home.signed("ann");
    deploy(&ann, &space_did("0"), 0).await.unwrap();
    ann.new_space("notes").await.unwrap();
    let attempt = Attempt::begin("tenants", "more spaces than a key may make");
    over(deploy(&ann, &space_did("1"), 0).await, "--max-spaces");
    over(ann.new_space("more").await, "--max-spaces");
    attempt.ended("Quota");
    assert!(home.operator().charms(&space_did("1")).await.is_err(), "what is refused leaves no space behind");
    deploy(&home.signed("ben"), &space_did("1"), 0).await.unwrap();
    for name in ["1", "2", "3"] {
        home.operator().new_space(name).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_key_keeps_in_all_its_spaces_is_bounded_and_what_is_there_is_polled() {
    let home = home(OTHERS, Quotas { bytes_per_signer: 40_000, ..Quotas::default() }).await;
    let ann = home.signed("ann");
    let (own, further) = (made(&ann, "0").await, made(&ann, "1").await);
    let first = deploy(&ann, &own, 0).await.unwrap();
    let second = deploy(&ann, &further, 0).await.unwrap();
    assert!(update(&ann, &first, 10_000).await.is_success());
    // Twice the size, since the charm logs it as well.
    let attempt = Attempt::begin("tenants", "more bytes than a key may keep: by a handler, a value, a program");
    let excess = update(&home.operator(), &second, 30_000).await;
    assert_eq!((excess.kind, excess.blame()), (OutcomeKind::LimitExceeded, Some(Blame::Charm)), "{excess}");
    assert!(excess.message.unwrap().contains("--max-signer-bytes"));
    assert_eq!(home.cells(&second).await.get("event"), None);
    let set = |size: usize| SetRequest { path: vec!["event".into()], value: json!("x".repeat(size)), create: true };
    over(ann.set(&second, &set(30_000)).await, "--max-signer-bytes");
    let mut large = source("2.js", json!({}));
    large.source = format!("// {}\n{}", "x".repeat(30_000), large.source);
    over(ann.deploy(&further, &large).await, "--max-signer-bytes");
    over(
        ann.deploy(&own, &bg_charm_api::DeployRequest { charm: Some(first.charm.clone()), ..large }).await,
        "--max-signer-bytes",
    );
    attempt.ended("LimitExceeded, Quota");
    // What it logs is not kept beyond that, and it is polled all the same.
    for _ in 0..5 {
        assert!(update(&home.operator(), &first, 10_000).await.is_success());
    }
    let kept: u64 = ann.spaces(None).await.unwrap().iter().map(|space| space.bytes).sum();
    assert!(kept < 45_000, "{kept}");
    let query = bg_charm_api::LogQuery { after: None, limit: 1, wait: false };
    let line = ann.logs(&first, query).await.unwrap().remove(0).line.text;
    assert!(line.starts_with("1 lines were not kept: ") && line.contains("--max-signer-bytes"), "{line}");
    // What does not grow goes on: a poll, and a smaller value.
    assert!(update(&home.operator(), &first, 10_000).await.is_success());
    ann.set(&first, &set(100)).await.unwrap();
    ann.set(&second, &set(5_000)).await.unwrap();
    // Others have their own.
    let bens = made(&home.signed("ben"), "0").await;
    let ben = deploy(&home.signed("ben"), &bens, 0).await.unwrap();
    assert!(update(&home.operator(), &ben, 10_000).await.is_success());
    let operators = deploy(&home.operator(), &space_did("3"), 0).await.unwrap();
    assert!(update(&home.operator(), &operators, 100_000).await.is_success());
}

#[tokio::test]
async fn strangers_together_fill_an_open_space_of_the_operators_as_far_as_one_could_its_own() {
    let quotas = Quotas { bytes_per_signer: 20_000, ..Quotas::default() };
    let home = home(Reach::Others { open_spaces: true }, quotas).await;
    let charm = deploy(&home.operator(), &space(), 0).await.unwrap();
    let set = |size: usize| SetRequest { path: vec!["event".into()], value: json!("x".repeat(size)), create: true };
    home.signed("eve").set(&charm, &set(10_000)).await.unwrap();
    over(home.signed("zoe").set(&charm, &set(20_000)).await, "--max-signer-bytes");
    home.operator().set(&charm, &set(20_000)).await.unwrap();
}

#[tokio::test]
async fn a_charm_in_an_open_space_of_the_operators_does_not_take_the_rest_of_the_disk() {
    let quotas = Quotas { free_disk: u64::MAX, ..Quotas::default() };
    let home = home(Reach::Others { open_spaces: true }, quotas).await;
    let charm = deploy(&home.operator(), &space(), 0).await.unwrap();
    assert_eq!(update(&home.signed("eve"), &charm, 20_000).await.kind, OutcomeKind::LimitExceeded);
    // Closed, it is the operator's alone.
    home.operator().set_acl(&space(), &Subject::Anyone, None).await.unwrap();
    assert!(update(&home.operator(), &charm, 20_000).await.is_success());
}

#[tokio::test]
async fn nothing_new_is_kept_where_there_is_no_room_and_what_is_there_is_polled() {
    let no_disk = |quotas: Quotas| Quotas { free_disk: u64::MAX, ..quotas };
    let no_bytes = |quotas: Quotas| Quotas { bytes: 1, ..quotas };
    let full: [(&str, &dyn Fn(Quotas) -> Quotas); 2] = [("--min-free", &no_disk), ("--max-bytes", &no_bytes)];
    for (option, full) in full {
        let home = Home::with(|options| options.owner = Some(did("operator"))).await;
        let ann = home.signed("ann");
        let charm = deploy(&ann, &space(), 0).await.unwrap();
        let other = deploy(&ann, &space(), 1).await.unwrap();
        home.operator().register(&charm, &gmail()).await.unwrap();
        assert!(update(&ann, &charm, 5_000).await.is_success());
        // The same database, once there is no room.
        let mut options = crate::LocalOptions::new(home.database());
        options.handlers.clone_from(&home.runtime.handlers);
        options.owner = Some(did("operator"));
        options.tenancy = Tenancy { reach: Some(Reach::Loopback), quotas: full(Quotas::default()) };
        let runtime = std::sync::Arc::new(crate::LocalRuntime::open(options).unwrap());
        let (operator, ann) = (runtime.as_actor(Actor::Operator), runtime.as_actor(Actor::Did(did("ann"))));

        let attempt = Attempt::begin("tenants", format!("new data where {option} is reached"));
        over(deploy(&ann, &space(), 2).await, option);
        over(deploy(&ann, &space_did("new"), 0).await, option);
        over(ann.new_space("new").await, option);
        let set = |size: usize| SetRequest { path: vec!["event".into()], value: json!("x".repeat(size)), create: true };
        over(ann.set(&charm, &set(6_000)).await, option);
        let (zoe, read) = (Subject::Did(did("zoe")), Some(AccessLevel::Read));
        over(ann.set_acl(&space(), &zoe, read).await, option);
        over(ann.register(&other, &gmail()).await, option);
        over(runtime.as_actor(Actor::Anonymous).register(&other, &gmail()).await, option);
        let grown = update(&operator, &charm, 20_000).await;
        assert_eq!((grown.kind, grown.blame()), (OutcomeKind::LimitExceeded, Some(Blame::Configuration)), "{grown}");
        assert!(grown.message.unwrap().contains(option));
        attempt.ended("Quota, LimitExceeded");

        // Polls of what is there go on: a counter counts, a value is replaced, a registration enabled again.
        for size in [5_000, 5_001, 5_600, 100] {
            assert!(update(&operator, &charm, size).await.is_success(), "{size}");
        }
        assert!(ann.trigger(&charm, "append", &json!({})).await.unwrap().is_success());
        ann.set(&charm, &set(10)).await.unwrap();
        runtime.as_actor(Actor::Anonymous).register(&charm, &gmail()).await.unwrap();
        assert!(!deploy(&ann, &space(), 0).await.unwrap().charm.as_str().is_empty(), "the same is there already");
        // The operator has the rest of the disk.
        let own = deploy(&operator, &space_did("own"), 0).await.unwrap();
        assert!(update(&operator, &own, 20_000).await.is_success());
        operator.register(&other, &gmail()).await.unwrap();
        runtime.as_actor(Actor::Did(did("operator"))).new_space("new").await.unwrap();
        ann.set_acl(&space(), &Subject::Anyone, read).await.unwrap();
        ann.set_acl(&space(), &Subject::Anyone, None).await.unwrap();
        operator.set_acl(&space(), &zoe, read).await.unwrap();
        ann.delete(&charm).await.unwrap();
    }
}

#[tokio::test]
async fn a_charm_that_waits_for_room_is_woken_within_seconds_once_there_is_room() {
    let home = Home::new().await;
    let ann = home.signed("ann");
    let (charm, other) =
        (deploy(&ann, &space(), 0).await.unwrap(), deploy(&ann, &space_did("filler"), 1).await.unwrap());
    // The cells of `filler` fill it.
    let mut options = crate::LocalOptions::new(home.database());
    options.handlers.clone_from(&home.runtime.handlers);
    let quotas = Quotas { bytes: 2_000_000, ..Quotas::default() };
    options.tenancy = Tenancy { reach: Some(Reach::Loopback), quotas };
    let runtime = std::sync::Arc::new(crate::LocalRuntime::open(options).unwrap());
    let operator = runtime.as_actor(Actor::Operator);
    operator.register(&charm, &gmail()).await.unwrap();
    let set = |size: usize| SetRequest { path: vec!["event".into()], value: json!("x".repeat(size)), create: true };
    operator.set(&other, &set(4_000_000)).await.unwrap();
    let grown = update(&operator, &charm, 20_000).await;
    assert_eq!(grown.blame(), Some(Blame::Configuration), "{grown}");
    let waiting = operator.registrations().await.unwrap().remove(0);
    assert_eq!(waiting.state(0), bg_poller::RegistrationState::Waiting, "{waiting:?}");
    let seen = operator.revision().await.unwrap();
    // Nothing tells the runtime of room but a look.
    operator.set(&other, &set(10)).await.unwrap();
    assert_ne!(operator.changed(seen).await.unwrap(), seen);
    let woken = operator.registrations().await.unwrap().remove(0);
    assert!(woken.woken_at > waiting.woken_at && woken.last_blame == Some(Blame::Configuration), "{woken:?}");
    assert!(update(&operator, &charm, 20_000).await.is_success());
}

#[tokio::test]
async fn a_named_space_has_a_key_of_its_own_and_its_name_leads_only_its_maker_there() {
    let home = home(OTHERS, Quotas::default()).await;
    let (ann, eve) = (home.signed("ann"), home.signed("eve"));
    let made = ann.new_space("notes").await.unwrap();
    assert_ne!(made.space, space_did("notes"));
    assert_eq!((made.name.as_deref(), made.charms, made.anyone), (Some("notes"), 0, None));
    assert_eq!(ann.spaces(Some("notes")).await.unwrap(), std::slice::from_ref(&made));
    let attempt = Attempt::begin("tenants", "the name of another's space");
    assert_eq!(eve.spaces(Some("notes")).await.unwrap(), []);
    let theirs = eve.new_space("notes").await.unwrap();
    assert_ne!(theirs.space, made.space);
    assert_eq!(
        home.operator().spaces(Some("notes")).await.unwrap(),
        [],
        "nobody leads the operator elsewhere by a name"
    );
    assert_eq!(home.runtime.as_actor(Actor::Anonymous).spaces(Some("notes")).await.unwrap(), []);
    attempt.ended("leads nowhere");
    let again = ann.new_space("notes").await.unwrap_err();
    assert!(again.to_string().contains(made.space.as_str()), "{again}");
    deploy(&ann, &made.space, 0).await.unwrap();
    assert!(is_refused(deploy(&eve, &made.space, 1).await));

    let own = home.signed("operator").new_space("notes").await.unwrap();
    assert_eq!(home.operator().spaces(Some("notes")).await.unwrap(), std::slice::from_ref(&own));
    for name in ["", "did:key:x", "toolshed-system", "a\nb", " a", &"x".repeat(257)] {
        assert!(matches!(ann.new_space(name).await, Err(RuntimeError::Invalid(_))), "{name:?}");
    }
    assert!(is_refused(home.runtime.as_actor(Actor::Anonymous).new_space("x").await));

    // A caller who asks for all sees its own; the operator sees all.
    let all = home.operator().spaces(None).await.unwrap();
    let of = |space: &SpaceDid| all.iter().find(|found| found.space == *space).unwrap();
    assert_eq!((of(&made.space).charms, of(&theirs.space).charms), (1, 0));
    assert!(of(&made.space).bytes > 100 && all.iter().any(|found| found.space == system_space()));
    let seen =
        |spaces: Vec<bg_charm_api::SpaceSummary>| spaces.into_iter().map(|found| found.space).collect::<Vec<_>>();
    assert_eq!(seen(ann.spaces(None).await.unwrap()), [made.space]);
    assert_eq!(seen(eve.spaces(None).await.unwrap()), std::slice::from_ref(&theirs.space));
    eve.set_acl(&theirs.space, &Subject::Did(did("zoe")), Some(AccessLevel::Owner)).await.unwrap();
    assert_eq!(seen(home.signed("zoe").spaces(None).await.unwrap()), [theirs.space]);
}
