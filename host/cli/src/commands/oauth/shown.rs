//! Clients and accounts on a terminal.

use bg_charm_api::{AccountState, AccountSummary, ClientSummary};
use bg_poller::UnixMillis;

use crate::output;

/// An account, for people.
pub(super) fn name(account: &AccountSummary) -> String {
    format!("{} ({})", account.id, output::printable(&account.label))
}

/// A table of clients.
pub(super) fn clients(clients: &[ClientSummary]) -> anyhow::Result<()> {
    let row = |client: &ClientSummary| {
        vec![client.provider.clone(), output::printable(&client.id), output::time(client.set_at)]
    };
    Ok(output::table(&["PROVIDER", "ID", "SET"], &clients.iter().map(row).collect::<Vec<_>>())?)
}

/// A table of accounts, with what is wrong with each.
pub(super) fn accounts(accounts: &[AccountSummary]) -> anyhow::Result<()> {
    let now = UnixMillis::now();
    let row = |account: &AccountSummary| {
        let state = match account.state {
            AccountState::Active => "active",
            AccountState::Failing => "failing",
            AccountState::Ended => "sign in again",
        };
        vec![
            account.id.clone(),
            output::printable(&account.label),
            state.to_owned(),
            output::ago(now, account.renewed_at),
            account.expires_at.map_or_else(|| "never".to_owned(), output::time),
            account.charms.len().to_string(),
            output::printable(&account.scopes.join(" ")),
        ]
    };
    let head = ["ACCOUNT", "WHO", "STATE", "RENEWED", "TOKEN ENDS", "CHARMS", "SCOPES"];
    output::table(&head, &accounts.iter().map(row).collect::<Vec<_>>())?;
    let mut notes = Vec::new();
    for account in accounts {
        notes.extend(account.problem.clone());
        let charm = |one: &bg_charm_api::AccountCharm| format!("{}: {} has it in {}", account.id, one.charm, one.cell);
        notes.extend(account.charms.iter().map(charm));
    }
    output::note(&notes);
    Ok(())
}
