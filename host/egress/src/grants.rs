//! Whether a grant covers a request, and which option would.

use bg_manifest::{
    AskedHttp, Credential, EffectiveGrant, HostPattern, HttpGrant, Methods, Mismatch, OperatorGrant,
    command_line_option, find_grant,
};
use http::{HeaderName, Method};

use crate::audit::Decision;
use crate::error::{EgressError, Rule};
use crate::shared::{Mode, Shared};
use crate::target::Target;
use crate::{Owner, route};

/// What is known of a request that may be sent.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) decision: Decision,
    /// The grant that covers it, or why none does.
    pub(crate) rule: String,
    /// The option that would cover it, if no grant does.
    pub(crate) option: Option<String>,
    pub(crate) credential: Option<Credential>,
    /// Whether the operator named this very host. The operator names few hosts, but a guest can invent any number of
    /// names under a wildcard.
    pub(crate) is_named: bool,
}

/// What one owner asks for and may do.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) owner: Owner,
    pub(crate) grants: Vec<EffectiveGrant>,
    pub(crate) asked: Option<Vec<AskedHttp>>,
}

impl Granted {
    /// Finds the grant that covers a request. Without one the request is denied, or allowed if the gate only reports.
    pub(crate) fn admit(&self, gate: &Shared, method: &Method, target: &Target) -> Result<Admitted, EgressError> {
        let Self { owner, grants, .. } = self;
        // A tunnel bypasses all checks, and TRACE would show the guest the credential that we attach.
        if Methods::never_allow(method) {
            let message = format!("{owner} may not send {method} requests; nobody may");
            return Err(EgressError::Denied { rule: Rule::Method, message, option: None });
        }
        let mismatch = match find_grant(grants, method, target.url()) {
            Ok(found) => {
                return Ok(Admitted {
                    decision: Decision::Allowed,
                    rule: found.grant.to_string(),
                    option: None,
                    credential: found.credential.clone(),
                    is_named: matches!(found.grant.host(), HostPattern::Exact(_)),
                });
            }
            Err(Mismatch::Url(error)) => return Err(EgressError::Request(error.to_string())),
            Err(mismatch) => mismatch,
        };
        let (option, never) = match (route::check_known(gate, target), self.option(method, target)) {
            (Err(closed), _) if closed.option().is_none() => (None, format!("; no option allows it: {closed}")),
            (_, None) => (None, ", and its manifest does not ask for it".to_owned()),
            (Ok(()), granting) => (granting, String::new()),
            // The address needs a separate option.
            (Err(private), Some(granting)) => {
                (Some([&granting, private.option().unwrap_or_default()].join(" ")), String::new())
            }
        };
        match gate.mode {
            Mode::Report => Ok(Admitted {
                decision: Decision::WouldDeny,
                rule: format!("{mismatch}{never}"),
                option,
                credential: None,
                is_named: false,
            }),
            Mode::Enforce => Err(EgressError::Denied {
                rule: Rule::Grant,
                message: format!("{owner} may not send {} {}: {mismatch}{never}", shown(method), shown_target(target)),
                option,
            }),
        }
    }

    /// The headers in which the host attaches credentials anywhere at the target's origin.
    pub(crate) fn headers_attached_at(&self, target: &Target) -> Vec<HeaderName> {
        let there = self.grants.iter().filter(|effective| effective.grant.matches_origin(target.url()));
        there.filter_map(|effective| Some(effective.credential.as_ref()?.scheme.header())).collect()
    }

    /// The option that would grant a request, with everything that the manifest asks for with it; if the manifest is
    /// not known, with everything in the same folder of the URL. `None` if an option would not help because the
    /// manifest does not ask for it.
    fn option(&self, method: &Method, target: &Target) -> Option<String> {
        let grant = match &self.asked {
            Some(asked) => {
                let asked = asked.iter().find(|asked| asked.grant.matches(method, target.url()).is_ok())?;
                asked.grant.clone().with_methods(Methods::ANY)
            }
            None => folder(method, target),
        };
        Some(match &self.owner {
            Owner::Integration(id) => {
                let grant = OperatorGrant { integration: Some(id.clone()), grant };
                command_line_option("--allow-http", &grant.to_string())
            }
            Owner::Charms => command_line_option("--allow-charm-http", &grant.to_string()),
        })
    }
}

/// The path up to its last slash, since the last part may be an ID. The whole origin, if that is not a path that can be
/// granted, or if the last part is ambiguous.
fn folder(method: &Method, target: &Target) -> HttpGrant {
    let path = target.shown_path().unwrap_or("/");
    let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
    let grant = format!("{}{folder}", target.origin()).parse().ok();
    grant
        .filter(|grant: &HttpGrant| grant.matches(method, target.url()).is_ok())
        .unwrap_or_else(|| HttpGrant::from(target.origin().clone()))
}

/// The URL without its query, cut to a line or two.
fn shown_target(target: &Target) -> String {
    const CHARS: usize = 200;
    let path = target.shown_path().unwrap_or("/(secret)");
    match path.get(..CHARS) {
        Some(start) if path.len() > CHARS => format!("{}{start}…", target.origin()),
        _ => format!("{}{path}", target.origin()),
    }
}

fn shown(method: &Method) -> &str {
    method.as_str().get(..32).unwrap_or(method.as_str())
}
