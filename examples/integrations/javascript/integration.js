// An integration in JavaScript: polls the charms whose mailbox has changed since their last poll.
//
// The three exported functions are those of the world `integration` in wit/, in camel case. Each call gets a fresh
// instance. Variables do not survive a call; `state` does.

import * as charms from "commontools:background/charms@0.1.1";
import * as config from "commontools:background/config@0.1.1";
import * as log from "commontools:background/log@0.1.1";
import * as state from "commontools:background/state@0.1.1";

// The possible names of the stream that a poll is sent to.
const UPDATER_STREAMS = [
  "bgUpdater",
  "integrationUpdater",
  "updater",
  "googleUpdater",
  "githubUpdater",
  "notionUpdater",
  "calendarUpdater",
  "discordUpdater",
];

// The number of charms to ask about in one call, concurrently; the host allows 8 requests at a time. All others are
// polled without asking.
const ASKED = 8;

// The time to wait for an answer, in milliseconds. The host ends the call after 5 s.
const PATIENCE = 3_000;

// Called by `run --initialize`.
export function initialize() {
  charms.prepareList();
}

// The charms worth a poll now.
export async function fetchCharms() {
  const registered = charms.registered();
  const baseUrl = config.get("api-base-url");
  if (!baseUrl) {
    // A thrown object of this shape is the call's error.
    throw { tag: "permanent", val: "the config value api-base-url is missing" };
  }
  const asked = registered.slice(0, ASKED);
  const quiet = await Promise.all(asked.map((charm) => isQuiet(baseUrl.replace(/\/+$/, ""), charm)));
  const named = registered.filter((_charm, place) => !quiet[place]);
  log.write("info", `call ${countCall()}: ${named.length} of ${registered.length} charms are worth a poll`);
  return named;
}

// Whether a charm is fit to be polled; called right before the poll.
export function isValidCharm(charm) {
  const signedIn = charm.get(["auth", "token"]).tag !== "absent";
  if (!signedIn) {
    charm.explain("nobody has signed in to it");
  }
  return signedIn && UPDATER_STREAMS.some((name) => charm.hasStream(name));
}

// Whether the service has nothing new. If that is unknown, the charm is polled.
async function isQuiet(baseUrl, charm) {
  try {
    const found = charms.open(charm).get(["settings", "historyId"]);
    const since = found.tag === "value" ? String(JSON.parse(found.val)) : "";
    if (!/^[0-9]+$/.test(since)) {
      return false;
    }
    const query = new URLSearchParams({ startHistoryId: since, maxResults: "1" });
    // The host adds this charm's token; the integration never sees it.
    const headers = { "bg-charm": `${charm.space}/${charm.charmId}` };
    const response = await inTime(fetch(`${baseUrl}/gmail/v1/users/me/history?${query}`, { headers }));
    if (response.status !== 200) {
      return false;
    }
    const { history = [], nextPageToken } = await inTime(response.json());
    return history.length === 0 && nextPageToken === undefined;
  } catch (error) {
    log.write("warn", `${charm.charmId} is polled unasked: ${describe(error)}`);
    return false;
  }
}

// The promise's result, or an error if that takes too long.
function inTime(promise) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("no answer in time")), PATIENCE));
  return Promise.race([promise, late]);
}

// Counts this call and returns the number of calls so far. State holds bytes in any format.
function countCall() {
  const before = state.get("calls");
  const calls = before === undefined ? 1 : JSON.parse(new TextDecoder().decode(before)) + 1;
  state.set("calls", new TextEncoder().encode(JSON.stringify(calls)));
  return calls;
}

// An error from the host is an Error with the variant of wit/ as its payload.
function describe(error) {
  return error?.payload === undefined ? String(error) : JSON.stringify(error.payload);
}
