//! The service dies at any moment (`kill -9`), and nothing is lost or half done.

use std::time::Duration;

use bg_abuse::Attempt;
use serde_json::{Value, json};

use crate::common::{SOON, deploy, fixture, host, register};

/// How often it is killed.
const KILLS: u64 = 20;

/// How many charms are polled meanwhile.
const CHARMS: u64 = 4;

/// Pseudo-random numbers that a failed test can repeat (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

#[test]
fn killed_at_twenty_random_moments_nothing_registered_is_lost_and_nothing_is_half_written() {
    let host = host();
    let charms: Vec<String> = (0..CHARMS)
        .map(|n| {
            let charm = deploy(&host, &fixture("twins.tsx"), &format!("space-{n}"), &json!({}));
            register(&host, &charm, "my-test");
            charm
        })
        .collect();

    let seed = u64::from(std::process::id()) | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let attempt = Attempt::begin("kill", "20 times at random moments, 4 charms polled every 100 ms");
    let mut before = vec![0; charms.len()];
    let mut during = 0;
    for kill in 0..KILLS {
        let mut service = host.spawn(["run", "--interval", "100ms"]).unwrap();
        // Polling resumes: at least one poll has succeeded before the moment comes.
        service.wait_for_line(|line| line.contains("Successfully executed charm"), SOON).unwrap();
        std::thread::sleep(Duration::from_millis(random.below(150)));
        service.kill().unwrap();

        let listed = host.command(["list", "--json"]).unwrap().success().unwrap().stdout;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed.as_array().unwrap().len(), charms.len(), "kill {kill}: {listed}");
        for (charm, before) in charms.iter().zip(&mut before) {
            let shown = host.command(["charm", "show", charm]).unwrap().success().unwrap().stdout;
            let shown: Value = serde_json::from_str(&shown).unwrap();
            let (first, second) = (shown["cells"]["first"].as_u64(), shown["cells"]["second"].as_u64());
            assert_eq!(first, second, "kill {kill}: a half-written state of {charm}");
            let now = first.unwrap();
            assert!(now >= *before, "kill {kill}: {charm} went back from {before} to {now}");
            during += now - *before;
            *before = now;
        }
    }
    assert!(during >= KILLS, "polls in between: {during}");
    assert!(before.iter().all(|count| *count > 0), "every charm was polled: {before:?}");
    attempt.ended(format!("nothing lost, nothing half-written in {during} polls"));
}
