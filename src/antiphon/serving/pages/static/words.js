// The words of both sides as lines, as they come; finished turns settle and get their facts.

import { answered, el } from "./dom.js";

const NAMES = { caller: "You", agent: "Agent" };

export class Words {
  /** lines: where they are shown; log: where finished turns are told to screen readers. */
  constructor(lines, log, captions) {
    this.lines = lines;
    this.log = log;
    this.captions = captions;
    this.clear();
  }

  clear() {
    this.lines.replaceChildren();
    this.log.replaceChildren();
    this.open = { caller: null, agent: null };
    this.ahead = []; // the agent's words that have not sounded yet
    for (const side of ["caller", "agent"]) this.captions[side].textContent = "";
  }

  /** A word of one side; `start` in seconds of the call. */
  add(side, text, start) {
    const line = this.open[side] || this.begin(side);
    const word = el("span", { class: "word" }, (line.words.length ? " " : "") + text.trim());
    line.words.push({ text: text.trim(), start, node: word });
    line.said.append(word);
    if (side === "agent") {
      word.classList.add("ahead");
      this.ahead.push({ node: word, start });
    }
    this.captions[side].textContent = line.words.map(({ text }) => text).join(" ");
    this.follow(line.item);
  }

  begin(side) {
    const said = el("p", { class: "said" });
    const note = el("p", { class: "note" });
    const mine = side === "caller" ? "you" : "agent";
    const item = el("li", { class: "line " + mine }, el("span", { class: "who " + mine }, NAMES[side]), said, note);
    const line = { side, item, said, note, words: [] };
    this.open[side] = line;
    this.lines.append(item);
    if (side === "caller") this.captions.agent.textContent = "";
    return line;
  }

  /** The agent's words up to `now` (seconds of the call) have sounded. */
  sounded(now) {
    this.ahead = this.ahead.filter(({ node, start }) => {
      if (start > now) return true;
      node.classList.remove("ahead");
      return false;
    });
  }

  /** A finished turn, as the server has it. */
  finish(turn) {
    const line = this.open[turn.speaker];
    const notes = [];
    if (turn.gap_ms !== undefined && turn.gap_ms !== null) notes.push(answered(turn.gap_ms));
    if (turn.interrupted) notes.push("interrupted");
    if (line) {
      // Words that came after the turn's last belong to the next one.
      const rest = line.words.splice(turn.words.length);
      line.note.textContent = notes.join(" · ");
      this.open[turn.speaker] = null;
      for (const word of rest) {
        word.node.remove();
        this.add(turn.speaker, word.text, word.start);
      }
    }
    if (turn.text) this.log.append(el("p", {}, NAMES[turn.speaker] + ": " + turn.text));
    while (this.log.childElementCount > 30) this.log.firstElementChild.remove();
  }

  /** Keeps the newest line in view, unless the person has scrolled away from the end. */
  follow(item) {
    const near = window.innerHeight + window.scrollY > document.body.scrollHeight - 240;
    if (near) item.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
}
