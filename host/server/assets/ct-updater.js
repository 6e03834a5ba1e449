// <ct-updater charm-id="baedrei…" space="did:key:z6Mk…" integration="gmail"></ct-updater>
//
// A button that registers a charm for background updates with the server that this script comes from (or with that of the attribute `api-url`).
// What the element does not say itself, the page may: an element around it with `data-charm-id` and `data-space`, or
// <meta name="charm-id" content="…"> and <meta name="space" content="…">. The attribute `piece-id` stands for `charm-id`, too.
//
// Its attribute `state` is `pending`, `success` or `failure` once it was pressed; the events `ct-updater-success` and `ct-updater-failure` tell of
// the end, the latter with the reason in `detail.error`.
"use strict";
(() => {
  // A module (`type="module"`) does not know where it comes from.
  const home = document.currentScript?.src;
  const patience = 20000;

  const style = new CSSStyleSheet();
  style.replaceSync(`
    :host { display: inline-flex; gap: .6em; align-items: center; font: inherit; }
    button { font: inherit; padding: .3em .8em; border: 1px solid currentcolor; border-radius: .4em; background: none; color: inherit; cursor: pointer; }
    button:disabled { opacity: .6; cursor: progress; }
    :host([state=success]) button { border-style: dashed; }
    :host([state=success]) span::before { content: "✓ "; }
    :host([state=failure]) span::before { content: "✗ "; }
  `);

  class CtUpdater extends HTMLElement {
    #button = document.createElement("button");
    #status = document.createElement("span");

    constructor() {
      super();
      const root = this.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = [style];
      this.#button.type = "button";
      this.#button.part = "button";
      this.#status.setAttribute("role", "status");
      this.#status.part = "status";
      this.#button.append(document.createElement("slot"));
      root.append(this.#button, this.#status);
      this.#button.addEventListener("click", () => this.register());
    }

    connectedCallback() {
      if (this.textContent.trim() === "") this.#button.textContent = "Update in the background";
    }

    // Of an attribute with one of these names: the element's own, or that of the page around it.
    #given(...names) {
      for (const name of names) {
        const own = this.getAttribute(name);
        const around = this.closest(`[data-${name}]`)?.getAttribute(`data-${name}`);
        const page = document.querySelector(`meta[name="${name}"]`)?.content;
        const found = own || around || page;
        if (found) return found;
      }
      return undefined;
    }

    #show(state, text) {
      this.setAttribute("state", state);
      this.#status.textContent = text;
      this.#button.disabled = state === "pending";
    }

    #fail(error) {
      this.#show("failure", error);
      this.dispatchEvent(new CustomEvent("ct-updater-failure", { bubbles: true, composed: true, detail: { error } }));
    }

    async register() {
      if (this.getAttribute("state") === "pending") return;
      const charmId = this.#given("charm-id", "piece-id");
      const [space, integration] = [this.#given("space"), this.getAttribute("integration") ?? undefined];
      const server = this.getAttribute("api-url") ?? home;
      const asked = { "charm-id": charmId, space, integration, "api-url": server };
      const missing = Object.keys(asked).filter((name) => !asked[name]);
      if (missing.length > 0) return this.#fail(`the page does not say: ${missing.join(", ")}`);
      this.#show("pending", "Registering…");
      const url = new URL("/api/integrations/bg", server);
      try {
        // No Content-Type of JSON: for that, a browser would ask the server first.
        const body = JSON.stringify({ charmId, space, integration });
        const answer = await fetch(url, { method: "POST", body, signal: AbortSignal.timeout(patience) });
        const said = await answer.json().catch(() => ({}));
        if (!answer.ok || said.success !== true) return this.#fail(said.error ?? `the server answered ${answer.status}`);
      } catch (error) {
        const late = error instanceof DOMException && error.name === "TimeoutError";
        return this.#fail(late ? `${url.origin} does not answer` : `${url.origin} cannot be reached`);
      }
      this.#show("success", "Registered");
      this.dispatchEvent(new CustomEvent("ct-updater-success", { bubbles: true, composed: true }));
    }
  }

  if (!customElements.get("ct-updater")) customElements.define("ct-updater", CtUpdater);
})();
