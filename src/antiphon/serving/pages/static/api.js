// The server's HTTP side, the key that it may want, and sentences for what goes wrong.

/** Something that a person is told as it is. `key`: the server wants a key. */
export class Trouble extends Error {
  constructor(sentence, { key = false, status = 0 } = {}) {
    super(sentence);
    this.key = key;
    this.status = status;
  }
}

const KEY = "antiphon.key";
export const UNREACHED = "The server cannot be reached. Is it running, and are you online?";

export const key = {
  get: () => sessionStorage.getItem(KEY) || "",
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/** A request with the key. Throws Trouble. */
export async function request(path, options = {}) {
  const headers = new Headers(options.headers);
  if (key.get()) headers.set("Authorization", "Bearer " + key.get());
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Trouble(UNREACHED);
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  if (answer.status === 401 || answer.status === 403) return keyTrouble();
  let said = "";
  try {
    const body = await answer.json();
    const error = body.error || body;
    said = error.message || body.detail || "";
  } catch {
    // no JSON: the status must do
  }
  if (answer.status === 503 || answer.status === 429) return fullTrouble(answer.headers.get("Retry-After"));
  return new Trouble(
    typeof said === "string" && said ? sentence(said) : "The server answered with status " + answer.status + ".",
    { status: answer.status },
  );
}

export function keyTrouble() {
  const had = Boolean(key.get());
  return new Trouble(had ? "The server does not know this key." : "This server wants a key.", { key: true });
}

export function fullTrouble(seconds) {
  const when = seconds && /^\d+$/.test(seconds) ? "in " + seconds + " seconds" : "in a moment";
  return new Trouble("All lines are in use. Please try again " + when + ".");
}

export function sentence(text) {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(upper) ? upper : upper + ".";
}

/** Shows the form for a key; calls back when one was given. */
export function askForKey(form, again) {
  form.hidden = false;
  const input = form.querySelector("input");
  input.value = "";
  input.focus();
  form.onsubmit = (event) => {
    event.preventDefault();
    key.set(input.value.trim());
    form.hidden = true;
    again();
  };
}

/** Shows a sentence, or hides the last one. */
export function alarm(element, said) {
  element.hidden = !said;
  element.textContent = said || "";
}
