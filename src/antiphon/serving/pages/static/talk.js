// The page on which a person talks to the agent.

import { alarm, askForKey, request, Trouble } from "./api.js";
import { openMicrophone, Sound } from "./audio.js";
import { byId, capital, clock, el, facts, milliseconds } from "./dom.js";
import { connect } from "./live.js";
import { Waves } from "./waves.js";
import { Words } from "./words.js";

const talk = byId("talk");
const mute = byId("mute");
const captions = byId("captions");
const waves = new Waves(byId("waves"));
const words = new Words(byId("lines"), byId("log"), {
  caller: byId("caption-caller"),
  agent: byId("caption-agent"),
});

let agent = { name: "", ice_servers: [], key_needed: false };
let session = null;
let attempt = null; // the call that is on, or that is being tried
let sound = null;
let stream = null;
let ticking = 0;
let gaps = [];
let speaking = false;

// -- the agent ---------------------------------------------------------------------

async function introduce() {
  try {
    agent = await (await request("pages/agent.json")).json();
  } catch (error) {
    alarm(byId("alarm"), error.message);
    return;
  }
  byId("agent-name").textContent = agent.name;
  if (agent.description) byId("description").textContent = agent.description;
  byId("try").hidden = !agent.examples.length;
  byId("examples").replaceChildren(...agent.examples.map((text) => el("li", {}, capital(text))));
}

// -- a call ------------------------------------------------------------------------

async function call() {
  const mine = (attempt = {});
  const current = () => attempt === mine;
  alarm(byId("alarm"), "");
  byId("key-form").hidden = true;
  state("Connecting …", "Cancel");
  reset();
  try {
    const speakers = await Sound.open();
    if (!current()) return void speakers.close();
    sound = speakers;
    const microphone = await openMicrophone(byId("echo").checked);
    if (!current()) return void silence(microphone);
    stream = microphone;
    const opened = await connect(transport(), {
      stream,
      sound,
      agent,
      onMessage: (message) => current() && react(message),
      onEnd: (said) => current() && finish(said),
      onLevel: (side, level) => current() && waves.push(side, level),
    });
    if (!current()) return void opened.close();
    session = opened;
    mute.disabled = false;
    ticking = setInterval(tick, 80);
    state("Listening", "Hang up");
  } catch (error) {
    if (current()) finish(error instanceof Trouble ? error.message : "The call failed: " + error.message, error.key);
  }
}

/** Ends a call, or the attempt to begin one. */
function hangUp() {
  const ending = session;
  finish("");
  if (ending) ending.close();
}

const silence = (stream) => stream.getTracks().forEach((track) => track.stop());

/** The call is over; `said` tells why if it was not the person's wish. */
function finish(said, wantsKey = false) {
  session = attempt = null;
  clearInterval(ticking);
  if (stream) silence(stream);
  if (sound) sound.close().catch(() => {});
  stream = sound = null;
  words.sounded(Infinity);
  mute.disabled = true;
  pressed(mute, false);
  mute.textContent = "Mute";
  byId("tone").hidden = true;
  talk.dataset.live = "false";
  state(byId("lines").childElementCount ? "The call is over" : "Ready", "Talk");
  alarm(byId("alarm"), said);
  if (wantsKey) askForKey(byId("key-form"), call);
}

function reset() {
  words.clear();
  waves.clear();
  gaps = [];
  showGaps();
  showOrder([], []);
  byId("invite").hidden = true;
  byId("time").textContent = "0:00";
}

function tick() {
  if (!session) return;
  byId("time").textContent = clock(session.seconds);
  words.sounded(session.seconds);
}

// -- what the server tells ---------------------------------------------------------

function react(message) {
  switch (message.type) {
    case "session.output_audio.delta":
      if (session) session.audio(message.delta);
      break;
    case "session.input_transcript.delta":
      words.add("caller", message.delta, message.start_ms / 1000);
      break;
    case "session.output_transcript.delta":
      words.add("agent", message.delta, message.start_ms / 1000);
      if (!speaking) state("The agent speaks", "Hang up");
      speaking = true;
      break;
    case "antiphon.turn":
      words.finish(message.turn);
      if (message.turn.speaker === "agent") {
        speaking = false;
        state("Listening", "Hang up");
        if (message.turn.gap_ms >= 0) {
          gaps.push(message.turn.gap_ms);
          showGaps();
        }
      }
      break;
    case "antiphon.tone":
      byId("tone").textContent = message.tone;
      byId("tone").hidden = false;
      break;
    case "antiphon.order":
      showOrder(message.items, message.order ? message.order.items : []);
      break;
  }
}

function showOrder(items, slots) {
  const list = byId("order");
  const before = [...list.children].map((item) => item.dataset.text);
  list.replaceChildren(
    ...items.map((text, index) => {
      const item = el("li", { "data-text": text, class: before[index] === text ? "" : "new" }, el("b", {}, text || "Item"));
      item.append(facts(slots[index] || {}));
      return item;
    }),
  );
}

function showGaps() {
  const last = gaps.at(-1);
  byId("last-gap").textContent = last === undefined ? "–" : milliseconds(last);
  const sorted = [...gaps].sort((a, b) => a - b);
  const median = sorted.length ? sorted[Math.floor((sorted.length - 1) / 2)] : null;
  byId("gaps-note").textContent =
    gaps.length > 1
      ? `Median of ${gaps.length} answers: ${milliseconds(median)}.`
      : "From the end of your last word to the agent's first sound.";
  const most = Math.max(1000, ...gaps);
  byId("gaps").setAttribute("aria-label", gaps.length ? "Answers after " + gaps.map(milliseconds).join(", ") : "No answers yet");
  byId("gaps").replaceChildren(
    ...(gaps.length > 1 ? gaps.slice(-24) : []).map((gap) => {
      const bar = el("i", { title: milliseconds(gap) });
      bar.style.height = Math.max(4, (100 * Math.max(0, gap)) / most) + "%";
      return bar;
    }),
  );
}

// -- the controls ------------------------------------------------------------------

function state(said, button) {
  byId("status").textContent = said;
  talk.textContent = button;
  talk.dataset.live = String(button !== "Talk");
}

function pressed(button, on) {
  button.setAttribute("aria-pressed", String(on));
}

const transport = () => document.querySelector("input[name=transport]:checked").value;

function press() {
  if (attempt) hangUp();
  else call();
}

function toggleMute() {
  if (!session) return;
  const on = mute.getAttribute("aria-pressed") !== "true";
  pressed(mute, on);
  mute.textContent = on ? "Unmute" : "Mute";
  session.mute(on);
  state(on ? "Muted" : "Listening", "Hang up");
}

function toggleCaptions(on) {
  captions.hidden = !on;
  document.body.classList.toggle("captioned", on);
  pressed(byId("show-captions"), on);
  localStorage.setItem("antiphon.captions", on ? "on" : "");
}

talk.addEventListener("click", press);
mute.addEventListener("click", toggleMute);
byId("show-captions").addEventListener("click", () => toggleCaptions(captions.hidden));
for (const choice of document.querySelectorAll("input[name=transport]")) {
  choice.checked = choice.value === (localStorage.getItem("antiphon.transport") || "websocket");
  choice.addEventListener("change", () => localStorage.setItem("antiphon.transport", transport()));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target instanceof Element && event.target.matches("input:not([type=radio], [type=checkbox]), select, textarea")) return;
  if (event.key === "t" || event.key === "T") press();
  else if (event.key === "m" || event.key === "M") toggleMute();
  else if (event.key === "c" || event.key === "C") toggleCaptions(captions.hidden);
  else if (event.key === "Escape" && attempt) hangUp();
  else return;
  event.preventDefault();
});

window.addEventListener("pagehide", () => session && session.close());

toggleCaptions(localStorage.getItem("antiphon.captions") === "on");
waves.draw();
introduce();
