// Wishes: `wish({ query })` is a cell of `{ result, error }`. What a service without other charms to look through can
// answer are the time and the space's own lists, which are empty.

// The time of this call, in whole seconds or in steps of a number of seconds: `#now`, `#now/60`.
function nowOf(query) {
  const [, seconds = "1"] = /^#now(?:\/(\d+))?$/.exec(query) ?? [];
  return /^#now(\/|$)/.test(query) && Number(seconds) > 0 ? Math.floor(Date.now() / 1000 / Number(seconds)) * Number(seconds) * 1000 : undefined;
}

// What the pattern of a space's own page has: nothing is in its lists.
const defaultPattern = () => ({
  allPieces: [], recentPieces: [], allCharms: [], recentCharms: [], backlinksIndex: { mentionable: [] }, mentionable: [],
});

function granted(query, path) {
  if (query === "#default" || query === "/") {
    const result = path.reduce((part, key) => at(part, key), defaultPattern());
    return result === undefined ? { error: `wish() finds no ${JSON.stringify(path.join("/"))} in the space's default pattern` } : { result };
  }
  const result = nowOf(query);
  if (result !== undefined) return { result };
  return { error: `wish() ${JSON.stringify(query)} finds nothing: this service has no other charms to look through` };
}

// wish("#query/path"), wish({ query, path }). The query may be a cell.
function wish(wanted) {
  const text = (query) => query === undefined || query === null ? "" : String(query);
  return apply((wanted) => {
    const [query, path] = typeof wanted === "string" ? [wanted, []] : [text(wanted?.query), wanted?.path ?? []];
    const [, start, rest] = /^(#default)\/(.+)$/.exec(query) ?? [undefined, query, ""];
    return granted(start, [...rest.split("/").filter((key) => key !== ""), ...path]);
  }, wanted);
}
