//! Permission to register charms.

use bg_charm_api::wire::ErrorCode;
use bg_charm_api::{AccessLevel, Actor, Spaces};
use bg_charm_runtime::LocalHandle;
use bg_identity::{IntegrationId, SpaceDid, system_space};
use bg_poller::CharmRef;

use crate::answer::Failure;
use crate::app::App;
use crate::options::RegistrationPolicy;

/// Fails unless the caller may register that charm for that integration. The operator may register every charm.
pub(crate) async fn registration(
    app: &App,
    caller: &LocalHandle,
    charm: &CharmRef,
    integration: &IntegrationId,
) -> Result<(), Failure> {
    let is_limited = app.registration != RegistrationPolicy::Open || !app.integrations.is_empty();
    if !is_limited || has(app, caller, &system_space(), AccessLevel::Write).await? {
        return Ok(());
    }
    if !app.integrations.is_empty() && !app.integrations.contains(integration) {
        let names: Vec<&str> = app.integrations.iter().map(IntegrationId::as_str).collect();
        let text = format!(
            "charms are registered here for {} only, not for {integration} (--allow-integration)",
            names.join(", ")
        );
        return Err(Failure::of(ErrorCode::Authorization, text));
    }
    match app.registration {
        RegistrationPolicy::Open => Ok(()),
        RegistrationPolicy::Signed if has(app, caller, &charm.space, AccessLevel::Owner).await? => Ok(()),
        RegistrationPolicy::Signed => Err(Failure::of(
            ErrorCode::Authorization,
            format!(
                "only an owner of the space {} may register its charms here, with a signed request: `bg-wasm-host \
                 register` sends one (--registration signed)",
                charm.space
            ),
        )),
        RegistrationPolicy::Closed => {
            let text = "only the operator registers charms here, with `bg-wasm-host register` (--registration closed)";
            Err(Failure::of(ErrorCode::Authorization, text))
        }
    }
}

async fn has(app: &App, caller: &LocalHandle, space: &SpaceDid, level: AccessLevel) -> Result<bool, Failure> {
    Ok(match caller.actor() {
        Actor::Operator => true,
        Actor::Anonymous => false,
        actor => app.runtime.as_actor(Actor::Operator).acl(space).await?.level_of(space, actor) >= Some(level),
    })
}
