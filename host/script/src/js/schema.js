// What schemas say: defaults, which parts are cells, and what is secret.

const SECRET = ["secret", "confidential"];

// Whether the charm is being set up. Its schemas are the same in every later call, and are checked only then.
let isSetup = false;

// Schemas come from the transpiler, or from the author; of the latter not everything is understood.
function checkSchema(schema, depth = 0) {
  if (!isSetup || schema === null || typeof schema !== "object") return;
  if (depth > 100) throw new TypeError("a schema is nested too deeply, or contains itself");
  if ("$ref" in schema) throw new TypeError('schemas with "$ref" are not supported; write the schema out');
  for (const key of ["properties", "$defs"]) {
    for (const part of Object.values(schema[key] ?? {})) checkSchema(part, depth + 1);
  }
  for (const key of ["items", "additionalProperties"]) checkSchema(schema[key], depth + 1);
  for (const key of ["anyOf", "allOf", "oneOf", "prefixItems"]) {
    for (const part of schema[key] ?? []) checkSchema(part, depth + 1);
  }
}

// Whether a schema says nothing about its values.
function isOpen(schema) {
  return schema === undefined || schema === true ||
    (typeof schema === "object" && schema !== null && Object.keys(schema).length === 0);
}

function isSecret(schema) {
  const marks = schema?.ifc?.classification;
  return Array.isArray(marks) && marks.some((mark) => SECRET.includes(mark));
}

function partsOf(schema) {
  return [schema, ...(schema?.anyOf ?? []), ...(schema?.oneOf ?? []), ...(schema?.allOf ?? [])];
}

// The schema of what is at `key` of a value.
function schemaAt(schema, key) {
  if (isSecret(schema)) return { ifc: schema.ifc };
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
  secretsIn(schema.additionalProperties, [...path, "*"], found);
  secretsIn(schema.items, [...path, "*"], found);
  for (const part of schema.prefixItems ?? []) secretsIn(part, [...path, "*"], found);
  for (const part of partsOf(schema).slice(1)) secretsIn(part, path, found);
}

// `value`, with the defaults of `schema` where it has nothing.
function withDefaults(value, schema) {
  if (schema === null || typeof schema !== "object") return value;
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

// Whether a value of that schema has cells or streams within it.
function wantsCells(schema) {
  if (schema === null || typeof schema !== "object") return false;
  return schema.asCell === true || schema.asStream === true ||
    Object.values(schema.properties ?? {}).some(wantsCells) ||
    [schema.items, schema.additionalProperties, ...partsOf(schema).slice(1)].some(wantsCells);
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

// What is wrong with a value that is handed in as `at`, or nothing. Values are not told: they may be secret.
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

const first = (faults) => faults.find((fault) => fault !== undefined);
const article = (type) => type === "null" ? type : `${/^[aio]/.test(type) ? "an" : "a"} ${type}`;
