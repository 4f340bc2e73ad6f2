// The page on which past calls are heard: a list, and one call with its sound, words and deeds.

import { alarm, askForKey, request } from "./api.js";
import { answered, byId, capital, clock, el, facts, milliseconds, spaced } from "./dom.js";
import { showGuard } from "./guard.js";
import { bar, fitted, palette } from "./waves.js";

const PATH = "v1/antiphon/calls";
const PAGE = 30; // calls at a time
const TYPING = 250; // ms of rest after which what was typed is looked for
const NAMES = { caller: "Caller", agent: "Agent" };
const QUIET_EVENTS = new Set(["agent_word", "caller_word"]); // they stand in the turns already

const player = new Audio();
let mixer = null; // the two channels of what is played
let peaks = null; // {caller: [], agent: []}: levels of the whole call
let shown = null; // the call that is open
let words = []; // {start, end, node} in the order of time
let cursor = null;
let asked = 0; // the newest question to the server; answers to older ones are dropped

// -- the list ----------------------------------------------------------------------

async function list(more = false) {
  const mine = ++asked;
  const query = new URLSearchParams({ limit: PAGE });
  if (byId("q").value.trim()) query.set("q", byId("q").value.trim());
  if (byId("bundle").value) query.set("bundle", byId("bundle").value);
  const ago = Number(byId("since").value);
  if (ago) query.set("since", new Date(Date.now() - ago * 1000).toISOString());
  if (more && cursor) query.set("cursor", cursor);
  let page;
  try {
    page = await (await request(PATH + "?" + query)).json();
  } catch (error) {
    if (mine !== asked) return;
    if (error.status === 404) error.message = "This server keeps no calls.";
    trouble(error, () => list());
    return;
  }
  if (mine !== asked) return;
  alarm(byId("alarm"), "");
  if (!more) showGuard(byId("guard"));
  cursor = page.next_cursor;
  const items = page.data.map(entry);
  if (more) byId("list").append(...items);
  else byId("list").replaceChildren(...items);
  byId("more").hidden = !cursor;
  const count = byId("list").childElementCount;
  const filtered = query.has("q") || query.has("since") || query.has("bundle");
  byId("count").textContent = count
    ? cursor ? `The newest ${count} calls` : plural(count, "call")
    : filtered
      ? "No call fits."
      : "No calls yet.";
  knowBundles(page.data);
  mark();
}

function entry(call) {
  const when = el("span", { class: "when" }, el("time", { datetime: call.started }, day(call.started)), length(call));
  const first = el("span", { class: "first" }, call.first_words || "Nobody spoke");
  const facts = [call.bundle, plural(call.turn_count, "turn")];
  if (call.tool_call_count) facts.push(plural(call.tool_call_count, "action"));
  return el(
    "li",
    {},
    el("a", { href: "#" + encodeURIComponent(call.id), "data-id": call.id }, first, when, el("span", { class: "when" }, facts.join(" · "))),
  );
}

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

function length(call) {
  return call.ended === null ? "going on" : call.seconds === null ? "" : clock(call.seconds);
}

function day(iso) {
  const date = new Date(iso);
  const today = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (today) return "Today, " + time;
  return date.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" }) + ", " + time;
}

function knowBundles(calls) {
  const known = new Set([...byId("bundle").options].map((option) => option.value));
  for (const { bundle } of calls) {
    if (bundle && !known.has(bundle)) {
      known.add(bundle);
      byId("bundle").append(el("option", { value: bundle }, bundle));
    }
  }
}

function mark() {
  for (const link of byId("list").querySelectorAll("a")) {
    if (shown && link.dataset.id === shown.id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function trouble(error, again) {
  alarm(byId("alarm"), error.message);
  if (error.key) askForKey(byId("key-form"), again);
}

// -- one call ----------------------------------------------------------------------

async function show(id) {
  stop();
  let record;
  try {
    record = await (await request(`${PATH}/${encodeURIComponent(id)}`)).json();
  } catch (error) {
    leave();
    trouble(error, () => show(id));
    return;
  }
  alarm(byId("alarm"), "");
  const call = record.call;
  shown = call;
  document.body.classList.add("open");
  byId("call").hidden = false;
  byId("nothing").hidden = true;
  byId("call-title").textContent = new Date(call.started).toLocaleString([], { dateStyle: "full", timeStyle: "short" });
  byId("call-facts").textContent = about(record).join(" · ");
  byId("call-guard").hidden = true;
  if (call.ended === null) showGuard(byId("call-guard"), call.id);
  showTurns(record);
  showDeeds(record);
  showEvents(record);
  mark();
  byId("call").focus({ preventScroll: false });
  await showSound(call);
}

function about({ call, latencies, pauses }) {
  const facts = [call.bundle, call.protocol, length(call)];
  if (latencies.p50_ms >= 0 && latencies.answers) facts.push("answers after " + milliseconds(latencies.p50_ms) + " (median)");
  if (pauses.length) facts.push(plural(pauses.length, "pause") + " in the recording");
  if (call.reason && call.reason !== "client") facts.push("ended: " + call.reason);
  return facts.filter(Boolean);
}

function showTurns({ turns, tool_calls: deeds }) {
  words = [];
  const items = turns.map((turn) => {
    const side = turn.speaker === "caller" ? "you" : "agent";
    const said = el("p", { class: "said" });
    turn.words.forEach(([text, start, end], index) => {
      const next = turn.words[index + 1];
      const node = el("button", { type: "button", class: "word", tabindex: index ? "-1" : "0", "data-start": start }, index ? text : capital(text));
      node.addEventListener("click", () => jump(start, true));
      words.push({ start, end: end ?? (next ? next[1] : turn.end), node });
      said.append(index ? " " : "", node);
    });
    const notes = [clock(turn.start)];
    if (turn.gap_ms !== null) notes.push(answered(turn.gap_ms));
    if (turn.tone && turn.tone !== "neutral") notes.push("sounds " + turn.tone);
    if (turn.interrupted) notes.push("interrupted");
    for (const deed of deeds.filter((deed) => deed.turn === turn.index)) notes.push(spaced(deed.name));
    const who = el("span", { class: "who " + side }, NAMES[turn.speaker]);
    const why = el("a", { href: `pages/turn.html#${encodeURIComponent(shown.id)}/${turn.index}` }, "why");
    return el("li", { class: "line " + side }, who, said, el("p", { class: "note" }, notes.join(" · ") + " · ", why));
  });
  words.sort((a, b) => a.start - b.start);
  byId("turns").replaceChildren(...items);
}

function showDeeds({ tool_calls: deeds }) {
  byId("calls-made").hidden = !deeds.length;
  byId("made").replaceChildren(
    ...deeds.map((deed) => {
      const item = el("li", {}, el("b", {}, spaced(deed.name)));
      const { items, ...rest } = deed.arguments || {};
      for (const each of Array.isArray(items) ? items : []) item.append(facts(each));
      if (Object.keys(rest).length) item.append(facts(rest));
      if (deed.result !== null && deed.result !== undefined) {
        const result = typeof deed.result === "string" ? deed.result : JSON.stringify(deed.result);
        item.append(el("p", { class: "quiet" }, "Result: " + result));
      }
      return item;
    }),
  );
}

function showEvents(record) {
  const events = record.events.filter((event) => !QUIET_EVENTS.has(event.type));
  byId("events").hidden = !events.length;
  byId("event-list").replaceChildren(
    ...events.map((event) =>
      el("li", {}, el("span", {}, clock(event.time)), el("span", {}, spaced(event.type)), el("span", {}, brief(event.data))),
    ),
  );
}

function brief(data) {
  return Object.entries(data)
    .filter(([name]) => !["time", "type"].includes(name))
    .map(([name, value]) => `${spaced(name)} ${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(", ");
}

// -- its sound ---------------------------------------------------------------------

async function showSound(call) {
  const kept = ["whole", "salvaged"].includes(call.recording);
  byId("player").hidden = !kept;
  byId("silent").hidden = kept;
  byId("silent").textContent =
    call.recording === "writing" ? "The recording can be heard when the call is over." : "No recording was kept of this call.";
  if (!kept) return;
  byId("play").disabled = true;
  draw();
  try {
    const blob = await (await request(`${PATH}/${encodeURIComponent(call.id)}/audio`)).blob();
    if (shown !== call) return;
    const bytes = await blob.arrayBuffer();
    player.src = URL.createObjectURL(blob);
    player.playbackRate = Number(byId("speed").value);
    const decoder = new OfflineAudioContext(2, 1, 16000);
    const sound = await decoder.decodeAudioData(bytes);
    if (shown !== call) return;
    const last = sound.numberOfChannels - 1;
    peaks = { caller: levels(sound.getChannelData(0)), agent: levels(sound.getChannelData(last)), seconds: sound.duration };
    byId("play").disabled = false;
    byId("waves").setAttribute("aria-valuemax", Math.round(sound.duration));
    tell();
  } catch (error) {
    if (shown === call) {
      byId("player").hidden = true;
      byId("silent").hidden = false;
      byId("silent").textContent = "The recording could not be loaded. " + error.message;
    }
  }
}

const FINE = 0.02; // seconds a level

function levels(samples) {
  const step = Math.round(16000 * FINE);
  const found = new Float32Array(Math.ceil(samples.length / step));
  for (let i = 0; i < samples.length; i++) {
    const loud = Math.abs(samples[i]);
    const at = Math.floor(i / step);
    if (loud > found[at]) found[at] = loud;
  }
  return found;
}

function draw() {
  const canvas = byId("waves");
  if (!canvas.clientWidth) return;
  const [context, width, height] = fitted(canvas);
  const colours = palette();
  const middle = Math.round(height / 2);
  context.fillStyle = colours.line;
  context.fillRect(0, middle - 0.5, width, 1);
  if (!peaks) return;
  const step = 3.5;
  const columns = Math.floor(width / step);
  const now = player.currentTime / peaks.seconds;
  for (const [side, colour, up] of [["caller", colours.you, 1], ["agent", colours.agent, -1]]) {
    const all = peaks[side];
    context.fillStyle = colour;
    for (let column = 0; column < columns; column++) {
      const from = Math.floor((column / columns) * all.length);
      const to = Math.max(from + 1, Math.floor(((column + 1) / columns) * all.length));
      let most = 0;
      for (let i = from; i < to; i++) most = Math.max(most, all[i]);
      context.globalAlpha = column / columns <= now ? 1 : 0.4;
      bar(context, column * step, middle, most, up, middle - 2, 2.5);
    }
  }
  context.globalAlpha = 1;
  context.fillStyle = colours.ink;
  context.fillRect(Math.min(width - 1.5, now * width), 0, 1.5, height);
}

/** The channels apart, so that either side can be heard alone; made at the first play. */
function mix() {
  if (mixer) return;
  const context = new AudioContext();
  const source = context.createMediaElementSource(player);
  const split = context.createChannelSplitter(2);
  source.connect(split);
  mixer = { context };
  ["caller", "agent"].forEach((side, channel) => {
    mixer[side] = context.createGain();
    split.connect(mixer[side], channel);
    mixer[side].connect(context.destination);
  });
  hear();
}

function hear() {
  if (!mixer) return;
  for (const side of ["caller", "agent"]) mixer[side].gain.value = byId("hear-" + side).checked ? 1 : 0;
}

async function play() {
  if (!player.paused) {
    player.pause();
    return;
  }
  mix();
  await mixer.context.resume();
  await player.play();
  frame();
}

function jump(seconds, start = false) {
  if (!peaks) return;
  player.currentTime = Math.max(0, Math.min(seconds, peaks.seconds - 0.01));
  if (start && player.paused) play();
  tell();
}

function stop() {
  player.pause();
  if (player.src) {
    URL.revokeObjectURL(player.src);
    player.removeAttribute("src");
    player.load();
  }
  peaks = null;
}

function frame() {
  tell();
  if (!player.paused) requestAnimationFrame(frame);
}

/** Shows where the call is: line, clock and word. */
function tell() {
  const now = player.currentTime;
  byId("clock").textContent = peaks ? `${clock(now)} / ${clock(peaks.seconds)}` : "";
  byId("waves").setAttribute("aria-valuenow", Math.round(now));
  byId("waves").setAttribute("aria-valuetext", clock(now));
  for (const word of words) {
    // A place in a file is a little before the one that was asked for.
    const on = !(now === 0 && player.paused) && now >= word.start - 0.02 && now < Math.max(word.end, word.start + 0.12) - 0.02;
    if (on !== word.on) {
      word.on = on;
      word.node.classList.toggle("now", on);
      if (on && !player.paused) word.node.closest(".line").scrollIntoView({ block: "nearest", behavior: "smooth" });
    }
  }
  draw();
}

// -- the controls ------------------------------------------------------------------

function leave() {
  stop();
  shown = null;
  document.body.classList.remove("open");
  byId("call").hidden = true;
  byId("nothing").hidden = false;
  mark();
}

function route() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id) show(id);
  else leave();
}

async function remove() {
  const call = shown;
  const dialog = byId("confirm");
  dialog.returnValue = "keep";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "delete") return;
  try {
    await request(`${PATH}/${encodeURIComponent(call.id)}`, { method: "DELETE" });
  } catch (error) {
    trouble(error, remove);
    return;
  }
  history.replaceState(null, "", location.pathname);
  leave();
  await list();
  byId("list").focus();
}

let resting = 0;
byId("q").addEventListener("input", () => {
  clearTimeout(resting);
  resting = setTimeout(() => list(), TYPING);
});
byId("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  list();
});
byId("since").addEventListener("change", () => list());
byId("bundle").addEventListener("change", () => list());
byId("more").addEventListener("click", () => list(true));
byId("back").addEventListener("click", () => {
  history.replaceState(null, "", location.pathname);
  leave();
});
byId("play").addEventListener("click", play);
byId("delete").addEventListener("click", remove);
byId("hear-caller").addEventListener("change", hear);
byId("hear-agent").addEventListener("change", hear);
byId("speed").addEventListener("change", () => {
  player.playbackRate = Number(byId("speed").value);
});
for (const name of ["play", "pause", "ended"]) {
  player.addEventListener(name, () => {
    byId("play").textContent = player.paused ? "Play" : "Pause";
    tell();
  });
}
player.addEventListener("seeked", tell);

const canvas = byId("waves");
const place = (event) => {
  const box = canvas.getBoundingClientRect();
  if (peaks) jump(((event.clientX - box.left) / box.width) * peaks.seconds);
};
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  place(event);
  canvas.onpointermove = place;
});
canvas.addEventListener("pointerup", () => {
  canvas.onpointermove = null;
});
canvas.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -2, ArrowRight: 2, PageDown: -10, PageUp: 10 };
  if (event.key in steps) jump(player.currentTime + steps[event.key]);
  else if (event.key === "Home") jump(0);
  else if (event.key === "End" && peaks) jump(peaks.seconds);
  else if (event.key === " " || event.key === "Enter") play();
  else return;
  event.preventDefault();
});
// Within a turn, the arrows go from word to word.
byId("turns").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || !event.target.classList.contains("word")) return;
  const turn = [...event.target.closest(".said").querySelectorAll(".word")];
  const next = turn[turn.indexOf(event.target) + step];
  if (next) next.focus();
  event.preventDefault();
});
new ResizeObserver(draw).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
window.addEventListener("hashchange", route);

list().then(route);
