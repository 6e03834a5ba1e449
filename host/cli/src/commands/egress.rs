//! `egress check`: the gate's decision about a request. Nothing is run, looked up or sent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use bg_egress::{ClientOptions, EgressError, Gate, GateOptions, Owner};
use bg_identity::IntegrationId;
use bg_manifest::{OperatorGrant, parse_target};
use http::Method;
use serde::Serialize;

use crate::args::{EgressCheckArgs, EgressCommand, HandlerArgs, RunArgs};
use crate::config::ReadFile;
use crate::integrations::{Plan, refuse_mistakes};
use crate::{connect, output};

/// The status of a usage error: clap's own.
const USAGE: u8 = 2;

/// Stands for any integration if there is no component.
const ANY: &str = "any";

/// `egress …`
pub(crate) async fn run(command: &EgressCommand) -> ExitCode {
    let EgressCommand::Check(args) = command;
    match check(args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            output::error(&error);
            ExitCode::from(USAGE)
        }
    }
}

/// The decision about the request of one owner.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Answer {
    /// The owner.
    owner: String,
    allowed: bool,
    /// The grant that covers the request, or the rule that refuses it.
    rule: String,
    /// Why it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The option that would change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    option: Option<String>,
    /// The token that the gate would attach.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    /// Secrets of charms that the request must not contain: they are bound to other origins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    withheld_secrets: Vec<String>,
}

/// Whether the request is allowed for all owners.
async fn check(args: &EgressCheckArgs) -> anyhow::Result<bool> {
    let answers = answers(args).await?;
    if args.json.json {
        output::json(&answers)?;
    } else {
        for answer in &answers {
            show(answer, &args.method, &args.url)?;
        }
    }
    Ok(answers.iter().all(|answer| answer.allowed))
}

async fn answers(args: &EgressCheckArgs) -> anyhow::Result<Vec<Answer>> {
    let args = with_file(args.clone())?;
    let gate = Gate::new(GateOptions { allow_private: args.allow_private.clone(), ..GateOptions::default() });
    let mut answers = Vec::new();
    let clients = clients(&args).await?;
    let withheld = withheld_secrets(&args, &clients);
    for client in clients {
        let is_charms = client.owner == Owner::Charms;
        let owner = match &client.owner {
            Owner::Integration(id) if id.as_str() == ANY => "any integration".to_owned(),
            owner => owner.to_string(),
        };
        let mut answer = answer(owner, gate.client(client)?.check(&args.method, &args.url));
        if is_charms && answer.allowed {
            answer.withheld_secrets.clone_from(&withheld);
        }
        answers.push(answer);
    }
    Ok(answers)
}

/// The secrets of charms that the operator or a manifest binds to origins other than the URL's.
fn withheld_secrets(args: &EgressCheckArgs, clients: &[ClientOptions]) -> Vec<String> {
    let Ok(url) = parse_target(&args.url) else { return Vec::new() };
    let marked = args.charm_credential.iter().map(|one| (&one.path, &one.origin));
    let asked = clients.iter().flat_map(|client| client.asked.iter().flatten());
    let asked = asked.filter_map(|asked| Some((&asked.credential.as_ref()?.path, &asked.grant)));
    let mut may_go: BTreeMap<String, bool> = BTreeMap::new();
    for (path, origin) in marked.chain(asked) {
        *may_go.entry(path.path().join(".")).or_default() |= origin.matches_origin(&url);
    }
    may_go.into_iter().filter(|(_, may)| !may).map(|(path, _)| path).collect()
}

/// Adds the contents of the configuration file.
fn with_file(mut args: EgressCheckArgs) -> anyhow::Result<EgressCheckArgs> {
    let Some(path) = args.config.take() else { return Ok(args) };
    let handlers = HandlerArgs {
        allow_charm_http: args.allow_charm_http,
        charm_credential: args.charm_credential,
        allow_private: args.allow_private,
        ..HandlerArgs::default()
    };
    let mut run = RunArgs { component: args.component, grants: args.grants, handlers, ..RunArgs::default() };
    ReadFile::open(&path)?.merge(&mut run);
    args.component = run.component;
    args.grants = run.grants;
    args.allow_charm_http = run.handlers.allow_charm_http;
    args.charm_credential = run.handlers.charm_credential;
    args.allow_private = run.handlers.allow_private;
    Ok(args)
}

/// The owners, and what each may do.
async fn clients(args: &EgressCheckArgs) -> anyhow::Result<Vec<ClientOptions>> {
    let mut clients = components(args).await?;
    if clients.is_empty() {
        clients = owners(&args.grants.allow_http)?.into_iter().map(|id| as_granted(id, args)).collect();
    }
    if !args.allow_charm_http.is_empty() {
        let grants = args.allow_charm_http.iter().cloned().map(Into::into).collect();
        clients.push(ClientOptions { grants, ..ClientOptions::new(Owner::Charms) });
    }
    Ok(clients)
}

async fn components(args: &EgressCheckArgs) -> anyhow::Result<Vec<ClientOptions>> {
    let mut plans: Vec<(PathBuf, Plan)> = Vec::new();
    for path in &args.component {
        let info = connect::inspect(path).await?;
        plans.push((path.clone(), Plan::new(path, &info, &args.grants)?));
    }
    let shown: Vec<_> = plans.iter().map(|(path, plan)| (path.as_path(), plan)).collect();
    if !shown.is_empty() || !args.grants.set.is_empty() {
        refuse_mistakes(&shown, &args.grants)?;
    }
    let client = |(_, plan): (PathBuf, Plan)| {
        let owner = Owner::Integration(plan.id().clone());
        ClientOptions { grants: plan.granted, asked: Some(plan.asked), ..ClientOptions::new(owner) }
    };
    Ok(plans.into_iter().map(client).collect())
}

/// Without components: the integrations that grants name, and any other if there are grants to all, or none.
fn owners(grants: &[OperatorGrant]) -> anyhow::Result<Vec<IntegrationId>> {
    let mut owners: Vec<IntegrationId> = grants.iter().filter_map(|grant| grant.integration.clone()).collect();
    owners.sort();
    owners.dedup();
    if owners.is_empty() || grants.iter().any(|grant| grant.integration.is_none()) {
        owners.push(ANY.parse().context("a name for any integration")?);
    }
    Ok(owners)
}

/// As if it asked for everything granted.
fn as_granted(id: IntegrationId, args: &EgressCheckArgs) -> ClientOptions {
    let grants = args.grants.allow_http.iter().filter(|grant| grant.is_for(&id));
    let grants = grants.map(|grant| grant.grant.clone().into()).collect();
    ClientOptions { grants, ..ClientOptions::new(Owner::Integration(id)) }
}

fn answer(owner: String, checked: Result<bg_egress::Verdict, EgressError>) -> Answer {
    match checked {
        Ok(verdict) => Answer {
            owner,
            allowed: true,
            rule: verdict.rule,
            reason: None,
            option: None,
            credential: verdict.credential.map(|credential| credential.to_string()),
            withheld_secrets: Vec::new(),
        },
        Err(error) => {
            // A grant to any integration is written without a name.
            let option = error.option().map(|option| option.replacen(&format!("{ANY}="), "", 1));
            let (rule, reason) = match &error {
                EgressError::Denied { rule, message, .. } => (rule.to_string(), message.clone()),
                EgressError::Address { what, .. } => ((*what).to_owned(), error.to_string()),
                other => (other.kind().to_owned(), other.to_string()),
            };
            Answer {
                owner,
                allowed: false,
                rule,
                reason: Some(reason),
                option,
                credential: None,
                withheld_secrets: Vec::new(),
            }
        }
    }
}

fn show(answer: &Answer, method: &Method, url: &str) -> std::io::Result<()> {
    let Answer { owner, allowed, rule, reason, option, credential, withheld_secrets } = answer;
    let decision = if *allowed { "allowed" } else { "denied" };
    output::line(format_args!("{decision}  {method} {} for {owner}", output::printable(url)))?;
    let part = |name: &str, text: &str| output::line(format_args!("  {name:<11} {}", output::printable(text)));
    part("rule", rule)?;
    if let Some(reason) = reason {
        part("why", reason)?;
        part("to allow it", option.as_deref().unwrap_or("no option allows it"))?;
    } else {
        if let Some(credential) = credential {
            let text = format!(
                "the host adds {credential} of the charm that the request names, if the charm belongs \
                to the integration"
            );
            part("credential", &text)?;
        }
        for path in withheld_secrets {
            let text = format!(
                "a request that carries a charm's {path} is denied: it is bound to other origins (--charm-credential)"
            );
            part("secret", &text)?;
        }
        part("not checked", "the addresses of its name, which is only looked up when a request is sent")?;
    }
    Ok(())
}
