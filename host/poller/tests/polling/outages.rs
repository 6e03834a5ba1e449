//! After an outage of a server, the charms that need it come back together with it.

use std::time::Duration;

use bg_poller::*;

use crate::world::*;

const SERVER: &str = "https://mail.example:443";
const MINUTE: u64 = 60;

/// A poll that fails because that server does.
fn away(server: &str, retry_after: Option<Duration>) -> Outcome {
    let failed = Some(FailedServer { origin: server.to_owned(), retry_after, refused: false });
    let outcome = Outcome::failure(OutcomeKind::Unavailable, "503").caused_by(Cause::ServerFails);
    outcome.with_servers(Servers { failed, ..Servers::default() })
}

/// A poll that succeeds, and that these servers have answered.
fn answered(servers: &[&str]) -> Outcome {
    let answered = servers.iter().copied().map(str::to_owned).collect();
    Outcome::success().with_servers(Servers { answered, ..Servers::default() })
}

fn behaves(world: &World, charm: &CharmRef, outcomes: impl IntoIterator<Item = Outcome>) {
    let outcomes = outcomes.into_iter().map(Ok).collect();
    world.behave(charm, Behaviour { takes: Duration::ZERO, outcomes, ..Behaviour::default() });
}

fn waits_between(starts: &[u64]) -> Vec<u64> {
    starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn charms(count: usize) -> Vec<CharmRef> {
    (0..count).map(|number| charm(&format!("space {number}"), "1")).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_poll_that_a_server_answers_brings_all_back_that_wait_for_it_at_their_pace() {
    let world = World::new();
    let (mails, other) = (charms(60), charm("other", "1"));
    for one in mails.iter().chain([&other]) {
        world.register(one, "test");
        behaves(&world, one, [away(SERVER, None)]);
    }
    behaves(&world, &other, [away("https://news.example:443", None)]);
    let service = world.start();
    seconds(2 * 60 * MINUTE).await;
    let before = world.state().starts.len();
    // It works again, and somebody has just registered another charm.
    for one in &mails {
        behaves(&world, one, [answered(&[SERVER])]);
    }
    let fresh = charm("fresh", "1");
    behaves(&world, &fresh, [answered(&["https://calendar.example:443", SERVER])]);
    world.register(&fresh, "test");
    seconds(MINUTE + 2).await;
    let (from, to) = (2 * 60 * MINUTE, 2 * 60 * MINUTE + MINUTE + 2);
    for one in &mails {
        assert!(world.starts(one).iter().any(|at| (from..=to).contains(at)), "{:?}", world.starts(one));
    }
    let starts: Vec<f64> = world.state().starts[before..].iter().map(|(_, at)| *at).collect();
    for at in &starts {
        let within = starts.iter().filter(|other| (*at..at + 10.0).contains(other)).count();
        assert!(within <= 16, "{within} polls in 10 s, {starts:?}");
    }
    assert!(world.starts(&other).iter().all(|at| !(from..=to).contains(at)), "it waits for another server");
    seconds(10 * MINUTE).await;
    service.stop().await;
    for one in &mails {
        let late = world.starts(one).into_iter().filter(|at| *at >= from).collect::<Vec<_>>();
        assert!(waits_between(&late).iter().all(|wait| (59..=62).contains(wait)), "{late:?}");
    }
}

/// A poll that fails because that server refuses its request.
fn refused(server: &str) -> Outcome {
    let failed = Some(FailedServer { origin: server.to_owned(), retry_after: None, refused: true });
    let outcome = Outcome::failure(OutcomeKind::Denied, "401").caused_by(Cause::Unauthorized);
    outcome.with_servers(Servers { failed, ..Servers::default() })
}

/// As in an incident of the service. One whose sign-in has ended is looked at ever more rarely.
#[tokio::test(start_paused = true)]
async fn charms_whose_requests_a_server_refuses_go_on_when_it_accepts_those_of_others() {
    let world = World::new();
    let (mails, ended, other) = (charms(20), charm("ended", "1"), charm("other", "1"));
    for one in mails.iter().chain([&ended, &other]) {
        world.register(one, "test");
        behaves(&world, one, [refused(SERVER)]);
    }
    // It answers, and accepts nothing.
    behaves(&world, &other, [answered(&[SERVER])]);
    let service = world.start();
    seconds(5 * MINUTE).await;
    assert!(mails.iter().all(|one| world.starts(one).len() == 1), "{:?}", world.starts(&mails[0]));
    for one in &mails {
        behaves(&world, one, [answered(&[SERVER])]);
    }
    let accepted = Servers { accepted: vec![SERVER.to_owned()], ..Servers::default() };
    behaves(&world, &other, [Outcome::success().with_servers(accepted)]);
    seconds(2 * MINUTE + 2).await;
    assert!(mails.iter().all(|one| world.starts(one).len() > 1), "{:?}", world.starts(&mails[0]));
    seconds(3 * 60 * MINUTE).await;
    let waits = waits_between(&world.starts(&ended));
    assert!(waits.len() <= 9 && waits[1..].windows(2).all(|pair| pair[1] >= pair[0]), "{waits:?}");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_component_that_a_server_answers_brings_them_back_too() {
    let world = World::new();
    let mails = charms(5);
    for one in &mails {
        world.register(one, "mail");
        behaves(&world, one, [away(SERVER, None)]);
    }
    let component = Component::new("mail", &mails.iter().collect::<Vec<_>>());
    let service = world.start_with(&Store::new(), vec![component.clone()], world.options());
    seconds(90 * MINUTE).await;
    for one in &mails {
        behaves(&world, one, [answered(&[])]);
    }
    *component.servers.lock().unwrap() = vec![SERVER.to_owned()];
    seconds(2 * MINUTE).await;
    service.stop().await;
    for one in &mails {
        assert!(world.starts(one).iter().any(|at| *at >= 90 * MINUTE), "{:?}", world.starts(one));
    }
}

#[tokio::test(start_paused = true)]
async fn a_charm_that_a_server_fails_while_it_answers_others_backs_off_all_the_same() {
    let world = World::new();
    let (one, other) = (charm("a", "1"), charm("b", "2"));
    for charm in [&one, &other] {
        world.register(charm, "test");
    }
    behaves(&world, &one, [away(SERVER, None)]);
    behaves(&world, &other, [answered(&[SERVER])]);
    let service = world.start();
    seconds(3 * 60 * MINUTE).await;
    service.stop().await;
    let waits = waits_between(&world.starts(&one));
    assert!(waits.iter().all(|wait| *wait >= MINUTE), "{waits:?}");
    assert!(waits.len() < 18 && waits[5..].iter().all(|wait| *wait >= 13 * MINUTE), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_charm_that_fails_and_succeeds_in_turns_has_no_other_polled_more_often_than_its_interval() {
    let attempt = bg_abuse::Attempt::begin("pace", "a charm whose polls fail and succeed in turns for a server");
    let world = World::new();
    let (evil, victims) = (charm("evil", "1"), charms(10));
    for one in victims.iter().chain([&evil]) {
        world.register(one, "test");
        behaves(&world, one, [away(SERVER, None)]);
    }
    let in_turns = (0..1_000).map(|number| if number % 2 == 0 { away(SERVER, None) } else { answered(&[SERVER]) });
    behaves(&world, &evil, in_turns);
    let service = world.start();
    seconds(4 * 60 * MINUTE).await;
    service.stop().await;
    for one in &victims {
        let waits = waits_between(&world.starts(one));
        assert!(waits.iter().all(|wait| *wait >= MINUTE), "{waits:?}");
        assert!(waits.len() < 26, "{waits:?}");
    }
    attempt.ended("each waits an interval at least, and twice as long each time");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_a_server_asked_for_is_kept() {
    let world = World::new();
    let (one, other) = (charm("a", "1"), charm("b", "2"));
    for charm in [&one, &other] {
        world.register(charm, "test");
    }
    let asked = Duration::from_secs(90);
    behaves(&world, &one, [away(SERVER, None), away(SERVER, None), away(SERVER, Some(asked)), answered(&[SERVER])]);
    behaves(&world, &other, [answered(&[SERVER])]);
    let service = world.start();
    seconds(60 * MINUTE).await;
    service.stop().await;
    let waits = waits_between(&world.starts(&one));
    assert!(waits[2] >= 4 * MINUTE, "{waits:?}");
    let world = World::new();
    world.register(&one, "test");
    world.register(&other, "test");
    behaves(&world, &one, [away(SERVER, Some(asked)), answered(&[SERVER])]);
    behaves(&world, &other, [answered(&[SERVER])]);
    let service = world.start();
    seconds(60 * MINUTE).await;
    service.stop().await;
    let waits = waits_between(&world.starts(&one));
    assert!((90..=122).contains(&waits[0]), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn servers_without_number_cost_nothing() {
    let attempt = bg_abuse::Attempt::begin("memory", "polls that name endless servers, of endless length");
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let names = (0..200).map(|number| format!("https://{}{number}.example:443", "x".repeat(number * 100)));
    let mut outcomes: Vec<_> = names.clone().map(|name| away(&name, None)).collect();
    let all: Vec<String> = names.collect();
    outcomes.push(answered(&all.iter().map(String::as_str).collect::<Vec<_>>()));
    behaves(&world, &one, outcomes);
    let service = world.start();
    seconds(20 * 60 * MINUTE).await;
    service.stop().await;
    let waits = waits_between(&world.starts(&one));
    assert!(waits.iter().all(|wait| *wait >= MINUTE) && waits.len() > 70, "{waits:?}");
    attempt.ended("one small entry for each charm");
}
