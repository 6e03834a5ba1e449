//! The components of a configuration file, and the settings for them.

use bg_charm_api::names::nearest;
use std::path::{Path, PathBuf};

use bg_identity::IntegrationId;
use bg_sandbox::World;

use crate::args::{GrantArgs, Pin, RunArgs};
use crate::config::{Document, Mistake};
use crate::integrations::{Plan, idle_grants};
use crate::{connect, pins};

/// An inspected component.
pub(super) struct Seen {
    pub(super) path: PathBuf,
    pub(super) plan: Plan,
    pub(super) sha256: String,
}

/// Why a component can't be used, and which part of the file is to blame.
struct Unusable {
    error: anyhow::Error,
    /// The integration whose configuration is wrong; `None` if the component itself is.
    configured: Option<IntegrationId>,
}

async fn look(path: &Path, grants: &GrantArgs) -> Result<Seen, Unusable> {
    let itself = |error| Unusable { error, configured: None };
    let info = connect::inspect(path).await.map_err(itself)?;
    World::Integration.check(&info).map_err(|error| itself(error.into()))?;
    let named = info.manifest.as_ref().map(|manifest| manifest.integration.id.clone());
    let configured = named.filter(|id| grants.set.iter().any(|setting| setting.integration == *id));
    let plan = Plan::new(path, &info, grants).map_err(|error| Unusable { error, configured })?;
    Ok(Seen { path: path.to_owned(), plan, sha256: info.sha256 })
}

/// What each component of the file is and gets, and everything that is wrong with them and their settings.
pub(super) async fn check(args: &RunArgs, document: &Document) -> (Vec<Seen>, Vec<Mistake>) {
    let (mut seen, mut mistakes) = (Vec::<Seen>::new(), Vec::new());
    for (place, path) in args.component.iter().enumerate() {
        let place = place.to_string();
        let here = ["components", place.as_str()];
        match look(path, &args.grants).await {
            Err(Unusable { error, configured: Some(id) }) => {
                mistakes.push(document.mistake_at(&["set", id.as_str()], &format!("{error:#}")));
            }
            Err(Unusable { error, configured: None }) => {
                mistakes.push(document.mistake_at(&here, &format!("{error:#}")));
            }
            Ok(one) => {
                let id = one.plan.id();
                if let Some(other) = seen.iter().find(|other| other.plan.id() == id) {
                    let other = other.path.display();
                    let message = format!("this is the integration {id}, as {other} is; leave one of them out");
                    mistakes.push(document.mistake_at(&here, &message));
                }
                if let Err(error) = pins::check_one(&args.sha256, path, id, &one.sha256) {
                    mistakes.push(document.mistake_at(&["sha256", id.as_str()], &error.to_string()));
                }
                seen.push(one);
            }
        }
    }
    // An unknown name may belong to an unreadable component.
    if seen.len() == args.component.len() {
        mistakes.extend(strays(args, &seen, document));
    }
    mistakes.sort_by_key(|mistake| mistake.at);
    (seen, mistakes)
}

/// Settings for integrations without a component, and grants that no component asks for.
fn strays(args: &RunArgs, seen: &[Seen], document: &Document) -> Vec<Mistake> {
    let known: Vec<&str> = seen.iter().map(|one| one.plan.id().as_str()).collect();
    let stray = |id: &IntegrationId| {
        let there = match (nearest(id.as_str(), known.iter().copied()), known.as_slice()) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, []) => "`components` names none".to_owned(),
            (None, known) => format!("there are: {}", known.join(", ")),
        };
        (!known.contains(&id.as_str())).then(|| format!("there is no component of the integration `{id}`; {there}"))
    };
    let mut mistakes = Vec::new();
    for (table, ids) in [
        ("set", args.grants.set.iter().map(|setting| &setting.integration).collect::<Vec<_>>()),
        ("sha256", args.sha256.iter().map(Pin::integration).collect()),
    ] {
        let mut reported: Vec<&IntegrationId> = Vec::new();
        for id in ids {
            if let Some(message) = stray(id).filter(|_| !reported.contains(&id)) {
                mistakes.push(document.mistake_at(&[table, id.as_str()], &message));
                reported.push(id);
            }
        }
    }
    let plans: Vec<&Plan> = seen.iter().map(|one| &one.plan).collect();
    let idle = idle_grants(&plans, &args.grants.allow_http);
    for (place, grant) in args.grants.allow_http.iter().enumerate() {
        let unknown = grant.integration.as_ref().and_then(stray);
        let for_nothing = || {
            idle.contains(&grant).then(|| {
                "no component asks for anything there; `bg-wasm-host inspect FILE` shows what one asks for".to_owned()
            })
        };
        if let Some(message) = unknown.or_else(for_nothing) {
            mistakes.push(document.mistake_at(&["allow-http", &place.to_string()], &message));
        }
    }
    mistakes
}
