//! Accounts as people see them.

use bg_charm_api::{AccountCharm, AccountState, AccountSummary};
use bg_store::{Account, Link};

use super::errors;

/// An account, without its tokens.
pub(super) fn of(account: Account) -> AccountSummary {
    let (state, problem) = match (&account.ended_at, account.error.as_deref()) {
        (Some(_), code) => (AccountState::Ended, Some(errors::ended_text(&account, code.unwrap_or("ended")))),
        (None, Some(code)) => {
            (AccountState::Failing, Some(format!("the last renewal failed ({code}); it is tried again")))
        }
        (None, None) => (AccountState::Active, None),
    };
    let charm = |link: Link| AccountCharm { charm: link.charm, cell: link.cell };
    AccountSummary {
        id: account.id,
        provider: account.provider,
        label: account.label,
        scopes: account.scopes,
        state,
        problem,
        signed_in_at: account.signed_in_at,
        renewed_at: account.renewed_at,
        expires_at: account.expires_at,
        charms: account.links.into_iter().map(charm).collect(),
    }
}
