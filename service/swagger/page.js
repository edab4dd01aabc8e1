// Shows /openapi.json. Where the service asks for a key, so does the page; it is kept in this tab's memory only.
"use strict";

const form = document.getElementById("asking");
const field = document.getElementById("key");
const refusal = document.getElementById("refusal");

function refuse(error) {
  refusal.textContent = error.message;
}

async function show(key) {
  const answer = await fetch("openapi.json", { headers: key ? { Authorization: `Bearer ${key}` } : {} });
  const found = await answer.json();
  if (!answer.ok) {
    form.hidden = false;
    if (key || answer.status !== 401) refuse(found.error);
    return;
  }
  form.remove();
  const servers = [{ url: new URL(".", location).pathname.replace(/\/$/, "") || "/" }]; // also behind a path
  const ui = SwaggerUIBundle({
    spec: { ...found, servers },
    dom_id: "#shown",
    deepLinking: true,
    validatorUrl: null,
    onComplete: () => key && ui.preauthorizeApiKey("key", key),
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  show(field.value.trim()).catch(refuse);
});
show("").catch(refuse);
