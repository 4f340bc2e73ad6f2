// A little of what every page needs to write itself.

/** An element with attributes and children; strings become text. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);

/** 72.4 -> "1:12". */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  const rest = String(whole % 60).padStart(2, "0");
  if (minutes < 60) return minutes + ":" + rest;
  return Math.floor(minutes / 60) + ":" + String(minutes % 60).padStart(2, "0") + ":" + rest;
}

/** 443.7 -> "444 ms". */
export const milliseconds = (value) => Math.round(value) + " ms";

/** When the agent began to speak: after the caller's last word, or before it was over. */
export const answered = (gap) =>
  gap < 0 ? "began " + milliseconds(-gap) + " before the end" : "after " + milliseconds(gap);

/** "okay" -> "Okay". */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** "milk_amount" -> "milk amount". */
export const spaced = (name) => name.replaceAll("_", " ");

/** A tool's arguments as a list of names and values. */
export function facts(values) {
  const list = el("dl");
  for (const [name, value] of Object.entries(values)) {
    const shown = typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
    list.append(el("dt", {}, spaced(name)), el("dd", {}, shown));
  }
  return list;
}
