// fetch, after the Fetch standard. The host is asked for every request, also one that a redirect leads to.

const MOST_REDIRECTS = 20;

// What says something of a body, and what is meant for one origin alone.
const BODY_HEADERS = ["content-encoding", "content-language", "content-length", "content-location", "content-type"];
const OWN_HEADERS = ["authorization", "cookie", "proxy-authorization"];

// One request; calls `done` with `[status, [name, value, …], body]` and its number. Returns its number and a function
// that cancels it.
function exchange(method, url, headers, bytes, done, failed) {
  const id = host.fetch(method, url.replace(/#.*$/s, ""), [...headers].flat(), bytes, done, failed);
  return { id, cancel: () => id !== undefined && host.cancelFetch(id) };
}

// Where a response leads, as it says; undefined if it does not. Servers send bytes that are no ASCII as they are;
// browsers encode each of them before the URL standard's parser sees them.
function locationOf(fields) {
  const given = new Set();
  for (let at = 0; at < fields.length; at += 2) if (fields[at].toLowerCase() === "location") given.add(fields[at + 1]);
  given.delete("");
  if (given.size > 1) throw "the server redirects to several places at once";
  return [...given][0]?.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

// Where a redirect leads, and with what; undefined if the response is not one.
function redirected(status, received, { method, url, fields, bytes }) {
  const location = REDIRECT_STATUS.includes(status) ? locationOf(received) : undefined;
  if (location === undefined) return undefined;
  const next = URL.parse(location, url);
  if (next === null) throw "the server redirects to what is no URL";
  if (next.protocol !== "http:" && next.protocol !== "https:") throw `the server redirects to a URL of scheme ${next.protocol}`;
  const from = new URL(url);
  if (!next.href.includes("#")) next.hash = from.hash;
  const kept = new Headers(fields);
  const becomesGet = (status === 303 && method !== "GET" && method !== "HEAD") || (status <= 302 && method === "POST");
  if (becomesGet) for (const name of BODY_HEADERS) kept.delete(name);
  if (next.origin !== from.origin) for (const name of OWN_HEADERS) kept.delete(name);
  return { method: becomesGet ? "GET" : method, url: next.href, fields: kept, bytes: becomesGet ? undefined : bytes };
}

function fetch(input, init = undefined) {
  let request;
  try {
    request = new Request(input, init);
  } catch (error) {
    return Promise.reject(error);
  }
  const signal = request.signal;
  if (signal.aborted) return Promise.reject(signal.reason);
  // Made here, where the stack still has the caller.
  const failure = new TypeError("fetch failed");
  return new Promise((resolve, reject) => {
    let sent;
    const aborted = () => {
      sent.cancel();
      // The server did not answer in time. Any other abort is the charm's own decision.
      if (timeouts.has(signal.reason)) noteFailure(signal.reason, sent.id);
      reject(signal.reason);
    };
    signal[STATE].steps.add(aborted);
    const fail = (url, reason, id) => {
      signal[STATE].steps.delete(aborted);
      noteFailure(failure, id);
      failure.message = `fetch failed: ${reason} (${shortUrl(url)})`;
      reject(failure);
    };
    const send = (what, hops) => {
      sent = exchange(what.method, what.url, what.fields, what.bytes, ([status, fields, body], id) => {
        try {
          const next = request.redirect === "manual" ? undefined : redirected(status, fields, what);
          if (next !== undefined) {
            if (request.redirect === "error") throw "the server redirects, which the request does not allow";
            if (hops === MOST_REDIRECTS) throw "the server redirects too many times";
            return send(next, hops + 1);
          }
          signal[STATE].steps.delete(aborted);
          const bytes = NULL_BODY.includes(status) ? undefined : body;
          const headers = receivedHeaders(fields);
          const known = { status, headers, url: what.url.replace(/#.*$/s, ""), redirected: hops > 0, type: "basic", bytes };
          const response = new Response(null, { statusText: REASONS[status] ?? "", [RECEIVED]: known });
          noteResponse(response, status, id);
          resolve(response);
        } catch (reason) {
          fail(what.url, typeof reason === "string" ? reason : describe(reason));
        }
      }, (reason, id) => fail(what.url, reason, id));
    };
    send({ method: request.method, url: request.url, fields: request.headers, bytes: takeBody(request) }, 0);
  });
}

define({ fetch });
