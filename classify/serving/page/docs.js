"use strict";
const HERE = new URL(".", document.currentScript.src);

async function tried(button) {
  const { path, method, body } = button.dataset;
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const options = { method, headers, credentials: "omit" };
  if (method === "POST") {
    options.body = body || await (await fetch(new URL("example.png", HERE))).blob();
    headers["Content-Type"] = body ? "application/json" : "application/octet-stream";
  }
  const answer = await fetch(new URL(path.slice(1), HERE), options);
  return `${answer.status}\n${await answer.text()}`;
}

for (const button of document.querySelectorAll("button[data-path]")) {
  button.addEventListener("click", async () => {
    const result = button.closest("section").querySelector(".result");
    result.hidden = false;
    result.textContent = "…";
    try {
      result.textContent = await tried(button);
    } catch (problem) {
      result.textContent = problem.message;
    }
  });
}
