//! Sessions with a server: the same tests against a fake one and, where there is a checkout, the original's.

mod access;
mod charms;
mod events;
mod fake;
mod faults;
mod lost;
mod peers;
mod reading;
mod recorded;
mod registering;
mod tls;
mod versions;
mod writing;

use bg_toolshed::{Changes, Document, EntityId, Session, Value};

/// A document with this value.
fn document(value: impl Into<Value>) -> Value {
    Value::object([("value", value.into())])
}

/// The name of a document that a test has to itself within its space.
fn id(cause: &str) -> EntityId {
    EntityId::for_cause(cause.into())
}

/// Waits until a watched document is as it should be.
async fn becomes(session: &Session, id: &EntityId, is_so: impl Fn(&Document) -> bool) -> Document {
    let mut version = 0;
    let wait = async {
        loop {
            let Changes { version: now, documents } = session.changes(version);
            if let Some(found) = documents.into_iter().find(|document| document.id == *id && is_so(document)) {
                return found;
            }
            version = now;
            session.changed(version).await.unwrap();
        }
    };
    // Far above what any machine needs: a change that never comes is the fault.
    tokio::time::timeout(std::time::Duration::from_secs(60), wait)
        .await
        .unwrap_or_else(|_| panic!("{id} did not become so; it is {:?}", session.document(id)))
}
