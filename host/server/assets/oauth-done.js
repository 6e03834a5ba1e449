// Tells the page that began a sign-in how it ended. The opener is lost if the popup was at a provider that cuts it off;
// a channel of this origin reaches the page all the same. It gets no token.
const success = document.currentScript.dataset.success === "true";
const message = { type: "oauth-callback", result: success ? { success } : { success, error: "the sign-in failed" } };
window.opener?.postMessage(message, location.origin);
new BroadcastChannel("oauth-callback").postMessage(message);
if (success) setTimeout(() => window.close(), 2000);
