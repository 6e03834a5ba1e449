// equals(): whether two things are the same place, never whether they look the same.

// Where values come from that were read from cells, so that they may be compared; only in programs that compare.
const origins = new WeakMap();
let compares = false;

const MOST_ORIGINS = 10_000;

function noteOrigin(value, cell) {
  if (!compares || !isObject(value)) return;
  const left = [[value, cell]];
  for (let at = 0; at < left.length && at < MOST_ORIGINS; at++) {
    const [one, from] = left[at];
    origins.set(one, from);
    for (const [key, within] of Object.entries(one)) {
      if (isObject(within) && !isCell(within)) left.push([within, part(from, Array.isArray(one) ? Number(key) : key)]);
    }
  }
}

// The program has a word in it that compares.
function noteComparisons() {
  compares = true;
}

// The place that a cell is of, or that a value came from, with all links followed; nothing if there is none.
function referent(thing) {
  const cell = isCell(thing) ? thing : isObject(thing) ? origins.get(thing) : undefined;
  if (cell === undefined) return undefined;
  const { document, path } = cell[STATE];
  return noting(undefined, () => locate(document, path, true));
}

function equals(a, b) {
  if (a === b) return true;
  const [mine, theirs] = [referent(a), referent(b)];
  if (mine === undefined || theirs === undefined) return false;
  return mine.document === theirs.document && JSON.stringify(mine.path) === JSON.stringify(theirs.path);
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
