// equals(): whether two things are the same place, never whether they look the same.

// A program that compares knows the things in its cells: each object and array of a document's tree is one, and a value
// that is read of it is that thing, wherever a list keeps it meanwhile. It costs a walk through what is read, so it is
// done only in programs that have a word in them which compares.
let compares = false;

// The program has a word in it that compares.
function noteComparisons() {
  compares = true;
}

// What values are copies of, as `{ document, node }`.
const origins = new WeakMap();
// Nodes that were written again, as a part of what replaced them, and what they are now.
const successors = new WeakMap();
// The documents of nodes that left their lists for documents of their own.
const homes = new WeakMap();

function noteOrigin(value, document, node) {
  if (compares && isObject(node)) origins.set(value, { document, node });
  return value;
}

function sameThing(copy, value) {
  const origin = compares ? origins.get(value) : undefined;
  if (origin !== undefined) origins.set(copy, origin);
  return copy;
}

function newest(node) {
  for (let next; (next = successors.get(node)) !== undefined;) node = next;
  return node;
}

// The thing that a cell is of, with all links followed, or that a value is a copy of.
function thingOf(value) {
  if (!isCell(value)) {
    const origin = isObject(value) ? origins.get(value) : undefined;
    return origin === undefined ? undefined : { document: origin.document, node: newest(origin.node) };
  }
  const { document, path } = noting(undefined, () => locate(...placeOf(value), true));
  if (document.derived !== undefined) {
    const found = noting(undefined, () => (refresh(document), path.reduce(at, document.derived.value)));
    return isObject(found) ? thingOf(found) ?? { document, node: found } : undefined;
  }
  const node = rawAt({ document, path });
  return isObject(node) ? { document, node } : undefined;
}

// The place that a cell is of, with all links followed.
const placeNamed = (cell) => {
  const { document, path } = noting(undefined, () => locate(...placeOf(cell), true));
  return { document, path: JSON.stringify(path) };
};

function equals(a, b) {
  if (a === b) return true;
  const [mine, theirs] = [thingOf(a), thingOf(b)];
  if (mine !== undefined && theirs !== undefined) return mine.node === theirs.node;
  if (!isCell(a) || !isCell(b)) return false;
  const [here, there] = [placeNamed(a), placeNamed(b)];
  return here.document === there.document && here.path === there.path;
}

// What was written of `value` is `node`: the things in it that were within what was replaced are there now.
function succeed(document, value, node, seen = new Set()) {
  if (!compares || !isObject(value) || !isObject(node) || isCell(value) || linkOf(node) !== undefined || seen.has(value)) return;
  seen.add(value);
  const origin = origins.get(value);
  if (origin?.document === document) {
    const was = newest(origin.node);
    if (was !== node && pathOf(document.tree, was) === undefined) {
      successors.set(was, node);
      origins.set(value, { document, node });
    }
  }
  for (const [key, part] of Object.entries(value)) {
    succeed(document, part, at(node, Array.isArray(node) ? Number(key) : storedKey(key)), seen);
  }
}

// Where a node is in a tree, if it is there.
function pathOf(tree, node, path = []) {
  if (tree === node) return path;
  if (!isObject(tree)) return undefined;
  for (const key of Object.keys(tree)) {
    const found = isObject(tree[key]) ? pathOf(tree[key], node, [...path, Array.isArray(tree) ? Number(key) : key]) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

// A thing that an item of a list is, as a document of its own: what links to it goes on to do so when the list changes.
// Nothing if it is no item, or no longer there, or secret.
function ownDocumentOf({ document, node }) {
  const home = homes.get(node);
  if (home !== undefined) return home;
  if (!running || document.derived !== undefined) return undefined;
  if (treeOf(document) === node) return document.name?.startsWith(HANDLERS) ? document : undefined;
  const path = pathOf(document.tree, node);
  if (path === undefined || typeof path.at(-1) !== "number" || !splits(document)) return undefined;
  const own = makeDocument(undefined, undefined, HANDLERS + crypto.randomUUID());
  own.kept = own.loaded = own.dirty = true;
  own.tree = node;
  own.version = ++clock;
  homes.set(node, own);
  changed(document);
  putAt(path.slice(0, -1).reduce(at, document.tree), path.at(-1), link(own, []));
  document.text = undefined;
  return own;
}

// Whether an item of a list is `wanted`: the same place, or, of what has none, the same value.
const isItem = (item, wanted) => isObject(wanted) ? equals(item, wanted) : plain(item) === wanted;

// Whether two values look the same: JSON through and through.
function valueEqual(a, b) {
  const [mine, theirs] = [plain(a), plain(b)];
  if (Object.is(mine, theirs)) return true;
  if (!isObject(mine) || !isObject(theirs) || Array.isArray(mine) !== Array.isArray(theirs)) return false;
  const keys = Object.keys(mine);
  return keys.length === Object.keys(theirs).length &&
    keys.every((key) => Object.hasOwn(theirs, key) && valueEqual(mine[key], theirs[key]));
}

// The same place, or the same value.
const isSame = (a, b) => equals(a, b) || valueEqual(a, b);
