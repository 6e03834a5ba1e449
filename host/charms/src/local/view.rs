//! A charm as integrations see it: without its secrets.

use std::sync::Arc;

use async_trait::async_trait;
use bg_poller::{Charm, CharmRef, Lookup, RuntimeError};
use serde_json::{Value, json};

use super::access;
use crate::api::Shape;
use crate::links::Reader;
use crate::store::{Cells, Database, Failure, Sealer, StoredCharm};
use crate::{AccessLevel, Actor};

/// Reads the store each time it is asked, with the access that its opener then has.
pub(super) struct LocalCharm {
    pub(super) database: Arc<Database>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) actor: Actor,
    pub(super) charm: CharmRef,
}

impl LocalCharm {
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&StoredCharm, &Cells<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let (sealer, actor, charm) = (Arc::clone(&self.sealer), self.actor.clone(), self.charm.clone());
        let read = self.database.read(move |tx| {
            let stored = access::charm(tx, &actor, &charm, AccessLevel::Read)?;
            work(&stored, &Cells::of(tx, &sealer, &stored))
        });
        read.await
    }

    /// What the charm is made of.
    pub(super) async fn shape(&self) -> Result<Shape, RuntimeError> {
        self.read(|charm, cells| {
            let mut keys = cells.names()?;
            keys.extend(charm.summary.streams.iter().cloned());
            keys.sort();
            keys.dedup();
            Ok(Shape { name: charm.summary.name.clone(), keys, streams: charm.summary.streams.clone() })
        })
        .await
    }
}

#[async_trait]
impl Charm for LocalCharm {
    fn charm_ref(&self) -> &CharmRef {
        &self.charm
    }

    async fn keys(&self) -> Result<Vec<String>, RuntimeError> {
        Ok(self.shape().await?.keys)
    }

    async fn has_stream(&self, name: &str) -> Result<bool, RuntimeError> {
        let name = name.to_owned();
        self.read(move |charm, _| Ok(charm.has_stream(&name))).await
    }

    async fn get(&self, path: &[String]) -> Result<Lookup, RuntimeError> {
        let path = path.to_vec();
        self.read(move |charm, cells| {
            let Some(name) = path.first() else { return Ok(Lookup::Absent) };
            if charm.has_stream(name) {
                return Ok(stream(&path[1..]));
            }
            Reader::new(&charm.secrets, &|name| cells.value(name)).lookup(&path)
        })
        .await
    }
}

/// What Common Tools keeps where a stream is.
fn stream(path: &[String]) -> Lookup {
    match path {
        [] => Lookup::Value(json!({"$stream": true})),
        [key] if key == "$stream" => Lookup::Value(Value::Bool(true)),
        _ => Lookup::Absent,
    }
}
