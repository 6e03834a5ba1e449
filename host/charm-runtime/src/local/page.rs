//! A charm's page.

use std::sync::Arc;

use async_trait::async_trait;
use bg_charm_api::Actor;
use bg_identity::SECRET_MASK;
use bg_poller::{CharmRef, Outcome, OutcomeKind, RuntimeError, Scope};
use bg_sandbox::{CellReadError, CellReader};
use bg_store::document::Document;
use bg_store::redact::redact;
use bg_store::{Sources, StoredCharm};
use serde_json::Value;

use super::LocalRuntime;
use super::snapshot::Snapshot;
use super::transpiler::OwnedSources;

impl LocalRuntime {
    /// Makes the charm's page for the actor.
    pub(super) async fn page(&self, actor: &Actor, charm: &CharmRef) -> Result<Option<Value>, RuntimeError> {
        let handlers = self.handlers()?;
        let Sources { charm: stored, source, files, secrets } = self.store.sources(actor, charm).await?;
        let stored = Arc::new(stored);
        // What is polled has no pages in it.
        let file_name = stored.summary.file_name.clone();
        let sources = OwnedSources { file_name, source, files };
        let program = self.transpiler.page(sources, self.is_trusted(actor)).await?;
        let snapshot = Snapshot::new(Arc::clone(&self.store), Arc::clone(&stored), None);
        let trouble = snapshot.trouble();
        let cells = Box::new(Veiled { snapshot, charm: Arc::clone(&stored) });
        let known = self.credential_origins.known(stored.integration.as_deref(), secrets.clone());
        let made = handlers.page(&stored, &program, cells, known).await;
        if trouble.changed()? {
            let message = format!("the cells of {charm} changed while its page was made; ask again");
            return Err(RuntimeError::unavailable_in(Scope::Charm, message));
        }
        let made = made.map_err(|failure| {
            let secrets: Vec<_> = secrets.into_iter().map(|secret| secret.text).collect();
            let failed = redact(Outcome::failure(failure.kind, failure.message).with_stack(failure.stack), &secrets);
            let message = failed.message.unwrap_or_default();
            if failed.kind == OutcomeKind::Unavailable {
                return RuntimeError::unavailable(message);
            }
            let stack = failed.stack.map_or(String::new(), |stack| format!("\n{stack}"));
            RuntimeError::Unfit(format!("the page of {charm} cannot be made: {}: {message}{stack}", failed.kind))
        })?;
        let Some(json) = made else { return Ok(None) };
        let page = serde_json::from_str(&json).map_err(|_| {
            RuntimeError::Unfit(format!("the page of {charm} is no JSON: that is a fault of its component"))
        })?;
        Ok(Some(page))
    }
}

/// The cells of a charm for its page. A reader of a page may not see what is secret, so that its program
/// doesn't either, beyond whether there is something: no page shows a secret, not even in another form.
struct Veiled {
    snapshot: Snapshot,
    charm: Arc<StoredCharm>,
}

#[async_trait]
impl CellReader for Veiled {
    async fn keys(&self) -> Result<Vec<String>, CellReadError> {
        self.snapshot.keys().await
    }

    async fn get(&self, name: &str) -> Result<Option<String>, CellReadError> {
        let secrets = &self.charm.secrets;
        let text = self.snapshot.get(name).await?;
        if !secrets.touches_cell(name) {
            return Ok(text);
        }
        let Some(text) = text else { return Ok(None) };
        let document = Document::parse(&text).map_err(|error| CellReadError(format!("cell {name}: {error}")))?;
        Ok(Some(secrets.veiled(name, document.into_node(), &Value::from(SECRET_MASK)).to_string()))
    }
}
