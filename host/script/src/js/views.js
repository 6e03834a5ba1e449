// What readers see of cells. A view knows its cell by a schema, which says what fills in what is missing, and which parts
// are cells themselves.

// The schema by which a view knows its value: its own, or what the document says of that place.
function schemaOf(cell) {
  const { document, path, schema } = cell[STATE];
  return withoutCell(schema ?? path.reduce((whole, key) => schemaAt(whole, key), document.schema));
}

function withoutCell(schema) {
  if (schema?.asCell !== true) return schema;
  const { asCell, ...rest } = schema;
  return rest;
}

// Whether the program's types call this a cell, and not the value of one: the program made it, or a type says so.
function isCellByType(cell) {
  const { document, path, isCell } = cell[STATE];
  if (isCell) return true;
  let schema = document.schema;
  for (const key of path) {
    if (schema?.asCell === true) return true;
    schema = schemaAt(schema, key);
  }
  return schema?.asCell === true;
}

// The same cell, known by another schema.
function known(cell, schema) {
  const { document, path, linked } = cell[STATE];
  if (path.length === 0 && document.declared === undefined) document.declared = withoutCell(schema);
  return view(document, path, { linked, schema: withoutCell(schema), isCell: true });
}

// The cell of what is within another.
function part(cell, key) {
  const { document, path, linked, schema, isCell } = cell[STATE];
  const within = schema === undefined ? undefined : schemaAt(schema, key) ?? {};
  return view(document, [...path, key], { linked, schema: within, isCell: isCell || within?.asCell === true });
}

// A cell's value: what is missing is filled in, and cells in it are what they hold.
function valueOf(cell, schema = schemaOf(cell)) {
  const { document, path, linked } = cell[STATE];
  const value = read(document, path, linked);
  // A derived value that has cells in it is no copy.
  return filled(document.derived !== undefined && fills(schema) ? snapshot(value) : value, schema);
}

// What a reader sees who knows a cell by `schema`: its value, with cells where the schema says so.
function seen(cell, schema = schemaOf(cell)) {
  const value = valueOf(cell, schema);
  noteOrigin(value, cell);
  if (!isObject(value) || !wantsCellsWithin(schema)) return value;
  const keys = Object.keys(value).map(Array.isArray(value) ? Number : String);
  // A part that is a cell is there even if its value is not.
  if (!Array.isArray(value)) {
    for (const [key, within] of Object.entries(schema.properties ?? {})) {
      if (!Object.hasOwn(value, key) && within?.asCell === true) keys.push(key);
    }
  }
  for (const key of keys) {
    const within = schemaAt(schema, key);
    if (wantsCells(within)) put(value, key, present(part(cell, key), within));
  }
  return value;
}

// What a function sees of what was bound to it. Without a schema, cells are cells; with one, only where it says so.
function present(bound, schema) {
  if (schema?.asCell === true) return isCell(bound) ? known(target(bound), schema) : new Cell(bound, withoutCell(schema));
  if (schema?.asStream === true || bound instanceof Stream) return bound;
  const choice = choiceOf(bound, schema);
  if (choice !== undefined) return present(bound, choice);
  if (isCell(bound)) return schema === undefined ? bound : seen(bound, isOpen(schema) ? undefined : schema);
  // What is not a cell is as it was bound; cells within it are looked for in plain objects and arrays.
  if (!isPlain(bound) || (schema !== undefined && isOpen(schema) && cellsIn(bound).length === 0)) return bound;
  const open = schema === undefined;
  return mapped(bound, (value, key) => present(value, open ? undefined : schemaAt(schema, key) ?? {}));
}

// What a function without a schema sees of what it is derived from: the cells that the program's types call so, and the
// values of all others.
function handed(bound) {
  if (isCell(bound)) return isCellByType(bound) ? view(...placeOf(bound), { ...bound[STATE], isHanded: true }) : seen(bound);
  return isPlain(bound) ? mapped(bound, handed) : bound;
}

const placeOf = (cell) => [cell[STATE].document, cell[STATE].path];

// A copy of a plain object or array, each part of which is what `fn` makes of it.
function mapped(value, fn) {
  if (Array.isArray(value)) return value.map(fn);
  const own = {};
  for (const [key, part] of Object.entries(value)) put(own, key, fn(part, key));
  return own;
}

// Of a union that has a cell in it, the alternative that fits what is bound: `Cell<T> | null` is a cell, or null.
function choiceOf(bound, schema) {
  const choices = [schema?.anyOf ?? [], schema?.oneOf ?? []].flat();
  const cells = choices.filter((choice) => choice?.asCell === true);
  if (cells.length === 0) return undefined;
  if (cells.length === choices.length) return cells[0];
  const value = isCell(bound) ? valueOf(bound) : bound;
  if (value === undefined || value === null) return {};
  const fits = (choice) => faultOf(value, choice, "it") === undefined;
  return cells.find(fits) ?? choices.find(fits) ?? cells[0];
}

// The cell that a cell of a link leads to, so that writing to it writes there.
function target(cell) {
  const { document, path, linked, ...rest } = cell[STATE];
  const place = locate(document, path, true, linked);
  return place.document === document && place.path === path ? cell : view(place.document, place.path, { ...rest, linked: place.linked });
}
