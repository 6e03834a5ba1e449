// Keeps a page up to date. Without it, every page works, and shows how things were when it was loaded.
"use strict";

const main = document.getElementById("main");
const button = document.getElementById("live");
let source = null;

// Times are written as they are in UTC; shown is how long ago they were, or how soon they will be.
const units = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
const relative = new Intl.RelativeTimeFormat("en", { style: "short", numeric: "always" });

function tellTimes(within) {
  for (const time of within.querySelectorAll("time")) {
    const seconds = Math.round((Date.parse(time.dateTime) - Date.now()) / 1000);
    const [length, unit] = units.find(([length]) => Math.abs(seconds) >= 2 * length) ?? [1, "second"];
    const text = time.dataset.due !== undefined && seconds <= 0 ? "now" : relative.format(Math.trunc(seconds / length), unit);
    if (time.textContent !== text) {
      time.title = time.dateTime;
      time.textContent = text;
    }
  }
}

// Puts a part of the page in the place of the one with the same ID. What has the focus keeps it, as long as it is still there.
function replace(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const fresh = template.content.firstElementChild;
  const old = fresh && document.getElementById(fresh.id);
  if (!old) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const place = [...old.querySelectorAll(".scroll")].map((scroll) => scroll.scrollLeft);
  tellTimes(template.content);
  old.replaceWith(fresh);
  fresh.querySelectorAll(".scroll").forEach((scroll, at) => { scroll.scrollLeft = place[at] ?? 0; });
  if (focused !== "") document.getElementById(focused)?.focus({ preventScroll: true });
  if (fresh.tagName === "TR") fresh.classList.add("changed");
}

// What is shown may be old, and says so.
function lost(is) {
  button.classList.toggle("lost", is);
  button.textContent = is ? "Connection lost" : "Live";
}

// Reloads the page; after a while, if that was just done and did not help.
function again() {
  setTimeout(() => location.reload(), Math.max(0, 5000 - performance.now()));
}

function listen() {
  if (source || main.dataset.live === undefined || document.hidden || button.getAttribute("aria-pressed") !== "true") return;
  source = new EventSource(main.dataset.live);
  source.addEventListener("open", () => lost(false));
  source.addEventListener("part", (event) => replace(event.data));
  source.addEventListener("gone", again);
  // A browser tries again by itself, unless the answer was an error: then the session has ended, most likely.
  source.addEventListener("error", () => {
    lost(true);
    if (source?.readyState === EventSource.CLOSED) again();
  });
}

function stop() {
  lost(false);
  source?.close();
  source = null;
}

if (main.dataset.live !== undefined) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    if (on) listen(); else stop();
  });
  // A page that nobody sees needs no connection, of which browsers have six for each server.
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else listen(); });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", listen);
  listen();
}
tellTimes(document);
setInterval(() => tellTimes(document), 1000);

// The message of the last action does not appear again when the page is reloaded.
const here = new URL(location);
if (here.searchParams.has("said")) {
  here.searchParams.delete("said");
  history.replaceState(null, "", here);
}
