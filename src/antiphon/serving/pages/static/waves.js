// The picture of a call: one voice above the line, the other below it, time to the right.
// In: levels of 40 ms each. It knows nothing of where they come from.

const BAR = 2.5; // px
const GAP = 1;

/** The colours of the page as they are now, light or dark. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(name).trim();
  return { you: named("--you"), agent: named("--agent"), line: named("--line"), ink: named("--ink"), quiet: named("--quiet") };
}

/** The canvas at the screen's own resolution: [context, width, height] in CSS pixels. */
export function fitted(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return [context, width, height];
}

/** A bar of one level; `up` is 1 above the line and -1 below it. */
export function bar(context, x, middle, level, up, room, width = BAR) {
  // Speech lives in the lower half of the scale: the root makes it visible.
  const length = Math.max(0, Math.min(1, Math.sqrt(level)) * room - 1);
  if (length < 0.8) return;
  const top = up > 0 ? middle - 2 - length : middle + 2;
  context.beginPath();
  context.roundRect(x, top, width, length, width / 2);
  context.fill();
}

/** The last seconds of a call that is going on. */
export class Waves {
  constructor(canvas) {
    this.canvas = canvas;
    this.levels = { you: [], agent: [] };
    this.moving = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.drawn = 0;
    const again = () => this.draw();
    new ResizeObserver(again).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  }

  push(side, level) {
    const levels = this.levels[side];
    levels.push(level);
    if (levels.length > 2000) levels.splice(0, 1000);
    // Without movement the picture is brought up to date once a second.
    const every = this.moving ? 0 : 1000;
    if (this.pending || performance.now() - this.drawn < every) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  clear() {
    this.levels = { you: [], agent: [] };
    this.draw();
  }

  draw() {
    this.drawn = performance.now();
    const [context, width, height] = fitted(this.canvas);
    const colours = palette();
    const middle = Math.round(height / 2);
    context.fillStyle = colours.line;
    context.fillRect(0, middle - 0.5, width, 1);
    const room = middle - 16;
    const columns = Math.floor(width / (BAR + GAP));
    for (const [side, up] of [["you", 1], ["agent", -1]]) {
      const shown = this.levels[side].slice(-columns);
      context.fillStyle = colours[side];
      shown.forEach((level, index) => {
        const x = width - (shown.length - index) * (BAR + GAP);
        context.globalAlpha = Math.min(1, 0.25 + x / 90);
        bar(context, x, middle, level, up, room);
      });
      context.globalAlpha = 1;
    }
  }
}
