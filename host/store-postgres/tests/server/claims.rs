//! Hosts that share what is due: each claims spaces, by leases that end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bg_charm_api::Actor;
use bg_poller::{CharmRef, DisabledBy, Outcome};
use bg_store::{Deploys as _, Reach, Registrations as _, Tenancy};
use bg_store_postgres::{Claims, Ended, PostgresStore, Settled, SpaceLease, Turn};

use crate::a_home;
use crate::home::{Home, STREAM, begin, finished, space};
use crate::plans::{fill, rows};

const SOON: Duration = Duration::from_millis(10);
const MINUTE: Duration = Duration::from_mins(1);

/// A poll of a charm by that lease, which is due again after a while.
async fn poll(store: &PostgresStore, lease: &SpaceLease, charm: &CharmRef, next_in: Duration) -> Ended {
    let begun = begin(store, charm).await;
    let number = begun.version.to_string();
    Ended { finished: finished(&begun, &[("n", &number)]), lease: lease.number, next_in, failures: 0 }
}

/// Claims until there is something.
async fn claim(claims: &mut Claims) -> Vec<Turn> {
    loop {
        let turns = claims.claim(10).await.unwrap();
        if !turns.is_empty() {
            return turns;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whatever happens: each enabled charm is due at some time, and its space then, or when its lease ends. In one
/// snapshot.
fn nothing_is_forgotten(home: &Home) {
    let forgotten = "SELECT (SELECT count(*) FROM registrations r WHERE disabled_at = 0 AND NOT EXISTS (SELECT 1 FROM due d \
                     WHERE d.charm = r.charm)), (SELECT count(*) FROM due d LEFT JOIN turns t ON t.space = d.space WHERE \
                     t.space IS NULL OR (t.lease = 0 AND t.vt > d.at AND t.vt > bg_now())), (SELECT count(*) FROM due d \
                     JOIN registrations r ON r.charm = d.charm WHERE r.disabled_at <> 0)";
    assert_eq!(home.psql(forgotten), "0|0|0");
}

/// The lease of a space ends, as its time does.
fn end_leases(home: &Home) {
    home.psql("UPDATE turns SET vt = bg_now() - 1 WHERE lease <> 0");
}

#[tokio::test]
async fn a_space_is_claimed_by_one_host_and_its_polls_are_kept_with_when_they_are_due_next() {
    let home = a_home!();
    let (one, two) = (home.deploy("a").await, home.deploy("b").await);
    for charm in [&one, &two] {
        home.register(charm).await;
    }
    let (mut host, mut other) = (home.store.claims("host"), home.another().await.claims("other"));
    let turns = claim(&mut host).await;
    assert_eq!(turns.len(), 1);
    let charms: BTreeSet<&CharmRef> = turns[0].charms.iter().map(|due| &due.charm).collect();
    assert_eq!(charms, BTreeSet::from([&one, &two]));
    assert!(turns[0].charms.iter().all(|due| due.in_ms <= 500 && due.failures == 0 && due.version == 1));
    assert_eq!(other.claim(10).await.unwrap(), []);
    let ended = vec![
        poll(&home.store, &turns[0].lease, &one, MINUTE).await,
        poll(&home.store, &turns[0].lease, &two, MINUTE).await,
    ];
    for settled in host.settle(ended).await {
        assert_eq!(settled, Ok(Settled::Kept(Some(Outcome::success()))));
    }
    host.release(&[turns[0].lease.clone()]).await.unwrap();
    assert_eq!(other.claim(10).await.unwrap(), []);
    let due = home.psql("SELECT bool_and(at BETWEEN bg_now() + 30000 AND bg_now() + 60000) FROM due");
    assert_eq!(
        (due.as_str(), home.psql("SELECT count(*) FROM turns WHERE vt > bg_now() + 30000").as_str()),
        ("t", "1")
    );
    nothing_is_forgotten(&home);
}

#[tokio::test]
async fn of_a_lease_that_has_ended_nothing_is_kept_and_its_space_is_free() {
    let home = a_home!();
    let one = home.deploy("a").await;
    home.register(&one).await;
    let (mut host, mut other) = (home.store.claims("host"), home.another().await.claims("other"));
    let stopped = claim(&mut host).await.remove(0);
    let late = poll(&home.store, &stopped.lease, &one, MINUTE).await;
    end_leases(&home);
    assert_eq!(host.renew(std::slice::from_ref(&stopped.lease)).await.unwrap(), std::slice::from_ref(&stopped.lease));
    let next = claim(&mut other).await.remove(0);
    assert!(next.lease.number > stopped.lease.number);
    assert_eq!(host.settle(vec![late.clone()]).await, [Ok(Settled::Lost)]);
    // Nor does it give back what is another's by now.
    host.release(&[stopped.lease]).await.unwrap();
    assert_eq!(other.renew(std::slice::from_ref(&next.lease)).await.unwrap(), []);
    let kept = other.settle(vec![poll(&home.store, &next.lease, &one, MINUTE).await]).await;
    assert_eq!(kept, [Ok(Settled::Kept(Some(Outcome::success())))]);
    assert_eq!(home.psql("SELECT count(*) FROM runs"), "1");
    // Also where nobody else has claimed it yet.
    end_leases(&home);
    let late = Ended { lease: next.lease.number, ..late };
    assert_eq!(other.settle(vec![late]).await, [Ok(Settled::Lost)]);
    nothing_is_forgotten(&home);
}

#[tokio::test]
async fn what_is_registered_while_its_space_is_given_back_is_due_at_once() {
    let home = a_home!();
    let first = home.deploy("first").await;
    home.register(&first).await;
    let mut host = home.store.claims("host");
    let other = home.another().await;
    for number in 0..20 {
        let next = home.deploy(&number.to_string()).await;
        let turn = claim(&mut host).await.remove(0);
        let ended = futures_util::future::join_all(
            turn.charms.iter().map(|due| poll(&home.store, &turn.lease, &due.charm, MINUTE)),
        );
        for settled in host.settle(ended.await).await {
            assert!(matches!(settled, Ok(Settled::Kept(Some(_)))), "{settled:?}");
        }
        // At once. Where the second comes first, the first must see it; else it must free the space.
        let leases = [turn.lease];
        let integration = "mail".parse().unwrap();
        let (released, registered) =
            tokio::join!(host.release(&leases), other.register(&Actor::Operator, &next, &integration, &[STREAM]));
        released.unwrap();
        registered.unwrap();
        nothing_is_forgotten(&home);
        assert_eq!(home.psql("SELECT count(*) FROM turns WHERE vt <= bg_now()"), "1", "{number}");
    }
}

#[tokio::test]
async fn a_charm_that_is_disabled_or_removed_is_handed_out_no_more_and_one_that_is_enabled_is_due() {
    let home = a_home!();
    let (one, two, three) = (home.deploy("a").await, home.deploy("b").await, home.deploy("c").await);
    for charm in [&one, &two, &three] {
        home.register(charm).await;
    }
    let (store, actor) = (&home.store, &Actor::Operator);
    store.set_disabled(actor, &one, Some((DisabledBy::Hand, "no"))).await.unwrap();
    store.remove(actor, &two).await.unwrap();
    store.delete(actor, &three).await.unwrap();
    nothing_is_forgotten(&home);
    let mut host = store.claims("host");
    let turn = claim(&mut host).await.remove(0);
    assert_eq!(turn.charms, []);
    host.release(&[turn.lease]).await.unwrap();
    assert_eq!(home.psql("SELECT count(*) FROM turns"), "0", "a space with nothing to poll costs nothing");
    store.set_disabled(actor, &one, None).await.unwrap();
    let turn = claim(&mut host).await.remove(0);
    assert_eq!(turn.charms.iter().map(|due| &due.charm).collect::<Vec<_>>(), [&one]);
}

#[tokio::test]
async fn a_claim_reads_what_it_claims_however_many_spaces_are_not_due() {
    let home = a_home!();
    fill(&home, 20_000).await;
    home.psql(
        "UPDATE due SET at = bg_now() + 3600000; UPDATE turns t SET vt = bg_now() + 3600000; UPDATE turns SET vt = \
         bg_now() WHERE space IN (SELECT space FROM turns ORDER BY space LIMIT 5); UPDATE due SET at = bg_now() WHERE space \
         IN (SELECT space FROM turns WHERE vt <= bg_now()); ANALYZE",
    );
    let mut host = home.store.claims("host");
    let (turns, rows) = rows(&home, host.claim(100)).await;
    let turns = turns.unwrap();
    assert_eq!((turns.len(), turns.iter().map(|turn| turn.charms.len()).sum::<usize>()), (5, 50));
    assert!(rows < 500, "{rows} rows");
}

#[tokio::test]
async fn a_claim_does_not_look_again_at_what_was_claimed_before() {
    // A transaction that is left open keeps the old rows of all turns: claims would walk over all of them again.
    let home = a_home!();
    fill(&home, 20_000).await;
    home.psql(
        "UPDATE turns SET vt = bg_now() - 100000 + 20 * place FROM (SELECT space AS of, row_number() OVER (ORDER BY space) AS \
         place FROM turns) AS placed WHERE space = of",
    );
    let open = home.connection().await;
    open.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM turns LIMIT 1").await.unwrap();
    let mut host = home.store.claims("host");
    let mut claimed = 0;
    for _ in 0..10 {
        claimed += host.claim(100).await.unwrap().len();
    }
    assert_eq!(claimed, 1_000);
    let walked = |from: &str| -> u64 {
        let plan = home.psql(&format!(
            "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT space FROM turns WHERE vt <= bg_began() + \
             500 AND vt >= {from} ORDER BY vt LIMIT 1"
        ));
        let hits = plan.split("shared hit=").nth(1).unwrap();
        hits.split(|end: char| !end.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    // What the host knows: the oldest that it found at its last claim.
    let oldest = host.oldest_seen();
    assert!(oldest > 0);
    let (bounded, all) = (walked(&oldest.to_string()), walked("0"));
    assert!(bounded * 4 < all, "{bounded} pages of {all}");
    drop(open);
}

/// A host polls what it can finish, at its own pace, until all is done. Answers the polls that were kept of each charm.
async fn run(store: PostgresStore, name: String, room: usize, polls: usize) -> BTreeMap<CharmRef, usize> {
    let mut claims = store.claims(&name);
    let mut kept: BTreeMap<CharmRef, usize> = BTreeMap::new();
    let mut idle = 0;
    while idle < polls {
        let turns = claims.claim(room).await.unwrap();
        idle = if turns.is_empty() { idle + 1 } else { 0 };
        let mut ended = Vec::new();
        for turn in &turns {
            for due in &turn.charms {
                ended.push((due.charm.clone(), poll(&store, &turn.lease, &due.charm, MINUTE).await));
            }
        }
        let (charms, ended): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        for (charm, settled) in charms.into_iter().zip(claims.settle(ended).await) {
            assert_eq!(settled, Ok(Settled::Kept(Some(Outcome::success()))));
            *kept.entry(charm).or_default() += 1;
        }
        let leases: Vec<SpaceLease> = turns.into_iter().map(|turn| turn.lease).collect();
        claims.release(&leases).await.unwrap();
        tokio::time::sleep(SOON).await;
    }
    kept
}

#[tokio::test]
async fn three_hosts_poll_every_charm_once_and_all_that_they_start_is_kept() {
    let home = a_home!();
    let mut charms = BTreeSet::new();
    for number in 0..60 {
        let charm = home.deploy_in(&space(&format!("space {}", number % 30)), &number.to_string()).await;
        home.register(&charm).await;
        charms.insert(charm);
    }
    let mut hosts = Vec::new();
    for number in 0..3 {
        // Each has room for fewer than there are.
        hosts.push(tokio::spawn(run(home.another().await, format!("host {number}"), 2, 20)));
    }
    let mut polls: BTreeMap<CharmRef, usize> = BTreeMap::new();
    for host in hosts {
        for (charm, count) in host.await.unwrap() {
            *polls.entry(charm).or_default() += count;
        }
    }
    assert_eq!(polls.keys().cloned().collect::<BTreeSet<_>>(), charms);
    assert!(polls.values().all(|count| *count == 1), "{polls:?}");
    assert_eq!(home.psql("SELECT count(*), count(DISTINCT charm) FROM runs"), "60|60");
    nothing_is_forgotten(&home);
}

#[test]
fn hosts_do_not_claim_in_step() {
    let pauses: BTreeSet<Duration> = (0..200).map(|_| bg_store_postgres::pause()).collect();
    let range = Duration::from_millis(50)..=Duration::from_millis(150);
    assert!(pauses.iter().all(|pause| range.contains(pause)), "{pauses:?}");
    let (first, last) = (*pauses.first().unwrap(), *pauses.last().unwrap());
    assert!(pauses.len() > 100 && last > first + Duration::from_millis(80), "{pauses:?}");
}
