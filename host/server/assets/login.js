// Takes the token from the part of the address that browsers do not send (`#…`), so that the link that the server prints is enough.
"use strict";
const token = location.hash.slice(1);
if (token !== "") {
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("token").value = token;
  document.querySelector("form").submit();
}
