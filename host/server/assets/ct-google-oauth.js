// <ct-google-oauth charm="SPACE/ID" scopes="…">, <cf-google-oauth> and <cf-oauth provider="github">: a button with which
// the operator signs in for a charm. On a page of this server it asks in place; on another page it opens the server's
// own page, where the operator confirms: no other page can sign in with the operator's session.
const server = new URL(document.currentScript.src).origin;

class OAuthElement extends HTMLElement {
  static observedAttributes = ["charm", "cell", "provider", "provider-label", "scopes"];

  connectedCallback() {
    if (this.button) return;
    this.button = document.createElement("button");
    this.status = document.createElement("span");
    this.status.setAttribute("role", "status");
    this.button.addEventListener("click", () => this.signIn());
    this.append(this.button, " ", this.status);
    this.show();
  }

  attributeChangedCallback() {
    this.show();
  }

  get provider() {
    return this.getAttribute("provider") ?? (this.localName === "cf-oauth" ? "" : "google");
  }

  show() {
    if (!this.button) return;
    const label = this.getAttribute("provider-label") ?? this.provider.replace(/^./, (c) => c.toUpperCase());
    this.button.textContent = `Sign in with ${label}`;
  }

  say(text) {
    this.status.textContent = text;
  }

  async signIn() {
    const [charm, cell] = [this.getAttribute("charm") ?? "", this.getAttribute("cell")];
    const scopes = (this.getAttribute("scopes") ?? "").split(/[\s,]+/).filter(Boolean);
    if (server !== location.origin) {
      const query = new URLSearchParams({ provider: this.provider, charm, scopes: scopes.join(" "), cell: cell ?? "" });
      window.open(`${server}/admin/accounts?${query}`, "_blank", "noopener");
      this.say("Go on in the window of the server.");
      return;
    }
    // Opened at once, or browsers take it for an advertisement.
    const popup = window.open("", "_blank", "popup,width=600,height=700");
    try {
      const body = JSON.stringify({ charm, cell: cell || undefined, scopes });
      const headers = { "Content-Type": "application/json" };
      const reply = await fetch(`/api/integrations/${this.provider}-oauth/login`, { method: "POST", headers, body });
      const { url, error } = await reply.json();
      if (!reply.ok) throw new Error(error ?? `the server answers ${reply.status}`);
      this.listen();
      if (popup) popup.location = url;
      else location.href = url;
      this.say("Go on in the other window.");
    } catch (error) {
      popup?.close();
      this.say(error.message);
    }
  }

  listen() {
    const channel = new BroadcastChannel("oauth-callback");
    const heard = ({ data }) => {
      if (data?.type !== "oauth-callback") return;
      channel.close();
      this.say(data.result.success ? "Signed in." : data.result.error);
      this.dispatchEvent(new CustomEvent("oauth-complete", { bubbles: true, detail: data.result }));
    };
    channel.onmessage = heard;
  }
}

for (const name of ["ct-google-oauth", "cf-google-oauth", "cf-oauth"]) {
  if (!customElements.get(name)) customElements.define(name, class extends OAuthElement {});
}
