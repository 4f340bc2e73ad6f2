"use strict";
(() => {
  const { cases } = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const list = byId("list"), pane = byId("case"), filters = byId("filters"), count = byId("count");
  const MOST = 250; // rows shown before one asks for all
  let shown = [], current = -1, all = false, audio = null, strip = null;

  // ---------------------------------------------------------------- light and dark
  const root = document.documentElement;
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* file:// */ } };
  const recall = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const dark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  if (recall("theme")) root.dataset.theme = recall("theme");
  function turn() {
    root.dataset.theme = dark() ? "light" : "dark";
    remember("theme", root.dataset.theme);
    if (strip) strip.draw();
  }
  byId("theme").addEventListener("click", turn);

  // ---------------------------------------------------------------- small parts
  function make(name, text = "", attributes = {}) {
    const element = document.createElement(name);
    if (text !== "") element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }
  const sign = (ok) => ok === true ? "✓" : ok === false ? "✗" : "·";
  const tint = (ok) => ok === true ? "right" : ok === false ? "wrong" : "quiet";
  const said = (ok) => ok === true ? "right" : ok === false ? "wrong" : "not judged";
  const figure = (value) => value === null ? "-" : Number(value.toFixed(3)).toString();

  // ---------------------------------------------------------------- filters
  const suitesOf = (one) => new Set([one.suite, ...one.verdicts.map((v) => v.suite)]);
  function okOf(one, suite) {
    if (!suite) return one.ok;
    const own = one.verdicts.filter((v) => v.suite === suite && v.ok !== null);
    return own.length ? own.every((v) => v.ok) : null;
  }
  function fill(name, values) {
    for (const value of [...new Set(values)].sort()) {
      filters.elements[name].append(make("option", value.replaceAll("_", " "), { value }));
    }
  }
  fill("suite", cases.flatMap((one) => [...suitesOf(one)]));
  fill("kind", cases.map((one) => one.kind));
  fill("condition", cases.map((one) => one.condition));

  // What was only slow comes after what was wrong.
  const slow = (one) => one.verdicts.every((v) => v.ok !== false || v.suite === "latency");
  const rank = ({ one, ok }) => ok === false ? (slow(one) ? 1 : 0) : ok === null ? 3 : 2;
  function sift() {
    const wanted = Object.fromEntries(new FormData(filters));
    const text = (wanted.text || "").toLowerCase();
    shown = cases.map((one, at) => ({ one, at, ok: okOf(one, wanted.suite) })).filter(({ one, ok }) =>
      (!wanted.suite || suitesOf(one).has(wanted.suite))
      && (!wanted.kind || one.kind === wanted.kind)
      && (!wanted.condition || one.condition === wanted.condition)
      && (!wanted.ok || String(ok) === wanted.ok)
      && (!wanted.sound || one.picture)
      && (!text || [one.id, one.caller, one.heard, one.agent, ...one.calls,
        ...one.verdicts.map((v) => v.why)].join(" ").toLowerCase().includes(text)));
    shown.sort((a, b) => rank(a) - rank(b) || !a.one.picture - !b.one.picture || a.at - b.at);
    fillList();
  }
  function fillList() {
    list.replaceChildren();
    const rows = all ? shown : shown.slice(0, MOST);
    for (const { one, at, ok } of rows) {
      const row = make("div", "", { class: "row", role: "option", id: `row-${at}`, "data-at": at });
      row.setAttribute("aria-selected", at === current);
      row.append(make("span", sign(ok), { class: tint(ok), title: said(ok) }));
      row.append(make("span", one.id, { class: "id" }));
      row.append(make("span", one.picture ? "♪" : "", { class: "quiet", title: "with sound" }));
      const faults = one.verdicts.filter((v) => v.ok === false && v.why);
      const wrong = faults.find((v) => v.suite !== "latency") || faults[0];
      row.append(make("small", wrong ? wrong.why : `${one.kind.replaceAll("_", " ")}, ${one.condition}`));
      list.append(row);
    }
    if (rows.length < shown.length) {
      const more = make("button", `show all ${shown.length}`, { type: "button", id: "more" });
      more.addEventListener("click", () => { all = true; fillList(); });
      list.append(more);
    }
    count.textContent = `${shown.length} of ${cases.length}`;
    list.setAttribute("aria-activedescendant", current >= 0 ? `row-${current}` : "");
  }
  filters.addEventListener("input", sift);
  list.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row) choose(Number(row.dataset.at));
  });

  // ---------------------------------------------------------------- one case
  function reveal(row) { // scrollIntoView would move the page too
    const top = row.offsetTop - list.offsetTop;
    if (top < list.scrollTop) list.scrollTop = top;
    const under = top + row.offsetHeight - list.clientHeight;
    if (under > list.scrollTop) list.scrollTop = under;
  }
  function choose(at) {
    if (audio) audio.pause();
    if (strip) strip.stop();
    audio = strip = null;
    current = at;
    for (const row of list.querySelectorAll(".row")) {
      const own = Number(row.dataset.at) === at;
      row.setAttribute("aria-selected", own);
      if (own) reveal(row);
    }
    list.setAttribute("aria-activedescendant", `row-${at}`);
    const one = cases[at];
    pane.replaceChildren(make("h3", one.id));
    pane.append(make("p", `${one.suite} · ${one.kind.replaceAll("_", " ")} · ${one.condition} · `
      + `${one.seconds.toFixed(1)} s · seed ${one.seed}`, { class: "quiet" }));
    pane.append(verdicts(one));
    if (one.picture) pane.append(...player(one, at));
    else {
      const note = make("p", "Its sound is not on this page: ", { class: "quiet" });
      note.append(make("a", one.sound, { href: one.sound.split("/").map(encodeURIComponent).join("/") }));
      pane.append(note);
    }
    pane.append(texts(one));
  }
  function verdicts(one) {
    const box = make("ul", "", { class: "verdicts" });
    for (const v of one.verdicts) {
      const line = make("li");
      line.append(make("b", `${sign(v.ok)} ${v.suite}`, { class: tint(v.ok) }));
      line.append(` ${v.why || said(v.ok)} `);
      const values = Object.entries(v.values).filter(([, value]) => value !== null);
      if (values.length) {
        line.append(make("span", values.map(([name, value]) =>
          `${name.split(".").pop().replaceAll("_", " ")} ${figure(value)}`).join(" · "), { class: "quiet" }));
      }
      box.append(line);
    }
    return box;
  }
  function texts(one) {
    const rows = make("dl");
    const pairs = [["caller says", one.caller], ["system hears", one.heard], ["system says", one.agent],
      ...one.calls.map((call) => ["call", call])];
    for (const [name, text] of pairs) {
      if (!text && name !== "system says") continue;
      const value = make("dd");
      value.append(name === "call" ? make("code", text) : text || "(told no words)");
      rows.append(make("dt", name), value);
    }
    return rows;
  }
  function player(one, at) {
    // The sound becomes a player when its case is opened, not before.
    audio = new Audio(`data:audio/ogg;base64,${byId(`sound-${at}`).textContent.trim()}`);
    const controls = make("div", "", { class: "player" });
    const button = make("button", "▶ play", { type: "button", id: "play" });
    const clock = make("span", `0.0 / ${one.seconds.toFixed(1)} s`, { class: "quiet", id: "clock" });
    button.addEventListener("click", toggle);
    const own = audio;
    own.addEventListener("play", () => { button.textContent = "❚❚ pause"; strip.follow(); });
    own.addEventListener("pause", () => { button.textContent = "▶ play"; });
    own.addEventListener("error", () => { clock.textContent = "this browser plays no Opus"; });
    controls.append(button, clock, make("span", "left: agent, right: caller", { class: "quiet" }));
    const frame = make("div", "", { class: "strip" });
    const canvas = make("canvas", "", { role: "img",
      "aria-label": `Waveforms of agent and caller over ${one.seconds.toFixed(1)} seconds` });
    frame.append(canvas);
    strip = drawing(canvas, frame, one, own, clock);
    requestAnimationFrame(() => strip && strip.draw());
    const key = make("div", "", { class: "key" });
    const kinds = [...new Set(one.picture.events.filter((e) => e[3] > e[2]).map((e) => e[1]))];
    for (const kind of kinds) {
      const entry = make("span");
      const swatch = make("i");
      swatch.style.background = shade(kind);
      entry.append(swatch, kind.replaceAll("_", " "));
      key.append(entry);
    }
    return [controls, frame, key];
  }
  function toggle() {
    if (!audio) return;
    if (audio.paused) audio.play().catch(() => {}); else audio.pause();
  }

  // ---------------------------------------------------------------- the two channels
  const SHADES = { turn: "#7a8794", pause: "#d9a400", barge_in: "#d03a3a", backchannel: "#2f9e6e",
    side_talk: "#8b5cc7", noise: "#a0724f" };
  const shade = (kind) => SHADES[kind] || "#7a8794";
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

  function drawing(canvas, frame, one, sound, clock) {
    const outlines = one.picture.outline.map(bytes);
    const LANE = 66, WORDS = 34, MARKS = 34, AXIS = 20, LEFT = 52, RIGHT = 12;
    // Top to bottom: the agent's marks, wave, words; the caller's words, wave; spans; axis.
    const agentTop = MARKS, agentWords = agentTop + LANE, callerWords = agentWords + WORDS + 4;
    const callerTop = callerWords + WORDS, spans = callerTop + LANE + 4, axis = spans + 14;
    const tall = axis + AXIS;
    let frameId = 0, scale = 1;
    const x = (seconds) => LEFT + seconds * scale;

    function draw() {
      const ratio = devicePixelRatio || 1;
      const wide = Math.max(frame.clientWidth, LEFT + RIGHT + one.seconds * 46);
      scale = (wide - LEFT - RIGHT) / Math.max(one.seconds, 0.1);
      canvas.width = wide * ratio; canvas.height = tall * ratio;
      canvas.style.width = `${wide}px`; canvas.style.height = `${tall}px`;
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      const style = getComputedStyle(root);
      const colour = (name) => style.getPropertyValue(`--${name}`).trim();
      pen.clearRect(0, 0, wide, tall);
      pen.font = "11px system-ui, sans-serif";
      pen.textBaseline = "middle";
      grid(pen, colour, wide);
      for (const [, kind, start, end] of one.picture.events) {
        if (end <= start) continue;
        pen.fillStyle = shade(kind);
        pen.globalAlpha = 0.13;
        pen.fillRect(x(start), callerTop, (end - start) * scale, LANE);
        pen.globalAlpha = 1;
        pen.fillRect(x(start), spans, Math.max(2, (end - start) * scale), 5);
      }
      wave(pen, outlines[0], agentTop, colour("agent"));
      wave(pen, outlines[1], callerTop, colour("caller"));
      words(pen, "agent", agentWords, colour("agent"));
      words(pen, "caller", callerWords, colour("caller"));
      marks(pen, colour);
      pen.fillStyle = colour("agent"); pen.fillText("agent", 8, agentTop + LANE / 2);
      pen.fillStyle = colour("caller"); pen.fillText("caller", 8, callerTop + LANE / 2);
      pen.strokeStyle = colour("ink"); pen.lineWidth = 1.2;
      pen.beginPath(); pen.moveTo(x(sound.currentTime), 0); pen.lineTo(x(sound.currentTime), axis); pen.stroke();
    }
    function grid(pen, colour, wide) {
      pen.strokeStyle = colour("line"); pen.fillStyle = colour("quiet"); pen.lineWidth = 1;
      const step = scale > 90 ? 0.5 : scale > 30 ? 1 : 5;
      for (let t = 0; t <= one.seconds; t += step) {
        pen.beginPath(); pen.moveTo(x(t), agentTop); pen.lineTo(x(t), axis); pen.stroke();
        if (t % 1 === 0) pen.fillText(`${t} s`, x(t) - 6, axis + AXIS / 2);
      }
      for (const top of [agentTop, callerTop]) {
        pen.beginPath(); pen.moveTo(LEFT, top + LANE / 2); pen.lineTo(wide - RIGHT, top + LANE / 2); pen.stroke();
      }
    }
    function wave(pen, peaks, top, ink) {
      pen.fillStyle = ink;
      const width = Math.max(1, 0.02 * scale - 0.25);
      peaks.forEach((peak, at) => {
        // 48 dB on the byte's 255 steps, drawn as amplitude with its quiet end raised.
        const height = peak ? Math.max(1, (LANE - 4) * (peak / 255) ** 2.2) : 0;
        if (height) pen.fillRect(x(at * 0.02), top + (LANE - height) / 2, width, height);
      });
    }
    function words(pen, who, top, ink) {
      const free = [0, 0]; // where each of two rows is free again
      pen.fillStyle = ink;
      for (const [side, text, start] of one.picture.words) {
        if (side !== who) continue;
        const row = x(start) >= free[0] ? 0 : x(start) >= free[1] ? 1 : free[0] <= free[1] ? 0 : 1;
        const place = Math.max(x(start), free[row]);
        pen.fillText(text, place, top + 9 + row * 15);
        free[row] = place + pen.measureText(text).width + 4;
        pen.fillRect(x(start), who === "agent" ? top : top + WORDS - 3, 1.2, 3);
      }
    }
    function marks(pen, colour) {
      const free = { call: 0, other: 0 }; // calls stand in a row of their own
      for (const [who, kind, start, end, label] of one.picture.events) {
        if (who !== "agent" && end > start) continue;
        if (kind === "state") continue;
        const text = kind === "call" ? label.split("(")[0] : label;
        pen.fillStyle = kind === "call" ? colour("right") : colour("quiet");
        const row = kind === "call" ? "call" : "other", y = row === "call" ? 9 : 24;
        pen.fillRect(x(start), y - 5, 1.5, MARKS + LANE - y + 5);
        const width = pen.measureText(text).width;
        const place = Math.max(LEFT, Math.min(x(start) + 4, x(one.seconds) - width));
        if (place >= free[row]) {
          pen.fillText(text, place, y);
          free[row] = place + width + 6;
        }
      }
    }
    function follow() {
      cancelAnimationFrame(frameId);
      const tick = () => {
        draw();
        clock.textContent = `${sound.currentTime.toFixed(1)} / ${one.seconds.toFixed(1)} s`;
        const at = x(sound.currentTime);
        if (at > frame.scrollLeft + frame.clientWidth - 40) frame.scrollLeft = at - 80;
        if (!sound.paused && !sound.ended) frameId = requestAnimationFrame(tick);
      };
      tick();
    }
    canvas.addEventListener("click", (event) => {
      const seconds = (event.offsetX - LEFT) / scale;
      sound.currentTime = Math.min(Math.max(seconds, 0), one.seconds);
      follow();
    });
    return { draw, follow, stop: () => cancelAnimationFrame(frameId) };
  }
  addEventListener("resize", () => strip && strip.draw());

  // ---------------------------------------------------------------- keys
  function step(by) {
    if (!shown.length) return;
    const place = shown.findIndex(({ at }) => at === current);
    const next = place < 0 ? 0 : Math.min(Math.max(place + by, 0), shown.length - 1);
    if (next >= MOST && !all) { all = true; fillList(); }
    choose(shown[next].at);
  }
  function skip(seconds) {
    if (!audio) return;
    audio.currentTime = Math.max(0, audio.currentTime + seconds);
    strip.follow();
  }
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, select, textarea");
    if (typing) { if (event.key === "Escape") event.target.blur(); return; }
    const inList = event.target === list;
    const pressed = event.target.closest("button, a");
    const does = {
      j: () => step(1), k: () => step(-1), t: turn, "/": () => filters.elements.text.focus(),
      ...(pressed ? {} : { " ": toggle }),
      ...(inList || current >= 0 ? { ArrowLeft: () => skip(-1), ArrowRight: () => skip(1) } : {}),
      ...(inList ? { ArrowDown: () => step(1), ArrowUp: () => step(-1) } : {}),
    }[event.key];
    if (does) { event.preventDefault(); does(); }
  });

  sift();
  if (shown.length) choose(shown[0].at);
})();
