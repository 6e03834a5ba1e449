//! A charm's page.

use std::sync::Arc;

use bg_identity::{Secret, mask};
use bg_poller::{CharmRef, Outcome, OutcomeKind, RuntimeError};
use serde_json::Value;

use super::redact::redact;
use super::snapshot::{Problem, Snapshot};
use super::{LocalRuntime, access};
use crate::store::{self, Cells};
use crate::{AccessLevel, Actor};

impl LocalRuntime {
    /// Makes the charm's page for the actor.
    pub(super) async fn page(&self, actor: &Actor, charm: &CharmRef) -> Result<Option<Value>, RuntimeError> {
        let handlers = self.handlers()?;
        let (actor, name, sealer) = (actor.clone(), charm.clone(), Arc::clone(&self.sealer));
        let found = self.database.read(move |tx| {
            let stored = access::charm(tx, &actor, &name, AccessLevel::Read)?;
            let program = store::charms::program(tx, stored.row)?;
            let secrets = Cells::of(tx, &sealer, &stored).secrets()?;
            Ok((Arc::new(stored), program, secrets))
        });
        let (stored, program, secrets) = found.await?;
        let snapshot = Snapshot::new(Arc::clone(&self.database), Arc::clone(&self.sealer), Arc::clone(&stored), None);
        let trouble = snapshot.trouble();
        let made = handlers.page(&stored, &program, snapshot, secrets.clone()).await;
        match trouble.take() {
            Some(Problem::Changed) => {
                let message = format!("the cells of {charm} changed while its page was made; ask again");
                return Err(RuntimeError::Unavailable(message));
            }
            Some(Problem::Failed(error)) => return Err(error),
            None => {}
        }
        let made = made.map_err(|failure| {
            let failed = redact(Outcome::failure(failure.kind, failure.message).with_stack(failure.stack), &secrets);
            let message = failed.message.unwrap_or_default();
            if failed.kind == OutcomeKind::Unavailable {
                return RuntimeError::Unavailable(message);
            }
            let stack = failed.stack.map_or(String::new(), |stack| format!("\n{stack}"));
            RuntimeError::Unfit(format!("the page of {charm} cannot be made: {}: {message}{stack}", failed.kind))
        })?;
        let Some(json) = made else { return Ok(None) };
        let mut page: Value = serde_json::from_str(&json).map_err(|_| {
            RuntimeError::Unfit(format!("the page of {charm} is no JSON: that is a fault of its component"))
        })?;
        hide(&mut page, &secrets);
        Ok(Some(page))
    }
}

/// Masks secrets wherever a page shows them.
fn hide(value: &mut Value, secrets: &[Secret]) {
    match value {
        Value::String(text) => *text = mask(text, secrets).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, secrets)),
        Value::Object(members) => members.values_mut().for_each(|member| hide(member, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
