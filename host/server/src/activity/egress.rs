//! Requests of guests: the newest ones, and denials.

use std::collections::BTreeMap;

use bg_charm_api::wire::{Denial, OwnerEgress, Sent};
use bg_egress::{AuditRecord, Decision, Owner};
use bg_poller::UnixMillis;

/// How many different denials are kept for each owner: an operator decides about one at a time, and guests can invent
/// any number of hosts.
const DENIALS: usize = 50;
/// How many of the newest requests are kept for each owner.
const NEWEST: usize = 50;

/// All requests.
#[derive(Debug, Default)]
pub(crate) struct Egress(BTreeMap<Owner, OwnerEgress>);

impl Egress {
    pub(crate) fn note(&mut self, record: &AuditRecord, at: UnixMillis) {
        if !self.0.contains_key(&record.owner) {
            self.0.insert(record.owner.clone(), OwnerEgress::default());
        }
        if let Some(owner) = self.0.get_mut(&record.owner) {
            note(owner, record, at);
        }
    }

    pub(crate) fn of(&self, owner: &Owner) -> OwnerEgress {
        self.0.get(owner).cloned().unwrap_or_default()
    }
}

fn note(owner: &mut OwnerEgress, record: &AuditRecord, at: UnixMillis) {
    let AuditRecord { method, origin, path, decision, .. } = record;
    match decision {
        Decision::Allowed => owner.allowed += 1,
        Decision::Denied => owner.denied += 1,
        Decision::WouldDeny => owner.would_deny += 1,
    }
    owner.bytes = owner.bytes.saturating_add(record.bytes);
    if *decision != Decision::Allowed {
        deny(owner, record, at);
    }
    owner.newest.truncate(NEWEST - 1);
    owner.newest.push_front(Sent {
        at,
        method: method.clone(),
        origin: origin.clone(),
        path: path.clone(),
        decision: decision.to_string(),
        ok: *decision == Decision::Allowed && record.error.is_none(),
        denied: *decision == Decision::Denied,
        credential: record.credential,
        status: record.status.map(|status| status.as_u16()),
        bytes: record.bytes,
        elapsed: record.elapsed,
        error: record.error.clone(),
    });
}

fn deny(owner: &mut OwnerEgress, record: &AuditRecord, at: UnixMillis) {
    let sent = record.decision == Decision::WouldDeny;
    let is_it = |denial: &Denial| {
        (&denial.method, &denial.origin, &denial.rule, &denial.option, denial.sent)
            == (&record.method, &record.origin, &record.rule, &record.option, sent)
    };
    let known = owner.denials.iter().position(is_it).and_then(|place| owner.denials.remove(place));
    let count = known.map_or(0, |denial| denial.count) + 1;
    owner.denials.truncate(DENIALS - 1);
    owner.denials.push_front(Denial {
        method: record.method.clone(),
        origin: record.origin.clone(),
        path: record.path.clone(),
        rule: record.rule.clone(),
        option: record.option.clone(),
        sent,
        charm: record.charm.clone(),
        count,
        newest: at,
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record(host: &str, decision: Decision) -> AuditRecord {
        AuditRecord {
            owner: Owner::Charms,
            charm: None,
            method: "GET".to_owned(),
            origin: format!("https://{host}"),
            path: "/x".to_owned(),
            rule: "no grant".to_owned(),
            decision,
            option: Some(format!("--allow-charm-http https://{host}/")),
            credential: false,
            resent: 0,
            address: None,
            status: None,
            bytes: 3,
            elapsed: Duration::ZERO,
            error: None,
        }
    }

    #[test]
    fn a_repeated_denial_is_counted_and_others_do_not_evict_it() {
        let mut egress = Egress::default();
        egress.note(&record("a.example", Decision::Denied), UnixMillis(1));
        egress.note(&record("b.example", Decision::Allowed), UnixMillis(2));
        for number in 0..DENIALS as u64 - 1 {
            egress.note(&record(&format!("{number}.example"), Decision::WouldDeny), UnixMillis(3 + number));
        }
        egress.note(&record("a.example", Decision::Denied), UnixMillis(100));
        let owner = egress.of(&Owner::Charms);
        assert_eq!((owner.allowed, owner.denied, owner.would_deny), (1, 2, DENIALS as u64 - 1));
        assert_eq!(owner.bytes, 3 * (DENIALS as u64 + 2));
        assert_eq!((owner.denials.len(), owner.newest.len()), (DENIALS, NEWEST));
        assert_eq!((owner.denials[0].count, owner.denials[0].newest), (2, UnixMillis(100)));
        assert_eq!(owner.denials[0].option.as_deref(), Some("--allow-charm-http https://a.example/"));
        for number in 0..DENIALS * 2 {
            egress.note(&record(&format!("more-{number}.example"), Decision::Denied), UnixMillis(200));
        }
        assert_eq!(egress.of(&Owner::Charms).denials.len(), DENIALS);
        assert_eq!(egress.of(&Owner::Integration("mail".parse().unwrap())), OwnerEgress::default());
    }
}
