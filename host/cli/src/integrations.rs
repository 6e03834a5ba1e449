//! The integrations of a run: their components, what each asks for, and what it gets.

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bg_charm_api::wire::{AskedView, IntegrationView};
use bg_egress::{ClientOptions, Gate, HttpLimits, Owner};
use bg_identity::IntegrationId;
use bg_manifest::{About, AskedHttp, EffectiveGrant, Manifest, OperatorGrant, Withheld, effective, granted_as_asked};
use bg_poller::{Cause, CharmRuntime, Integration, IntegrationState, UnixMillis};
use bg_sandbox::{
    CharmCredentials, ComponentInfo, IntegrationComponent, IntegrationSetup, LoadedComponent, Origin, Registrations,
    Sandbox, World,
};
use tokio::sync::oneshot;

use crate::args::{GrantAll, GrantArgs, Pin};
use crate::pins;
use crate::{output, paths, progress};

/// A loaded component, and the operator's decisions about it.
pub(crate) struct Loaded {
    path: PathBuf,
    component: Arc<LoadedComponent>,
    plan: Plan,
}

/// An integration's name, its configuration, what it asks for, and what it gets.
pub(crate) struct Plan {
    pub(crate) manifest: Manifest,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) asked: Vec<AskedHttp>,
    pub(crate) granted: Vec<EffectiveGrant>,
    pub(crate) withheld: Vec<Withheld>,
}

/// The manifest file of a component without an embedded one.
pub(crate) fn manifest_beside(component: &Path) -> PathBuf {
    component.with_file_name("integration.toml")
}

/// A component's manifest: the embedded one, or else the `integration.toml` next to it.
fn manifest(path: &Path, info: &ComponentInfo) -> anyhow::Result<Manifest> {
    if let Some(manifest) = &info.manifest {
        return Ok(manifest.clone());
    }
    let beside = manifest_beside(path);
    if !beside.is_file() {
        bail!(
            "{} has no manifest; build it with `build-integrations`, or put its integration.toml next to it",
            path.display()
        );
    }
    let text = String::from_utf8(paths::read(&beside, "the manifest")?).context("the manifest is not UTF-8")?;
    Manifest::parse(&text).with_context(|| format!("cannot use {}", beside.display()))
}

impl Plan {
    /// What the integration of that component would get.
    pub(crate) fn new(path: &Path, info: &ComponentInfo, grants: &GrantArgs) -> anyhow::Result<Self> {
        Self::of(manifest(path, info)?, grants)
    }

    /// What the integration with that manifest would get.
    fn of(manifest: Manifest, grants: &GrantArgs) -> anyhow::Result<Self> {
        let id = &manifest.integration.id;
        let settings = grants.set.iter().filter(|setting| setting.integration == *id);
        let config: BTreeMap<_, _> = settings.map(|setting| (setting.key.clone(), setting.value.clone())).collect();
        let asked =
            manifest.asked(&config).with_context(|| format!("the configuration of {id} (--set {id}.KEY=VALUE)"))?;
        let (granted, withheld) = match grants.grant {
            Some(GrantAll::Requested) => (granted_as_asked(&asked), Vec::new()),
            None => effective(id, &asked, &grants.allow_http),
        };
        Ok(Self { manifest, config, asked, granted, withheld })
    }

    pub(crate) fn id(&self) -> &IntegrationId {
        &self.manifest.integration.id
    }

    /// Asks on the terminal for what is withheld, in a separate thread that nothing waits for: reading from a terminal
    /// cannot be cancelled, and the program must still end at the first Ctrl-C.
    async fn ask(&mut self) -> anyhow::Result<()> {
        let (id, withheld) = (self.id().clone(), std::mem::take(&mut self.withheld));
        if withheld.is_empty() {
            return Ok(());
        }
        let (sender, answers) = oneshot::channel();
        // Standard error is not locked meanwhile, since the log uses it, too.
        std::thread::spawn(move || {
            sender.send(Answers::ask(&id, withheld, &mut io::stdin().lock(), &mut io::stderr()))
        });
        self.take_in(answers.await.context("could not ask for grants")??);
        Ok(())
    }

    fn take_in(&mut self, answers: Answers) {
        self.granted.extend(answers.granted);
        self.withheld.extend(answers.withheld);
    }
}

/// The decisions of a person at a terminal.
#[derive(Default)]
struct Answers {
    granted: Vec<EffectiveGrant>,
    withheld: Vec<Withheld>,
}

impl Answers {
    fn ask(
        id: &IntegrationId,
        all: Vec<Withheld>,
        input: &mut impl BufRead,
        terminal: &mut impl io::Write,
    ) -> io::Result<Self> {
        let mut answers = Self::default();
        for withheld in all {
            let asked = &withheld.asked;
            let reason = output::printable(&asked.reason);
            writeln!(terminal, "{id} asks for HTTP: {}", output::printable(&asked.grant.to_string()))?;
            if !reason.is_empty() {
                writeln!(terminal, "    {reason}")?;
            }
            if let Some(credential) = &asked.credential {
                writeln!(
                    terminal,
                    "    The host adds each charm's secret ({}); the integration never sees it.",
                    output::printable(&credential.to_string())
                )?;
            }
            write!(
                terminal,
                "Grant it for this run? (To grant it permanently: {}) [y/N] ",
                output::printable(&withheld.option)
            )?;
            terminal.flush()?;
            let mut answer = String::new();
            input.read_line(&mut answer)?;
            if matches!(answer.trim(), "y" | "Y" | "yes" | "Yes") {
                answers.granted.extend(granted_as_asked(std::slice::from_ref(asked)));
            } else {
                answers.withheld.push(withheld);
            }
        }
        Ok(answers)
    }
}

/// Loads the components, and decides what each gets: by the options, or by the operator's answers on a terminal. What
/// is withheld is logged once, with the option that would grant it.
pub(crate) async fn load(
    sandbox: &Sandbox,
    paths: &[PathBuf],
    grants: &GrantArgs,
    pins: &[Pin],
) -> anyhow::Result<Vec<Loaded>> {
    let mut loaded = load_unsettled(sandbox, paths, grants, pins).await?;
    for Loaded { plan, .. } in &mut loaded {
        if io::stdin().is_terminal() && io::stderr().is_terminal() {
            plan.ask().await?;
        }
        for withheld in &plan.withheld {
            tracing::warn!(
                integration = %plan.id(), cause = Cause::NotGranted.as_str(), fix = bg_poller::allowing(&withheld.option),
                "{} asks for HTTP that is not granted: {}; to grant it: {}",
                plan.id(),
                withheld.asked.grant,
                withheld.option
            );
        }
    }
    let plans: Vec<&Plan> = loaded.iter().map(|loaded| &loaded.plan).collect();
    for grant in idle_grants(&plans, &grants.allow_http) {
        tracing::warn!("--allow-http {grant} has no effect: no component asks for anything there");
    }
    Ok(loaded)
}

/// Loads the components, and refuses mistakes in them or in the options for them. Asks and logs nothing.
pub(crate) async fn load_unsettled(
    sandbox: &Sandbox,
    paths: &[PathBuf],
    grants: &GrantArgs,
    pins: &[Pin],
) -> anyhow::Result<Vec<Loaded>> {
    let unusable = |path: &Path| format!("cannot use the component {}", path.display());
    // Mistakes in files or options are reported before any component is compiled. Each file is read once: the checked
    // bytes are the compiled ones.
    let mut checked = Vec::new();
    for path in paths {
        let bytes: Arc<[u8]> = paths::read_component(path, sandbox.limits().component_bytes)?.into();
        let inspected = progress::show("checking", path, sandbox.inspect(bytes.clone())).await;
        let info = inspected.with_context(|| unusable(path))?;
        World::Integration.check(&info).with_context(|| unusable(path))?;
        let plan = Plan::new(path, &info, grants)?;
        checked.push((path, bytes, plan, info.sha256));
    }
    let plans: Vec<(&Path, &Plan)> = checked.iter().map(|(path, _, plan, _)| (path.as_path(), plan)).collect();
    refuse_mistakes(&plans, grants)?;
    let digests: Vec<_> =
        checked.iter().map(|(path, _, plan, sha256)| (path.as_path(), plan.id(), sha256.as_str())).collect();
    pins::check(pins, &digests)?;

    let mut loaded: Vec<Loaded> = Vec::new();
    for (path, bytes, plan, _) in checked {
        let load = progress::load(sandbox, path, bytes, World::Integration);
        let component = load.await.with_context(|| unusable(path))?;
        loaded.push(Loaded { path: path.clone(), component, plan });
    }
    Ok(loaded)
}

/// Loads a component whose file has changed, if its pins allow it. Asks nothing: of what it asks for, it gets what was
/// granted at the start, by an option or by an answer.
pub(crate) async fn load_changed(
    sandbox: &Sandbox,
    before: &Followed,
    component: Vec<u8>,
    manifest_text: Option<String>,
    grants: &GrantArgs,
    pins: &[Pin],
) -> anyhow::Result<Loaded> {
    let Followed { path, manifest: Manifest { integration, .. }, .. } = before;
    let bytes: Arc<[u8]> = component.into();
    let info = sandbox.inspect(bytes.clone()).await?;
    World::Integration.check(&info)?;
    let manifest = match (&info.manifest, manifest_text) {
        (Some(manifest), _) => manifest.clone(),
        (None, Some(text)) => Manifest::parse(&text).context("its integration.toml")?,
        (None, None) => bail!("it has no manifest"),
    };
    let mut plan = Plan::of(manifest, grants)?;
    anyhow::ensure!(
        *plan.id() == integration.id,
        "it is now the integration {}; restart the service to use it",
        plan.id()
    );
    pins::check_one(pins, path, plan.id(), &info.sha256)?;
    let had = |new: &EffectiveGrant| {
        let covers = |old: &EffectiveGrant| {
            old.grant.covers(&new.grant) && (new.credential.is_none() || new.credential == old.credential)
        };
        before.granted.iter().any(covers)
    };
    let (mut granted, more): (Vec<_>, Vec<_>) = plan.granted.into_iter().partition(had);
    let (answered, withheld): (Vec<_>, Vec<_>) = plan
        .withheld
        .into_iter()
        .partition(|withheld| granted_as_asked(std::slice::from_ref(&withheld.asked)).iter().all(had));
    granted.extend(answered.iter().flat_map(|withheld| granted_as_asked(std::slice::from_ref(&withheld.asked))));
    (plan.granted, plan.withheld) = (granted, withheld);
    for grant in more.iter().map(|more| &more.grant).chain(plan.withheld.iter().map(|withheld| &withheld.asked.grant)) {
        tracing::warn!(
            integration = %integration.id, cause = Cause::NotGranted.as_str(),
            fix = "restart the service, with the option that grants it, if you want to allow it",
            "{} asks for more than the previous version; restart the service to grant it: {grant}", integration.id
        );
    }
    let component = progress::load(sandbox, path, bytes, World::Integration).await?;
    Ok(Loaded { path: path.clone(), component, plan })
}

/// What is known of a running component, for when its file changes; `granted` is what was granted at the start.
pub(crate) struct Followed {
    pub(crate) path: PathBuf,
    pub(crate) sha256: String,
    pub(crate) manifest: Manifest,
    pub(crate) granted: Vec<EffectiveGrant>,
}

/// Refuses two components of one integration, and options for integrations without a component.
pub(crate) fn refuse_mistakes(plans: &[(&Path, &Plan)], grants: &GrantArgs) -> anyhow::Result<()> {
    for (place, (path, plan)) in plans.iter().enumerate() {
        if let Some((other, _)) = plans[..place].iter().find(|(_, other)| other.id() == plan.id()) {
            bail!(
                "{} and {} are both the integration {}; an integration has one component",
                other.display(),
                path.display(),
                plan.id()
            );
        }
    }
    let known = |id: &IntegrationId| plans.iter().any(|(_, plan)| plan.id() == id);
    if let Some(setting) = grants.set.iter().find(|setting| !known(&setting.integration)) {
        bail!(
            "--set {}.{}: there is no component of that name; {}",
            setting.integration,
            setting.key,
            there_are(plans)
        );
    }
    let stray = |grant: &&OperatorGrant| grant.integration.as_ref().is_some_and(|id| !known(id));
    if let Some(grant) = grants.allow_http.iter().find(stray) {
        bail!("--allow-http {grant}: there is no component of that name; {}", there_are(plans));
    }
    Ok(())
}

fn there_are(plans: &[(&Path, &Plan)]) -> String {
    if plans.is_empty() {
        return "none is given with --component".to_owned();
    }
    let names: Vec<_> = plans.iter().map(|(_, plan)| plan.id().to_string()).collect();
    format!("there are: {}", names.join(", "))
}

/// Grants that no integration asks for: probably a mistake.
pub(crate) fn idle_grants<'a>(plans: &[&Plan], grants: &'a [OperatorGrant]) -> Vec<&'a OperatorGrant> {
    let serves = |grant: &OperatorGrant, plan: &Plan| {
        grant.is_for(plan.id()) && plan.asked.iter().any(|asked| grant.grant.intersection(&asked.grant).is_some())
    };
    grants.iter().filter(|grant| !plans.iter().any(|plan| serves(grant, plan))).collect()
}

impl Loaded {
    /// Links the component with what it may access.
    pub(crate) fn link(
        self,
        sandbox: &Sandbox,
        gate: &Gate,
        limits: &HttpLimits,
        runtime: Arc<dyn CharmRuntime>,
        state: Arc<dyn IntegrationState>,
    ) -> anyhow::Result<Arc<dyn Integration>> {
        let Self { path, component, plan } = self;
        let Plan { manifest, config, asked, granted, .. } = plan;
        let id = manifest.integration.id.clone();
        let registrations = Registrations::new(id.clone(), runtime);
        let http = gate.client(ClientOptions {
            grants: granted,
            asked: Some(asked),
            credentials: Some(Arc::new(CharmCredentials::new(registrations.clone()))),
            limits: limits.clone(),
            ..ClientOptions::new(Owner::Integration(id.clone()))
        })?;
        let setup = IntegrationSetup { manifest, config, registrations, state, http };
        let integration = IntegrationComponent::new(sandbox, &component, setup);
        let integration = integration.with_context(|| format!("cannot use the component {}", path.display()))?;
        let compiled_ms = match component.origin() {
            Origin::Compiled(time) => Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            Origin::Cached => None,
        };
        tracing::info!(integration = %id, sha256 = component.info().sha256, compiled_ms, "loaded {}", path.display());
        Ok(Arc::new(integration))
    }

    /// What is known of it, for when its file changes.
    pub(crate) fn followed(&self) -> Followed {
        Followed {
            path: self.path.clone(),
            sha256: self.component.info().sha256.clone(),
            manifest: self.plan.manifest.clone(),
            granted: self.plan.granted.clone(),
        }
    }

    /// Its description for the admin page.
    pub(crate) fn view(&self) -> IntegrationView {
        let Plan { manifest, config, asked, withheld, .. } = &self.plan;
        let defaults = manifest.config.iter().filter_map(|(key, value)| Some((key.clone(), value.default.clone()?)));
        let mut effective: BTreeMap<String, String> = defaults.collect();
        effective.extend(config.clone());
        let About { id, name, version, description, authors, license, .. } = manifest.integration.clone();
        let asked = asked.iter().map(|asked| {
            let missing: Vec<_> = withheld.iter().filter(|withheld| withheld.asked == *asked).collect();
            AskedView {
                grant: asked.grant.to_string(),
                credential: asked.credential.as_ref().map(ToString::to_string),
                reason: asked.reason.clone(),
                partly_granted: missing.iter().any(|withheld| withheld.partly_granted),
                options: missing.into_iter().map(|withheld| withheld.option.clone()).collect(),
            }
        });
        IntegrationView {
            id,
            name,
            version,
            description,
            authors,
            license,
            file: self.path.display().to_string(),
            sha256: self.component.info().sha256.clone(),
            loaded_at: UnixMillis::now(),
            asked: asked.collect(),
            config: effective,
        }
    }

    pub(crate) fn id(&self) -> &IntegrationId {
        self.plan.id()
    }

    /// What its manifest asks for, which determines where secrets of its charms may go.
    pub(crate) fn asked(&self) -> &[AskedHttp] {
        &self.plan.asked
    }

    /// Whether its code came from the cache.
    pub(crate) fn is_from_cache(&self) -> bool {
        matches!(self.component.origin(), Origin::Cached)
    }

    /// How often it asks to be polled, if it does.
    pub(crate) fn interval(&self) -> Option<(IntegrationId, std::time::Duration)> {
        let about = &self.plan.manifest.integration;
        about.interval.map(|interval| (about.id.clone(), interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        [integration]
        id = "mail"
        name = "Mail"
        version = "0.1.0"
        description = "Mail."
        authors = ["Somebody"]
        license = "Apache-2.0"
        [[http]]
        url = "https://mail.example/v1/"
        credential = "charm.auth.token"
        reason = "To ask for mail."
    "#;

    fn plan() -> Plan {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let asked = manifest.asked(&BTreeMap::new()).unwrap();
        let (granted, withheld) = effective(&manifest.integration.id, &asked, &[]);
        Plan { manifest, config: BTreeMap::new(), asked, granted, withheld }
    }

    #[test]
    fn a_grant_that_no_integration_asks_for_is_found() {
        let plan = plan();
        for (grant, idle) in [
            ("https://mail.example/v1/", false),
            ("mail=GET https://mail.example/", false),
            ("https://mail.example/v1/inbox", false),
            ("https://mail.example/v2/", true),
            ("http://mail.example/v1/", true),
            ("POST https://mail.example/v1/", true),
            ("https://mial.example/v1/", true),
            ("other=https://mail.example/v1/", true),
        ] {
            let grants = [grant.parse().unwrap()];
            assert_eq!(idle_grants(&[&plan], &grants).len(), usize::from(idle), "{grant}");
        }
        assert_eq!(idle_grants(&[], &["https://mail.example/".parse().unwrap()]).len(), 1);
    }

    #[test]
    fn on_a_terminal_only_a_yes_grants() {
        for (answer, granted) in
            [("y\n", true), ("yes\n", true), ("\n", false), ("n\n", false), ("", false), ("yep\n", false)]
        {
            let mut plan = plan();
            let mut shown = Vec::new();
            let (id, withheld) = (plan.id().clone(), std::mem::take(&mut plan.withheld));
            plan.take_in(Answers::ask(&id, withheld, &mut answer.as_bytes(), &mut shown).unwrap());
            assert_eq!((plan.granted.len(), plan.withheld.len()), if granted { (1, 0) } else { (0, 1) }, "{answer:?}");
            let shown = String::from_utf8(shown).unwrap();
            for part in ["https://mail.example/v1/", "To ask for mail.", "charm.auth.token", "--allow-http mail=https"]
            {
                assert!(shown.contains(part), "{part}: {shown}");
            }
        }
    }
}
