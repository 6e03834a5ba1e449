// Runs the component in bg-wasm-host, with a temporary charm runtime and a fake API on loopback.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

// The program, from this variable or the path.
const program = process.env.BG_WASM_HOST ?? "bg-wasm-host";
const component = "{{name}}.wasm";

let data, api, url;
// What the API answers to `GET /v1/news`.
let news = [];

before(async () => {
  const [built, written] = await Promise.all([component, "integration.js"].map((file) => stat(file).catch(() => {})));
  assert.ok(built?.mtimeMs >= written.mtimeMs, `${component} is not up to date: npm run build`);
  data = await mkdtemp(join(tmpdir(), "{{name}}-"));
  api = createServer((request, response) => {
    response.statusCode = request.method === "GET" && request.url === "/v1/news" ? 200 : 404;
    response.end(JSON.stringify(news));
  });
  await new Promise((listening) => api.listen(0, "127.0.0.1", listening));
  url = `http://127.0.0.1:${api.address().port}`;
});

after(async () => {
  api?.close();
  if (data) await rm(data, { recursive: true });
});

test("a charm is polled if and only if the API names its topic", async () => {
  const weather = await deploy("weather");
  const trains = await deploy("trains");
  for (const [named, counts] of [
    [["weather"], [1, 0]],
    [["trains"], [1, 1]],
    [[], [1, 1]],
  ]) {
    news = named;
    await runOnce();
    assert.deepEqual([await polls(weather), await polls(trains)], counts, `the API names ${named}`);
  }
});

// Runs a command of the program, and returns its output.
async function host(...args) {
  const env = { ...process.env, BG_WASM_HOST_DATA: data };
  delete env.API_URL;
  try {
    return (await promisify(execFile)(program, args, { env })).stdout.trim();
  } catch (error) {
    throw error.code === "ENOENT" ? new Error(`there is no ${program}: set BG_WASM_HOST to its path`) : error;
  }
}

// Deploys a charm about that topic, registers it, and answers its name.
async function deploy(topic) {
  const inputs = JSON.stringify({ topic });
  const id = await host("charm", "deploy", "tests/charm.tsx", "--space", "test", "--inputs", inputs);
  const charm = `${await host("space-did", "test")}/${id}`;
  await host("register", charm, "--integration", "{{name}}");
  return charm;
}

// Asks the component which charms have news, and polls those, once.
async function runOnce() {
  const set = ["--set", `{{name}}.api-base-url=${url}`];
  await host("run", "--once", "--component", component, ...set, "--allow-http", url, "--allow-private", url);
}

// How often a charm was polled, as it counts itself.
async function polls(charm) {
  return JSON.parse(await host("charm", "show", charm)).cells.polls;
}
