//! Asking integrations which charms to poll.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Engine, Fetched, Group, GroupId, Link};
use crate::guard::guarded;
use crate::report::{self, one_line};
use crate::schedule::{LIST_LIFE, ListChange, Named, Owed};
use crate::{CharmRef, IntegrationError, OutcomeKind, StateError, policy};

/// An integration's own limit is 5 s. This is for one that does not keep to it.
const FETCH_LIMIT: Duration = Duration::from_secs(30);

impl Engine {
    /// Starts the `fetch-charms` that are due. One never waits for another, nor a poll for any.
    pub(super) async fn begin_fetches(&mut self) {
        let now = Instant::now();
        for (id, group) in self.groups.iter_mut().enumerate() {
            let Group { component: Some(component), fetching: false, next_fetch, .. } = group else { continue };
            if *next_fetch > now {
                continue;
            }
            *next_fetch = now + group.interval;
            let (component, replaced) = (Arc::clone(component), group.replaced);
            group.fetching = true;
            self.schedule.list_begins(component.id()).await;
            group.health.list_begun();
            self.fetches.spawn(async move {
                let answer = guarded(component.fetch_charms(), FETCH_LIMIT).await;
                (id, replaced, answer.unwrap_or_else(|problem| Err(IntegrationError::unanswered(problem))))
            });
        }
    }

    pub(super) async fn fetch_ended(&mut self, fetched: Result<Fetched, JoinError>) {
        // A call that panics is answered as an error, and none is cancelled before the end.
        let Ok((id, replaced, answer)) = fetched else { return };
        let group = &mut self.groups[id];
        group.fetching = false;
        // The new component is asked at once, and what the old one says counts no more.
        if group.health.awaits_probe() || replaced != group.replaced {
            return;
        }
        self.component_answered(id).await;
        match answer {
            Ok(charms) => {
                self.named(id, &charms).await;
                self.keep_state(id, &charms).await;
            }
            Err(error) => self.fetch_failed(id, &error).await,
        }
    }

    /// What a component has written to its state may say that it has announced a change. The state is kept once it is
    /// recorded that the charms it named are owed a poll; until then the component is not asked again.
    async fn keep_state(&mut self, id: GroupId, charms: &[CharmRef]) {
        let component = self.groups[id].component.clone();
        let Some(component) = component.filter(|component| component.has_unkept_state()) else { return };
        let Owed { unknown, written } = self.schedule.owe(component.id(), charms).await;
        let group = &mut self.groups[id];
        // It may know of a charm that was registered a moment ago, before the loop does; and others may poll those that
        // this loop does not. What is not registered at the next list either is its own mistake.
        let is_its_mistake = self.options.charms.is_none() && unknown.is_subset(&group.unknown);
        let is_safe = unknown.is_empty() || is_its_mistake;
        group.unknown = unknown;
        if !is_safe {
            return;
        }
        group.fetching = true;
        self.keeping.spawn(async move {
            let unwritten = || StateError::Unavailable("the poll state cannot be written".to_owned());
            let kept = if written.await {
                let answer = guarded(component.keep_state(), FETCH_LIMIT).await;
                answer.unwrap_or_else(|problem| Err(StateError::Unavailable(problem)))
            } else {
                Err(unwritten())
            };
            (id, kept)
        });
    }

    pub(super) fn kept(&mut self, kept: Result<(GroupId, Result<(), StateError>), JoinError>) {
        // A call that panics is answered as an error, and none is cancelled before the end.
        let Ok((id, kept)) = kept else { return };
        let group = &mut self.groups[id];
        group.fetching = false;
        if let (Err(error), Some(component)) = (kept, &group.component) {
            let (integration, cause) = (component.id(), error.cause());
            warn!(
                target: "poller", %integration, blame = cause.blame().as_str(), cause = cause.as_str(),
                fix = cause.fix_of_component(integration),
                "The integration {integration} goes on with the state from before its last fetch-charms, and may name \
                 charms again: {}",
                one_line(&error.to_string())
            );
        }
    }

    async fn named(&mut self, id: GroupId, charms: &[CharmRef]) {
        let pause = self.groups[id].health.list_answered(Instant::now());
        let Some(component) = &self.groups[id].component else { return };
        self.schedule.pause(component.id(), self.groups[id].health.is_paused()).await;
        let resumes = pause.is_some();
        let Named { change, unregistered, left_out } = self.schedule.list_names(component.id(), charms, resumes).await;
        match pause {
            Some(pause) => self.resumed(id, pause, charms.len()),
            None if change == Some(ListChange::Works) => self.works_again(id, charms.len()),
            None => {}
        }
        self.note_list(id, charms.len(), left_out, unregistered);
    }

    fn works_again(&self, id: GroupId, named: usize) {
        if let Some(component) = &self.groups[id].component {
            let integration = component.id();
            info!(target: "poller", %integration, named, "fetch-charms of the integration {integration} works again");
        }
    }

    fn note_list(&mut self, id: GroupId, named: usize, left_out: u64, unregistered: u64) {
        self.summary.named_unregistered += unregistered;
        let group = &mut self.groups[id];
        let Some(component) = &group.component else { return };
        let integration = component.id();
        group.left_out = left_out;
        if unregistered > 0 && !group.named_unregistered {
            warn!(
                target: "poller", %integration,
                fix = format!("bg-wasm-host register CHARM --integration {integration}, for those that are to be polled"),
                "The integration {integration} names {unregistered} charms that are not registered for it; they are \
                 not polled"
            );
        }
        group.named_unregistered = unregistered > 0;
        self.show_list(id, (named as u64).saturating_sub(unregistered), left_out);
    }

    async fn fetch_failed(&mut self, id: GroupId, error: &IntegrationError) {
        self.summary.failed_lists += 1;
        // While the runtime is away, nothing is the component's fault.
        let kind = if self.link == Link::Up { error.kind } else { OutcomeKind::Unavailable };
        let group = &mut self.groups[id];
        let Some(component) = &group.component else { return };
        let integration = component.id();
        let (change, has_list) = (self.schedule.list_fails(integration).await, self.schedule.has_list(integration));
        let (now, interval) = (Instant::now(), group.interval);
        if let Some(paused) =
            group.health.list_failed(kind, has_list, now, interval, |pauses| policy::jitter(integration, pauses))
        {
            self.paused(id, paused, (error.kind, error.cause), &error.to_string()).await;
            self.show_failed_list(id, error, true);
            return;
        }
        let leads_to = match change {
            Some(ListChange::Fails) => {
                Some(format!("its last list is used for up to {} minutes", LIST_LIFE.as_secs() / 60))
            }
            Some(ListChange::Stopped) => Some("its charms are not polled until it works".to_owned()),
            Some(ListChange::Works) | None => None,
        };
        if let Some(leads_to) = leads_to {
            let reason = one_line(&error.to_string());
            let text = format!("fetch-charms of the integration {integration} failed; {leads_to}: {reason}");
            report::component(integration, (error.kind, error.cause), None, &text);
        }
        self.show_failed_list(id, error, change.is_some());
    }
}
