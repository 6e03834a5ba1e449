// What schemas say: defaults, which parts are cells, and what is secret.

// Labels of the original's that say that everybody may know. Any other makes a secret.
const PUBLIC = ["public", "unclassified"];

// What is secret by its name below a cell of a sign-in, at any depth: keys, without `_`, `-` and capitals. The host has
// the same table, in `host/charm-runtime/src/secret_names.rs`, where the rule is written out.
const SECRET_KEYS = [
  "accesskey", "accesstoken", "apikey", "apisecret", "apitoken", "authorization", "authtoken", "bearertoken", "clientsecret",
  "codeverifier", "cookie", "devicecode", "idtoken", "jwt", "oauthtoken", "passphrase", "passwd", "password", "privatekey",
  "refreshtoken", "secret", "secretkey", "secrets", "sessiontoken", "token", "tokens"
];

// In the path of a secret, beside keys: any key; any number of keys; a key that names a secret.
const [ANY, DEEP, NAMED] = ["*", "**", "<secret>"];

const isSignIn = (name) => /[aA][uU][tT](?:[hH](?![A-Za-z])|h(?=[A-Z]))/.test(String(name).split("#", 1)[0]);
const namesSecret = (key) => SECRET_KEYS.includes(String(key).replace(/[_-]/g, "").toLowerCase());

// Schemas within a schema: of parts of its values, and of the values themselves.
const WITHIN = ["additionalProperties", "unevaluatedProperties", "items", "additionalItems", "unevaluatedItems", "prefixItems", "contains"];
const SAME = ["anyOf", "oneOf", "allOf", "not", "if", "then", "else"];
const DEPENDENT = ["dependentSchemas", "dependencies"];

// Whether the charm is being set up. Its schemas are the same in every later call, and are checked only then.
let isSetup = false;

// Schemas come from the transpiler, or from the author; of the latter not everything is understood.
function checkSchema(schema, depth = 0) {
  if (!isSetup || schema === null || typeof schema !== "object") return;
  if (depth > 100) throw new TypeError("a schema is nested too deeply, or contains itself");
  if ("$ref" in schema) throw new TypeError('schemas with "$ref" are not supported; write the schema out');
  for (const key of ["properties", "$defs", "patternProperties", ...DEPENDENT]) {
    for (const part of Object.values(schema[key] ?? {})) checkSchema(part, depth + 1);
  }
  for (const key of [...WITHIN, ...SAME]) for (const part of [schema[key]].flat()) checkSchema(part, depth + 1);
}

// Whether a schema says nothing about its values.
function isOpen(schema) {
  return schema === undefined || schema === true ||
    (typeof schema === "object" && schema !== null && Object.keys(schema).length === 0);
}

// Whether a schema marks its values: with any label that is not public, in any form.
function isSecret(schema) {
  const { classification, confidentiality } = schema?.ifc ?? {};
  return [classification, confidentiality].some((labels) => [labels ?? []].flat().some((label) => !PUBLIC.includes(label)));
}

function partsOf(schema) {
  return [schema, ...(schema?.anyOf ?? []), ...(schema?.oneOf ?? []), ...(schema?.allOf ?? [])];
}

// The schema of what is at `key` of a value.
function schemaAt(schema, key) {
  if (isSecret(schema)) return { ifc: schema.ifc };
  if (typeof key === "number") {
    for (const part of partsOf(schema)) if (part?.prefixItems?.[key] !== undefined) return part.prefixItems[key];
  }
  for (const part of partsOf(schema)) {
    const found = (part?.properties && Object.hasOwn(part.properties, key)) ? part.properties[key] : undefined;
    if (found !== undefined) return found;
  }
  for (const part of partsOf(schema)) {
    const found = part?.additionalProperties ?? part?.items;
    if (found !== undefined && typeof found === "object") return found;
  }
  return undefined;
}

// Calls `found` with the path of each secret within a value of that schema.
function secretsIn(schema, path, found) {
  if (schema === null || typeof schema !== "object") return;
  if (isSecret(schema)) return found(path);
  for (const [key, part] of Object.entries(schema.properties ?? {})) secretsIn(part, [...path, key], found);
  for (const key of WITHIN) for (const part of [schema[key] ?? []].flat()) secretsIn(part, [...path, ANY], found);
  for (const part of Object.values(schema.patternProperties ?? {})) secretsIn(part, [...path, ANY], found);
  for (const key of SAME) for (const part of [schema[key] ?? []].flat()) secretsIn(part, path, found);
  for (const key of DEPENDENT) for (const part of Object.values(schema[key] ?? {})) secretsIn(part, path, found);
}

// What of a secret's path is left behind `path`, in one or several ways: nothing if the secret is there, or above; none
// if it is not below.
function restsOf(secret, path) {
  let places = new Set([0]);
  for (const key of path) {
    if (isMet(secret, places)) return [[]];
    const next = new Set();
    for (const place of places) advance(secret, place, String(key), next);
    places = next;
  }
  return isMet(secret, places) ? [[]] : [...places].map((place) => secret.slice(place));
}

const isMet = (secret, places) => [...places].some((place) => secret.slice(place).every((step) => step === DEEP));

function advance(secret, place, key, next) {
  const step = secret[place];
  if (step === DEEP) {
    next.add(place);
    advance(secret, place + 1, key, next);
  } else if (step === ANY || (step === NAMED ? namesSecret(key) : step !== undefined && String(step) === key)) {
    next.add(place + 1);
  }
}

// Whether values of that schema may have something within them that is secret by its name.
function mayHaveNamed(schema) {
  if (isOpen(schema)) return true;
  if (!isObject(schema)) return false;
  const [types, parts] = [[schema.type ?? []].flat(), partsOf(schema).slice(1)];
  if (parts.some(mayHaveNamed)) return true;
  if (types.length === 0 && schema.properties === undefined) {
    if (parts.length > 0 || schema.enum !== undefined) return false;
    const example = schema.const ?? schema.default;
    return example === undefined || isObject(example);
  }
  const items = [schema.prefixItems ?? [], schema.items ?? schema.prefixItems ?? {}].flat();
  if (types.includes("array") && items.some(mayHaveNamed)) return true;
  const own = Object.entries(schema.properties ?? {});
  if (own.some(([key, part]) => namesSecret(key) || mayHaveNamed(part))) return true;
  if (schema.properties !== undefined && schema.additionalProperties === undefined) return false;
  return types.includes("object") && mayHaveNamed(schema.additionalProperties);
}

// `value`, with the defaults of `schema` where it has nothing.
function withDefaults(value, schema) {
  if (schema === null || typeof schema !== "object" || isCell(value)) return value;
  if (value === undefined && schema.default !== undefined) value = copy(schema.default);
  if (value === undefined) {
    if (schema.properties === undefined) return undefined;
    const made = withDefaults({}, schema);
    return Object.keys(made).length > 0 ? made : undefined;
  }
  if (schema.properties !== undefined && value !== null && typeof value === "object" && !Array.isArray(value)) {
    for (const [key, part] of Object.entries(schema.properties)) {
      const filled = withDefaults(Object.hasOwn(value, key) ? value[key] : undefined, part);
      if (filled !== undefined) value[key] = filled;
    }
  }
  return value;
}

// What is within a schema: schemas of parts of its values, and of the values themselves.
function within(schema) {
  const { properties, prefixItems, items, additionalProperties } = schema;
  return [...Object.values(properties ?? {}), ...(prefixItems ?? []), items, additionalProperties, ...partsOf(schema).slice(1)];
}

// Whether something holds for what is within a schema, at any depth. Schemas are the same all through a call.
function withinAny(holds) {
  const known = new WeakMap();
  return function any(schema) {
    if (!isObject(schema)) return false;
    let answer = known.get(schema);
    if (answer === undefined) {
      answer = within(schema).some((part) => isObject(part) && (holds(part) || any(part)));
      known.set(schema, answer);
    }
    return answer;
  };
}

const isMarked = (schema) => schema.asCell === true || schema.asStream === true;

// Whether a value of that schema has cells or streams within it.
const wantsCellsWithin = withinAny(isMarked);
const wantsCells = (schema) => isObject(schema) && (isMarked(schema) || wantsCellsWithin(schema));

const hasDefaultWithin = withinAny((schema) => schema.default !== undefined);
const isList = (schema) => schema.type === "array";

// Whether a schema fills in what is missing of a value.
const fills = (schema) => isObject(schema) && (schema.default !== undefined || isList(schema) || hasDefaultWithin(schema));

// A value as it is read, which is a copy: with the defaults of its schema where something is missing, at every depth. A
// list that is not there is empty.
function filled(value, schema) {
  if (!fills(schema)) return value;
  if (value === undefined && schema.default !== undefined) value = copy(schema.default);
  if (value === undefined && isList(schema)) return [];
  if (!isPlain(value) || !hasDefaultWithin(schema)) return value;
  if (Array.isArray(value)) {
    value.forEach((item, index) => {
      const part = schema.prefixItems?.[index] ?? schema.items;
      if (hasDefaultWithin(part)) value[index] = filled(item, part);
    });
  } else {
    for (const [key, part] of Object.entries(schema.properties ?? {})) {
      const isThere = Object.hasOwn(value, key);
      if (isThere ? hasDefaultWithin(part) : part?.default !== undefined) put(value, key, filled(isThere ? value[key] : undefined, part));
    }
    if (hasDefaultWithin(schema.additionalProperties)) {
      const others = Object.keys(value).filter((key) => !Object.hasOwn(schema.properties ?? {}, key));
      for (const key of others) put(value, key, filled(value[key], schema.additionalProperties));
    }
  }
  for (const part of schema.allOf ?? []) value = filled(value, part);
  const choices = [schema.anyOf ?? [], schema.oneOf ?? []].flat();
  const choice = choices.find((part) => hasDefaultWithin(part) && faultOf(value, part, "it") === undefined);
  return choice === undefined ? value : filled(value, choice);
}

// Whether a schema marks something as secret.
function hasSecrets(schema) {
  let found = false;
  secretsIn(schema, [], () => found = true);
  return found;
}

const TYPES = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
  array: (value) => Array.isArray(value),
  object: (value) => isObject(value) && !Array.isArray(value),
};

// What is wrong with a value that is handed in as `at`, or nothing. Values are not shown: they may be secret.
function faultOf(value, schema, at) {
  if (!isObject(schema)) return undefined;
  for (const choice of ["anyOf", "oneOf"]) {
    if (Array.isArray(schema[choice])) {
      const faults = schema[choice].map((part) => faultOf(value, part, at));
      if (!faults.includes(undefined)) return faults.find((fault) => !fault.startsWith(`${at} is not`)) ?? `${at} is none of what its type allows`;
    }
  }
  const types = [schema.type ?? []].flat().filter((type) => Object.hasOwn(TYPES, type));
  if (types.length > 0 && !types.some((type) => TYPES[type](value))) return `${at} is not ${types.map(article).join(" or ")}`;
  if (Array.isArray(schema.enum) && !schema.enum.some((one) => one === value)) return `${at} is not one of ${JSON.stringify(schema.enum)}`;
  if (Object.hasOwn(schema, "const") && !isObject(schema.const) && schema.const !== value) return `${at} is not ${JSON.stringify(schema.const)}`;
  if (!isObject(value)) return undefined;
  if (Array.isArray(value)) return first(value.map((item, index) => faultOf(item, schema.items, `${at}[${index}]`)));
  for (const key of schema.required ?? []) {
    const part = schema.properties?.[key];
    if (!Object.hasOwn(value, key) && withDefaults(undefined, part) === undefined && part?.asCell !== true) return `${at}.${key} is missing`;
  }
  return first(Object.entries(value).map(([key, part]) => faultOf(part, schemaAt(schema, key), `${at}.${key}`)));
}

// Where this call has said already that what is written contradicts a type, and how often it says so at most.
const contradicted = new Set();
const MAX_CONTRADICTIONS = 20;

// The number under which the host knows a type, or null if the type says nothing.
function typeNumber(schema) {
  try {
    return host.typeOf(JSON.stringify(schema)) ?? null;
  } catch {
    // An author's schema may hold what JSON cannot.
    return null;
  }
}

// Says in the log if the JSON text that is written at a path of a document contradicts the type there: once for each
// place, and never what was written, which may be secret.
function checkWritten(document, path, text) {
  const schema = isOpen(document.schema) ? document.declared : document.schema;
  if (!running || schema === undefined || contradicted.size >= MAX_CONTRADICTIONS) return;
  if (document.type === undefined) document.type = typeNumber(schema);
  if (document.type === null) return;
  const found = host.contradiction(document.type, JSON.stringify(path), text);
  if (found === undefined) return;
  // Behind `#` is the ID of an object, which is data.
  const [name] = (document.name ?? document.unnamed ?? "a cell that the handler made").split("#", 1);
  const [exact, every, how] = found;
  if (contradicted.has(name + every)) return;
  contradicted.add(name + every);
  host.log("warn", `what was written to ${name}${exact} ${how}; it is stored all the same`);
  if (contradicted.size === MAX_CONTRADICTIONS) host.log("warn", "further writes that contradict their declared types are not told");
}

const first = (faults) => faults.find((fault) => fault !== undefined);
const article = (type) => type === "null" ? type : `${/^[aio]/.test(type) ? "an" : "a"} ${type}`;
