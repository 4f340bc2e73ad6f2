// One turn of a past call, explained: what was heard, meant, checked and done, and when.

import { alarm, askForKey, request } from "./api.js";
import { answered, byId, capital, el, facts, milliseconds, spaced } from "./dom.js";

const PATH = "../v1/antiphon/calls";
const NAMES = { caller: "The caller", agent: "The agent" };
const CUT = {
  client: "It was stopped by the client",
  caller: "It yielded to the caller",
  guard: "The guard replaced the rest",
};
const TONES = { n: "neutral", a: "annoyed", h: "hesitant", c: "cheerful" };

const seconds = (value) => (value === null ? "?" : value.toFixed(2) + " s");

async function show() {
  const [id, index] = decodeURIComponent(location.hash.slice(1)).split("/");
  byId("back").href = "../calls#" + encodeURIComponent(id || "");
  let turn;
  try {
    turn = await (await request(`${PATH}/${encodeURIComponent(id)}/turns/${encodeURIComponent(index)}`)).json();
  } catch (error) {
    alarm(byId("alarm"), error.message);
    byId("account").replaceChildren();
    if (error.key) askForKey(byId("key-form"), show);
    return;
  }
  alarm(byId("alarm"), "");
  byId("title").textContent = `${NAMES[turn.speaker]}: ${turn.text || "no words"}`;
  const by = turn.answered_by;
  const version = [by.version, by.bundle, by.fingerprint].filter(Boolean).join(" ");
  byId("about").textContent = [
    `Turn ${turn.index + 1} of ${turn.turns}`,
    "answered by " + version,
    by.seed === null ? "" : "seed " + by.seed,
    turn.paused ? "a part of it was not kept" : "",
  ].filter(Boolean).join(" · ");
  byId("account").replaceChildren(
    ...[times(turn), meant(turn), heard(turn), made(turn), checks(turn), words(turn)].filter(Boolean),
  );
  byId("steps").replaceChildren(...steps(id, turn));
}

function part(title, ...children) {
  return el("section", { class: "events" }, el("h2", {}, title), ...children);
}

function rows(items) {
  return el("ol", {}, ...items.map((cells) => el("li", {}, ...cells.map((cell) => el("span", {}, cell)))));
}

function times({ timings, states }) {
  const items = [];
  if (timings.asked !== null) items.push([seconds(timings.asked), "asked", "the caller's last word was over"]);
  if (timings.decided !== null) items.push([seconds(timings.decided), "decided", "its first word came out of the network"]);
  items.push([seconds(timings.start), "began", timings.gap_ms === null ? "" : answered(timings.gap_ms)]);
  items.push([seconds(timings.end), "ended", ""]);
  for (const [time, state, sure] of states) items.push([seconds(time), "part", `${state} (${Math.round(sure * 100)} %)`]);
  items.sort((a, b) => parseFloat(a[0]) - parseFloat(b[0]));
  return part("When", rows(items));
}

function meant({ meant: account }) {
  if (!account) return null;
  const items = [["said", "", account.said]];
  if (account.meant !== account.said) items.push(["meant", "", account.meant]);
  if (account.phrase) items.push(["instead", "", account.phrase]);
  if (account.cut_by) items.push(["cut", "", CUT[account.cut_by]]);
  for (const word of account.unheard) items.push([seconds(word.start), "not heard", word.text]);
  return part("Said and meant", rows(items));
}

/** Runs of one tone, each with how sure the network was in it. */
function heard({ hearing, tones, speaker }) {
  if (!hearing && !tones.length) return null;
  const items = tones.map((tone) => [seconds(tone.time), "tone told", `${tone.tone} (${Math.round(tone.probability * 100)} %)`]);
  if (hearing) {
    let from = 0;
    for (let at = 1; at <= hearing.tone.length; at++) {
      if (at < hearing.tone.length && hearing.tone[at] === hearing.tone[from]) continue;
      const sure = mean(hearing.confidence.slice(from, at));
      const voice = mean(hearing.voice.slice(from, at));
      const start = hearing.start + from * 0.08;
      const text = `${TONES[hearing.tone[from]]} for ${((at - from) * 0.08).toFixed(2)} s, confidence ${sure} %, voice ${voice} %`;
      items.push([seconds(start), "frames", text]);
      from = at;
    }
  }
  return part(speaker === "caller" ? "How it was heard" : "How the caller was heard", rows(items));
}

const mean = (values) => Math.round(values.reduce((sum, value) => sum + value, 0) / values.length);

function made({ calls }) {
  if (!calls.length) return null;
  return part("Done", ...calls.map((call) => {
    const when = call.made === null ? "" : " at " + seconds(call.made);
    const item = el("div", {}, el("p", {}, el("b", {}, spaced(call.name)), when), facts(call.arguments || {}));
    if (call.result !== null) {
      const result = typeof call.result === "string" ? call.result : JSON.stringify(call.result);
      const after = call.result_ms === null ? "" : " after " + milliseconds(call.result_ms);
      item.append(el("p", { class: "quiet" }, `Result${after}: ${result}`));
    }
    return item;
  }));
}

function checks({ checks: found, speaker }) {
  if (!found.length) return speaker === "agent" ? part("Checks", el("p", { class: "quiet" }, "Nothing was found.")) : null;
  return part("Checks", rows(found.map((check) => [
    seconds(check.time),
    spaced([check.check, check.verdict].filter(Boolean).join(": ")),
    [check.reason, check.text && `“${check.text}”`, check.heard ? "some of it was heard" : ""].filter(Boolean).join(" "),
  ])));
}

function words({ words: said }) {
  const silent = (word) => (word.sounded === false ? "not audible in the recording" : "");
  return part("Words", rows(said.map((word) => [seconds(word.start), capital(word.text), silent(word)])));
}

function steps(id, turn) {
  const link = (index, text) => el("a", { href: "#" + encodeURIComponent(id) + "/" + index }, text);
  const found = [];
  if (turn.index > 0) found.push(link(turn.index - 1, "The turn before"), " ");
  if (turn.index + 1 < turn.turns) found.push(link(turn.index + 1, "The next turn"));
  return found;
}

addEventListener("hashchange", show);
show();
