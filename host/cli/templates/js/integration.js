// The integration {{name}}: polls charms that have news, according to a web API.
//
// A charm names its subject in its cell `topic`. The API answers `GET <api-base-url>/v1/news` with the topics that have
// news, such as ["weather", "trains"].
//
// Each call gets a fresh instance: variables do not survive a call. Use `state` for what should, see
// wit/integration.wit. The exported functions are those of that file, their names in camel case.

import * as charms from "commontools:background/charms@0.1.1";
import * as config from "commontools:background/config@0.1.1";
import * as log from "commontools:background/log@0.1.1";

// The stream to which polls are sent.
const UPDATER_STREAM = "bgUpdater";

// How long to wait for an answer, in milliseconds. The host ends the whole call after 5 s.
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
    // A thrown object of this form is the error of the call. Anything else ends the call as a trap.
    throw { tag: "permanent", val: "the config value api-base-url is missing" };
  }
  try {
    const topics = await inTime(topicsWithNews(baseUrl));
    return registered.filter((charm) => hasNews(charm, topics));
  } catch (error) {
    // Without an answer from the API, all charms are polled.
    log.write("warn", `all charms are polled: ${error}`);
    return registered;
  }
}

// Whether a charm is fit for polling; called right before the poll.
export function isValidCharm(charm) {
  if (charm.hasStream(UPDATER_STREAM)) {
    return true;
  }
  charm.explain(`it has no stream ${UPDATER_STREAM}`);
  return false;
}

// The topics that have news, according to the API.
async function topicsWithNews(baseUrl) {
  const response = await fetch(`${baseUrl.replace(/\/+$/, "")}/v1/news`);
  if (response.status !== 200) {
    throw new Error(`the API answers with status ${response.status}`);
  }
  const topics = await response.json();
  if (!Array.isArray(topics)) {
    throw new Error("the API does not answer with a list of topics");
  }
  return topics;
}

// Whether the topic of a charm is one of these; true if it has no topic.
function hasNews(charm, topics) {
  let opened;
  try {
    opened = charms.open(charm);
    const topic = opened.get(["topic"]);
    return topic.tag !== "value" || topics.includes(JSON.parse(topic.val));
  } catch (error) {
    // An error of the host's has a variant of wit/ as its payload.
    log.write("debug", `${charm.charmId} cannot be read: ${JSON.stringify(error.payload)}`);
    return true;
  } finally {
    // A call may have 1,000 things of the host's open, and nothing else closes this one.
    opened?.[Symbol.dispose]();
  }
}

// What a promise comes to, or an error if that takes too long.
function inTime(promise) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("no answer in time")), PATIENCE));
  return Promise.race([promise, late]);
}
