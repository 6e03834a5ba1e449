// Links between documents: what a cell becomes within another's value, and how they are followed.

// Links: in place of a cell, `{"/": {"link@1": {"id": "of:<name>", "path": [...]}}}` is stored.
const LINK = "link@1";
const MAX_HOPS = 24;

function linkOf(value) {
  const link = isObject(value) && Object.hasOwn(value, "/") ? value["/"]?.[LINK] : undefined;
  if (typeof link?.id !== "string" || !Array.isArray(link.path)) return undefined;
  return { document: documentNamed(link.id.replace(/^of:/, "")), path: link.path.map(step) };
}

// The documents that a stored one links to.
function linksOf(document) {
  load(document);
  if (document.links?.version !== document.version) {
    const targets = document.text?.includes(LINK) === false ? [] : linkedIn(treeOf(document));
    document.links = { version: document.version, targets };
  }
  return document.links.targets;
}

function linkedIn(value) {
  const link = linkOf(value);
  if (link !== undefined) return [link.document];
  return isObject(value) ? Object.values(value).flatMap(linkedIn) : [];
}

const step = (key) => typeof key === "string" && /^(0|[1-9][0-9]{0,8})$/.test(key) ? Number(key) : key;

// Where a path leads: links on the way are followed, and the one at its end if `whole`.
function locate(document, path, whole) {
  let place = { document, path };
  for (let hops = 0; ; hops++) {
    const next = hop(place, whole);
    if (next === undefined) return place;
    if (hops === MAX_HOPS) throw new TypeError("links between cells go round in a circle");
    // What follows from a link's target follows from the link, too.
    noteRead(place.document, place.path);
    place = next;
  }
}

function hop({ document, path }, whole) {
  if (document.derived !== undefined) {
    const [cell, rest] = derivedPlace(document, path);
    return cell === undefined ? undefined : { document: cell[STATE].document, path: [...cell[STATE].path, ...rest] };
  }
  load(document);
  if (document.tree === undefined && !document.text?.includes(LINK)) return undefined;
  let value = treeOf(document);
  for (let index = 0; index < path.length + (whole ? 1 : 0); index++) {
    const link = linkOf(value);
    if (link !== undefined) return { document: link.document, path: [...link.path, ...path.slice(index)] };
    value = at(value, path[index]);
    if (!isObject(value)) return undefined;
  }
  return undefined;
}

// A stored value as charms see it: their own copy, with what links lead to.
function resolved(value, hops = 0) {
  if (!isObject(value)) return value;
  const link = linkOf(value);
  if (link !== undefined) {
    if (hops === MAX_HOPS) throw new TypeError("links between cells go round in a circle");
    return read(link.document, link.path, hops + 1);
  }
  if (Array.isArray(value)) return value.map((item) => resolved(item, hops));
  const own = {};
  for (const [key, item] of Object.entries(value)) put(own, key, resolved(item, hops));
  return own;
}

// The JSON text of a value that is to be stored in a document.
function toText(value, owner) {
  // JSON has no `undefined`; a cell that is set to it holds null.
  return JSON.stringify(owner === undefined ? value : linked(value, owner, [])) ?? "null";
}

// What JSON would make `{}` of.
const NOT_JSON = [Map, Set, WeakMap, WeakSet, Promise, RegExp, Error, ArrayBuffer];

// A value with links in place of its cells, and of the objects that have an ID: these become documents of their own.
function linked(value, owner, above) {
  if (typeof value === "function" || typeof value === "symbol") throw new TypeError(`a cell can't hold a ${typeof value}`);
  // JSON has no half of a character, which is what cutting a text may leave.
  if (typeof value === "string") return value.isWellFormed() ? value : value.toWellFormed();
  if (!isObject(value)) return value;
  if (isCell(value)) return linkTo(value, owner, above);
  if (typeof value.toJSON === "function" || value instanceof Stream) return value;
  const kind = NOT_JSON.find((kind) => value instanceof kind);
  if (kind !== undefined) throw new TypeError(`a cell can't hold a ${kind.name}: it holds JSON`);
  if (above.includes(value)) throw new TypeError("a cell can't hold a value that contains itself");
  const inner = [...above, value];
  if (Array.isArray(value)) return value.map((item) => linked(item, owner, inner));
  const own = {};
  for (const [key, item] of Object.entries(value)) put(own, key, linked(item, owner, inner));
  if (value[ID] === undefined || !splits(owner)) return own;
  const name = `${owner.name ?? owner.unnamed}#${String(value[ID])}`;
  const document = documentNamed(name);
  write(document, [], own);
  return link(document, []);
}

// What is secret is sealed as a whole: nothing within it is put into documents that nobody knows to be secret.
function splits(owner) {
  if (!charm.isMade) return false;
  noteAllSecrets();
  return owner.hidden === undefined && (owner.name ?? owner.unnamed) !== undefined &&
    !(owner.schema !== undefined && hasSecrets(owner.schema));
}

function linkTo(cell, owner, above) {
  const { document, path } = cell[STATE];
  if (!splits(owner) || document === owner) return linked(cell.get(), owner, [...above, cell]);
  if (document.name === undefined) {
    if (document.derived !== undefined || !running) return linked(cell.get(), owner, [...above, cell]);
    giveName(document, `__cell/${crypto.randomUUID()}`);
    document.kept = true;
    // What was made without a name was not stored until now.
    load(document);
    document.text ??= toText(document.tree);
    document.dirty = true;
  }
  return link(document, path);
}

const link = (document, path) => ({ "/": { [LINK]: { id: `of:${document.name}`, path: path.map(String) } } });
