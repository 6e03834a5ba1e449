// Takes the token from the part of the address that browsers do not send (`#…`), so that the link that the server prints is enough.
"use strict";

function logIn() {
  const token = location.hash.slice(1);
  if (token === "") return;
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("token").value = token;
  document.querySelector("form").submit();
}

// Also of a link that is pasted where this page is open already.
addEventListener("hashchange", logIn);
logIn();
