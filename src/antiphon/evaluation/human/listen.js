"use strict";
(() => {
  const { page, questions, pairs } = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const STORE = `antiphon-listening-${page}`;
  const given = new Map(); // "pair question" -> choice
  const heard = new Set(); // "pair side"
  let at = 0, sound = null, asked = 0;

  try {
    const kept = JSON.parse(localStorage.getItem(STORE) || "{}");
    byId("listener").value = kept.listener || "";
    for (const { pair, question, choice } of kept.answers || []) given.set(`${pair} ${question}`, choice);
    for (const one of kept.heard || []) heard.add(one);
  } catch { /* a browser that keeps nothing for local files */ }

  const results = () => ({
    format: "antiphon-listening-1", page, listener: byId("listener").value.trim(),
    answers: [...given].map(([name, choice]) => {
      const [pair, question] = name.split(" ");
      return { pair, question: Number(question), choice };
    }),
  });
  function keep() {
    try { localStorage.setItem(STORE, JSON.stringify({ ...results(), heard: [...heard] })); } catch { /* as above */ }
  }
  function show(id) {
    for (const name of ["start", "test", "end"]) byId(name).hidden = name !== id;
  }
  const whole = (pair) => questions.every((_, q) => given.has(`${pair.token} ${q}`));

  // ---------------------------------------------------------------- sound
  function stop() {
    if (sound) sound.pause();
    sound = null;
    for (const side of ["a", "b"]) byId(`play-${side}`).classList.remove("on");
  }
  function play(side) {
    stop();
    const pair = pairs[at], button = byId(`play-${side}`);
    sound = new Audio(`data:audio/ogg;base64,${pair[side]}`);
    const own = sound;
    button.classList.add("on");
    own.addEventListener("timeupdate", () => {
      // Most of a call must have been heard before it can be judged.
      if (own.duration && own.currentTime > 0.8 * own.duration) mark(pair, side);
    });
    own.addEventListener("ended", () => { mark(pair, side); if (sound === own) stop(); });
    own.addEventListener("error", () => { byId("hint").textContent = "this browser plays no Opus"; });
    own.play().catch(() => {});
  }
  function mark(pair, side) {
    if (heard.has(`${pair.token} ${side}`)) return;
    heard.add(`${pair.token} ${side}`);
    keep();
    draw();
  }

  // ---------------------------------------------------------------- a pair
  function draw() {
    const pair = pairs[at];
    byId("progress").max = pairs.length;
    byId("progress").value = pairs.filter(whole).length;
    byId("where").textContent = `Pair ${at + 1} of ${pairs.length}`;
    for (const side of ["a", "b"]) {
      const note = byId(`play-${side}`).querySelector("small");
      note.textContent = heard.has(`${pair.token} ${side}`) ? "heard" : "not heard yet";
    }
    const both = ["a", "b"].every((side) => heard.has(`${pair.token} ${side}`));
    byId("hint").textContent = both ? "" : "Listen to both before you choose.";
    const box = byId("questions");
    box.replaceChildren();
    questions.forEach((text, question) => {
      const label = document.createElement("p");
      label.textContent = text;
      const row = document.createElement("div");
      row.className = "choices";
      for (const [choice, words] of [["a", "1 · A"], ["same", "0 · no difference"], ["b", "2 · B"]]) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = words;
        button.disabled = !both;
        button.dataset.choice = choice;
        button.dataset.question = question;
        button.setAttribute("aria-pressed", given.get(`${pair.token} ${question}`) === choice);
        button.addEventListener("click", () => choose(question, choice));
        row.append(button);
      }
      box.append(label, row);
    });
    byId("back").disabled = at === 0;
  }
  function choose(question, choice) {
    const pair = pairs[at];
    if (!["a", "b"].every((side) => heard.has(`${pair.token} ${side}`))) return;
    given.set(`${pair.token} ${question}`, choice);
    asked = Math.min(question + 1, questions.length - 1);
    keep();
    draw();
  }
  function move(by) {
    stop();
    asked = 0;
    if (at + by >= pairs.length) { finish(); return; }
    at = Math.min(Math.max(at + by, 0), pairs.length - 1);
    draw();
  }
  function finish() {
    const open = pairs.filter((pair) => !whole(pair)).length;
    byId("done").textContent = open
      ? `${open} of ${pairs.length} pairs are not answered yet; you can save what there is.`
      : `All ${pairs.length} pairs are answered.`;
    show("end");
  }
  function save() {
    const blob = new Blob([JSON.stringify(results(), null, 1)], { type: "application/json" });
    const link = document.createElement("a");
    const who = (byId("listener").value.trim() || "listener").replace(/[^\p{L}\p{N}]+/gu, "-");
    link.href = URL.createObjectURL(blob);
    link.download = `results-${who}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // ---------------------------------------------------------------- hands
  byId("begin").addEventListener("click", () => {
    if (!byId("listener").value.trim()) byId("listener").value = Math.random().toString(36).slice(2, 10);
    const first = pairs.findIndex((pair) => !whole(pair));
    if (first < 0) { keep(); finish(); return; }
    at = first;
    keep();
    show("test");
    draw();
  });
  byId("play-a").addEventListener("click", () => play("a"));
  byId("play-b").addEventListener("click", () => play("b"));
  byId("back").addEventListener("click", () => move(-1));
  byId("next").addEventListener("click", () => move(1));
  byId("save").addEventListener("click", save);
  byId("again").addEventListener("click", () => { show("test"); draw(); });
  addEventListener("keydown", (event) => {
    if (byId("test").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    const does = {
      a: () => play("a"), b: () => play("b"), " ": stop, "1": () => choose(asked, "a"),
      "2": () => choose(asked, "b"), "0": () => choose(asked, "same"),
      ArrowLeft: () => move(-1), ArrowRight: () => move(1), Enter: () => move(1),
    }[event.key];
    if (does) { event.preventDefault(); does(); }
  });
})();
