// `commonfabric/cfc`: atoms, patterns and rules of contextual flow control. They are data here: what marks a value as
// secret are the types of a charm, and no rule is ever evaluated.

const atomTypes = (names) => Object.freeze(Object.fromEntries(names.map((name) => [name, `https://commonfabric.org/cfc/atom/${name}`])));
const CFC_ATOM_TYPE = atomTypes([
  "BoundaryContext", "Builtin", "Caveat", "CaveatAssessment", "CaveatScreened", "Concept", "Context", "DisclaimerAttached", "DisclosureAcknowledged",
  "DisclosureRendered", "Expires", "ExternalIngest", "HasRole", "InjectionSafe", "LinkReference", "LlmDerived", "Origin", "Policy", "PolicyCertified",
  "PersonalSpace", "PromptSlotBound", "PromptSlotInfluence", "Resource", "Space", "TransformedBy", "User", "UserSurfaceInput",
]);
const CFC_RUNTIME_SUBJECT = "did:web:commonfabric.org#runtime";
const CFC_CONCEPT_KIND = Object.freeze({
  PromptInfluence: "https://commonfabric.org/cfc/concepts/prompt-influence",
  PromptInjectionRiskIngressScreened: "https://commonfabric.org/cfc/concepts/prompt-injection-risk-ingress-screened",
  PromptInjectionRiskUnscreened: "https://commonfabric.org/cfc/concepts/prompt-injection-risk-unscreened",
  PromptInjectionRiskValueScreened: "https://commonfabric.org/cfc/concepts/prompt-injection-risk-value-screened",
});
const CFC_FUSE_ATOM_CLASS = Object.freeze({
  ProjectionMetadataIncomplete: "CommonFabricFuseProjectionMetadataIncomplete",
  SymlinkTarget: "CommonFabricFuseSymlinkTarget",
  TopologyObservation: "FilesystemTopologyObservation",
});

function freezeAll(value) {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(freezeAll);
  return Object.freeze(value);
}

// An atom of what is given; what is not given is not in it.
const atom = (type, fields) => ({ type: CFC_ATOM_TYPE[type], ...Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) });
const cfcAtom = Object.freeze({
  resource: (className, subject = CFC_RUNTIME_SUBJECT, scope = undefined) => atom("Resource", { class: className, subject, scope }),
  caveat: (kind, source, by) => atom("Caveat", { kind, source, by }),
  builtin: (name) => atom("Builtin", { name }),
  injectionSafe: () => atom("InjectionSafe", {}),
  llmDerived: (model) => atom("LlmDerived", { model }),
  userSurfaceInput: (user, surface, valueDigest) => atom("UserSurfaceInput", { user, surface, valueDigest }),
  externalIngest: (channel, audience, receivedAt, valueDigest) => atom("ExternalIngest", { channel, audience, receivedAt, valueDigest }),
  externalFetchIngest: (pinnedSource, receivedAt, valueDigest) => atom("ExternalIngest", { kind: "fetch", pinnedSource, receivedAt, valueDigest }),
  promptSlotBound: (source, role, kernelName, subject, surface, valueDigest) => atom("PromptSlotBound", { source, role, kernelName, subject, surface, valueDigest }),
  user: (subject) => atom("User", { subject }),
  policyRef: (name, subject, hash) => atom("Policy", { name, subject, hash }),
  contextRef: (name, subject, hash) => atom("Context", { name, subject, hash }),
  modulePolicyRef: (moduleIdentity, symbol, policyDigest, subject) => atom("Policy", { policyRefKind: "module", moduleIdentity, symbol, policyDigest, subject }),
  space: (id) => atom("Space", { id }),
  personalSpace: (owner) => atom("PersonalSpace", { owner }),
  expires: (timestamp) => atom("Expires", { timestamp }),
  hasRole: (principal, space, role) => atom("HasRole", { principal, space, role }),
  boundaryContext: (key, value, ref) => atom("BoundaryContext", { key, value, ref }),
  caveatScreened: (fields) => atom("CaveatScreened", fields),
  disclosureRendered: (fields) => atom("DisclosureRendered", fields),
  disclosureAcknowledged: (fields) => atom("DisclosureAcknowledged", fields),
  disclaimerAttached: (fields) => atom("DisclaimerAttached", fields),
  caveatAssessment: (fields) => atom("CaveatAssessment", fields),
  concept: (uri) => atom("Concept", { uri }),
});

// What stands for any text of one rule.
function cfcVariable(name) {
  if (name === "") throw new TypeError("v() needs a name");
  return Object.freeze({ var: name });
}
const THIS_POLICY = { thisPolicy: true };
for (const field of ["subject", "moduleIdentity"]) Object.defineProperty(THIS_POLICY, field, { value: Object.freeze({ thisPolicyField: field }) });
Object.freeze(THIS_POLICY);
const cfcPattern = Object.freeze({
  user: (subject) => freezeAll(atom("User", { subject })),
  hasRole: (principal, space, role) => freezeAll(atom("HasRole", { principal, space, role })),
});
const exchangeRule = (rule) => freezeAll(rule);
const exchangeRules = (rules) => freezeAll([...rules]);
