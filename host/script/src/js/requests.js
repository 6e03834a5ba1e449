// Which request of the call an error comes from. The host knows who is to blame for a request that failed or was
// answered with an error.

// The errors with which requests failed, the responses that report a fault of somebody else than the charm, and what was
// made of those, with the numbers of the requests.
const requestsByThing = new WeakMap();
const requestsByStatus = new Map();
// The bodies of such responses, as texts.
const requestsByBody = new Map();

const MOST_LINKS = 32;
// How many parts of a response's JSON are known to be its own.
const MOST_PARTS = 1000;
// How many bodies are known, and how long they may be.
const [MOST_BODIES, LONGEST_BODY] = [64, 64 * 1024];

function noteFailure(error, request) {
  if (request !== undefined) requestsByThing.set(error, request);
}

function noteResponse(response, status, request) {
  if (status !== 401 && status !== 403 && status !== 408 && status !== 425 && status !== 429 && status < 500) return;
  requestsByThing.set(response, request);
  requestsByThing.set(response.headers, request);
  requestsByStatus.set(String(status), request);
}

// `made` was made of a response, and comes from its request as well: a copy, or its body as a text, bytes or JSON.
function noteDerived(response, made) {
  const request = requestsByThing.get(response);
  if (request === undefined) return made;
  if (typeof made === "string") {
    const isKept = made.trim() !== "" && made.length <= LONGEST_BODY && requestsByBody.size < MOST_BODIES;
    if (isKept) requestsByBody.set(made, request);
    return made;
  }
  const left = [made];
  for (let at = 0; at < left.length && at < MOST_PARTS; at++) {
    if (!isObject(left[at])) continue;
    requestsByThing.set(left[at], request);
    if (isPlain(left[at]) && left.length < MOST_PARTS) left.push(...Object.values(left[at]).slice(0, MOST_PARTS));
  }
  return made;
}

// What an error has under a name itself. No getter runs.
const ownValue = (error, name) => Object.getOwnPropertyDescriptor(error, name)?.value;

// A status in a message: three digits that are not a part of a larger number, of a sum ("1,500", "-500", "500.25", "+500"),
// of a time, a path or a name ("12:500", "/500", "error-500").
const STATUS_IN_TEXT =
  /(?<![\w.,+\-/#$%@'\u2019\u00a0\u2009\u202f\u2010-\u2015\u2212\u20ac\u00a3\u00a5]|\d:)(\d{3})(?![\w%\u00b0]|[.,:/'\-\u2019\u00a0\u2009\u202f\u2010-\u2015]\d)/g;

// The request whose status a message names, "status 503", "503 Service Unavailable", or whose response's body it is.
function requestInText(text) {
  if (typeof text !== "string" || requestsByStatus.size === 0) return undefined;
  const answered = requestsByBody.get(text);
  if (answered !== undefined) return answered;
  for (const [, number] of text.slice(0, 4096).matchAll(STATUS_IN_TEXT)) {
    const request = requestsByStatus.get(number);
    if (request !== undefined) return request;
  }
  return undefined;
}

// The number of the request that what was thrown comes from: it is the error of one that failed, names the status of
// one that was answered with an error, or has such an error or response, or what was made of one, as its cause or as its
// response. Undefined if it is the charm's
// own.
function requestOf(thrown) {
  try {
    const left = [thrown];
    for (let at = 0; at < left.length && at < MOST_LINKS; at++) {
      const one = left[at];
      const isObject = one !== null && typeof one === "object";
      const request = isObject ? (requestsByThing.get(one) ?? requestInText(ownValue(one, "message"))) : requestInText(one);
      if (request !== undefined) return request;
      if (!isObject) continue;
      const errors = one instanceof AggregateError ? ownValue(one, "errors") : undefined;
      left.push(ownValue(one, "cause"), ownValue(one, "response"), ...(Array.isArray(errors) ? errors.slice(0, MOST_LINKS) : []));
    }
  } catch {
    // A proxy, or what the charm has made of the language: it is the charm's own.
  }
  return undefined;
}

