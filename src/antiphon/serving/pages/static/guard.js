// Who answers: the agent unheld, the agent checked, the cascade, or a person. Shows it, and lets
// an operator hold it there with a reason.

import { request } from "./api.js";
import { el } from "./dom.js";

const PATH = "v1/antiphon/guard";
const LEVELS = {
  end_to_end: "The agent, unheld",
  guarded: "The agent, checked",
  cascade: "The cascade",
  handover: "A person",
};

/** Fills a <details> with who answers all calls, or one that goes on; hides it where none is told. */
export async function showGuard(node, call = null) {
  const path = call ? `${PATH}/calls/${encodeURIComponent(call)}` : PATH;
  node.dataset.path = path; // an answer for another call than is shown by now is dropped
  let state;
  try {
    const about = await (await request("pages/agent.json")).json();
    if (!about.guarded) return;
    state = await (await request(path)).json();
  } catch {
    node.hidden = true; // the call is over, or not guarded
    return;
  }
  if (node.dataset.path === path) draw(node, path, state);
}

function draw(node, path, state) {
  const all = state.services ?? [state];
  node.hidden = !all.length;
  if (!all.length) return;
  const told = all.map((each) => LEVELS[each.level] + (each.held ? ", held by an operator" : ""));
  const parts = [el("summary", {}, "Who answers: " + [...new Set(told)].join(" · "))];
  for (const reason of new Set(all.map((each) => each.reason).filter(Boolean))) parts.push(el("p", { class: "quiet" }, reason));
  if (state.may_switch !== false) parts.push(form(node, path));
  node.replaceChildren(...parts);
}

function form(node, path) {
  const options = Object.entries(LEVELS).map(([value, name]) => el("option", { value }, name));
  const level = el("select", { "aria-label": "Who shall answer" }, ...options, el("option", { value: "" }, "As the guard finds"));
  const reason = el("input", { placeholder: "Why", "aria-label": "Why", required: true, maxlength: 300, autocomplete: "off" });
  const said = el("p", { class: "alarm", role: "alert", hidden: true });
  const made = el("form", { class: "filter" }, level, reason, el("button", { type: "submit" }, "Switch"), said);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = JSON.stringify({ level: level.value || null, reason: reason.value });
    try {
      const options = { method: "POST", body, headers: { "Content-Type": "application/json" } };
      const state = await (await request(path, options)).json();
      if (node.dataset.path === path) draw(node, path, state);
    } catch (error) {
      said.hidden = false;
      said.textContent = error.message;
    }
  });
  return made;
}
