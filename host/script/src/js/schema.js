// What schemas say: defaults, which parts are cells, and what is secret.

const SECRET = ["secret", "confidential"];

// Schemas come from the transpiler, or from the author; of the latter not everything is understood.
function checkSchema(schema, depth = 0) {
  if (schema === null || typeof schema !== "object") return;
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
