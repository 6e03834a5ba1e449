// Which request of the call an error comes from. The host knows who is to blame for a request that failed or was
// answered with an error.

// The errors with which requests failed, and the responses that report a fault of somebody else than the charm, with
// the numbers of the requests.
const requestsByThing = new WeakMap();
const requestsByStatus = new Map();

const MOST_LINKS = 32;

function noteFailure(error, request) {
  if (request !== undefined) requestsByThing.set(error, request);
}

function noteResponse(response, status, request) {
  if (status !== 401 && status !== 403 && status !== 408 && status !== 425 && status !== 429 && status < 500) return;
  requestsByThing.set(response, request);
  requestsByStatus.set(String(status), request);
}

// What an error has under a name itself. No getter runs.
const ownValue = (error, name) => Object.getOwnPropertyDescriptor(error, name)?.value;

// The request whose status a message names: "status 503", "503 Service Unavailable".
function requestInText(text) {
  if (typeof text !== "string" || requestsByStatus.size === 0) return undefined;
  for (const [, number] of text.slice(0, 4096).matchAll(/(?<![\w.])(\d{3})(?![\w]|\.\d)/g)) {
    const request = requestsByStatus.get(number);
    if (request !== undefined) return request;
  }
  return undefined;
}

// The number of the request that what was thrown comes from: it is the error of one that failed, names the status of
// one that was answered with an error, or has such an error or response as its cause. Undefined if it is the charm's
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
      left.push(ownValue(one, "cause"), ...(Array.isArray(errors) ? errors.slice(0, MOST_LINKS) : []));
    }
  } catch {
    // A proxy, or what the charm has made of the language: it is the charm's own.
  }
  return undefined;
}

