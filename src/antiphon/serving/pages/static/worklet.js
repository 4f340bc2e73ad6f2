// The audio thread: the microphone down to 16 kHz, the agent's 16 kHz up to the loudspeaker's rate.
// Knows nothing of the server; speaks to audio.js through ports.

const RATE = 16000;
const STEP = 0.04; // seconds between two reports of a level

// A windowed sinc between any two rates: `half` zero crossings of the lower rate on either side.
class Resampler {
  constructor(from, to, half = 12, phases = 256) {
    this.ratio = from / to;
    const cut = 0.94 * Math.min(1, to / from);
    this.reach = Math.ceil(half / Math.min(1, to / from));
    this.phases = phases;
    this.table = new Float32Array((2 * this.reach) * phases + 1);
    for (let i = 0; i < this.table.length; i++) {
      const x = i / phases - this.reach;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * cut * x) / (Math.PI * cut * x);
      const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / this.reach);
      this.table[i] = cut * sinc * window;
    }
    this.past = new Float32Array(2 * this.reach);
    this.at = this.reach; // where the next output stands in past + input
  }

  process(input) {
    if (this.ratio === 1) return input.slice();
    const line = new Float32Array(this.past.length + input.length);
    line.set(this.past);
    line.set(input, this.past.length);
    const out = [];
    while (this.at + this.reach < line.length) {
      const first = Math.ceil(this.at - this.reach);
      let sum = 0;
      for (let i = Math.max(0, first); i <= this.at + this.reach; i++) {
        sum += line[i] * this.table[Math.round((i - this.at + this.reach) * this.phases)];
      }
      out.push(sum);
      this.at += this.ratio;
    }
    this.past = line.slice(input.length);
    this.at -= input.length;
    return Float32Array.from(out);
  }
}

// A peak for every STEP of sound.
class Level {
  constructor(rate) {
    this.size = Math.round(rate * STEP);
    this.count = 0;
    this.peak = 0;
  }

  push(samples) {
    for (let i = 0; i < samples.length; i++) {
      const loud = Math.abs(samples[i]);
      if (loud > this.peak) this.peak = loud;
    }
    this.count += samples.length;
    if (this.count < this.size) return null;
    const peak = this.peak;
    this.count = 0;
    this.peak = 0;
    return peak;
  }
}

class Capture extends AudioWorkletProcessor {
  constructor(options) {
    super();
    this.level = new Level(sampleRate);
    this.sound = options.processorOptions && options.processorOptions.sound;
    this.resampler = new Resampler(sampleRate, RATE);
    this.waiting = [];
    this.count = 0;
  }

  process(inputs) {
    const mono = inputs[0][0];
    if (!mono) return true;
    const peak = this.level.push(mono);
    if (peak !== null) this.port.postMessage({ peak });
    if (!this.sound) return true;
    const ready = this.resampler.process(mono);
    this.waiting.push(ready);
    this.count += ready.length;
    if (this.count >= RATE * STEP) {
      const samples = new Float32Array(this.count);
      let at = 0;
      for (const part of this.waiting) {
        samples.set(part, at);
        at += part.length;
      }
      this.waiting = [];
      this.count = 0;
      this.port.postMessage({ samples }, [samples.buffer]);
    }
    return true;
  }
}

const HAND = 0.08; // seconds in hand before playing begins, against the network's jitter
const MOST = 0.4; // seconds in hand beyond which silence is left out

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(RATE, sampleRate);
    this.level = new Level(sampleRate);
    this.queue = [];
    this.waiting = 0; // samples at the loudspeaker's rate
    this.offset = 0;
    this.flowing = false;
    this.played = 0; // seconds of the agent's sound that are over, with what was left out
    this.port.onmessage = (event) => this.take(event.data);
  }

  take(message) {
    if (message === "clear") {
      this.played += this.waiting / sampleRate;
      this.queue = [];
      this.waiting = this.offset = 0;
      this.flowing = false;
      return;
    }
    const samples = this.resampler.process(message);
    const silent = samples.every((x) => Math.abs(x) < 0.002);
    if (silent && this.waiting > MOST * sampleRate) {
      this.played += samples.length / sampleRate;
      return;
    }
    this.queue.push(samples);
    this.waiting += samples.length;
    if (this.waiting >= HAND * sampleRate) this.flowing = true;
  }

  process(_, outputs) {
    const channels = outputs[0];
    const mono = channels[0];
    let at = 0;
    while (this.flowing && at < mono.length && this.queue.length) {
      const part = this.queue[0];
      const take = Math.min(part.length - this.offset, mono.length - at);
      mono.set(part.subarray(this.offset, this.offset + take), at);
      at += take;
      this.offset += take;
      if (this.offset === part.length) {
        this.queue.shift();
        this.offset = 0;
      }
    }
    this.waiting -= at;
    this.played += at / sampleRate;
    if (at < mono.length) this.flowing = false;
    for (let i = 1; i < channels.length; i++) channels[i].set(mono);
    const peak = this.level.push(mono);
    if (peak !== null) this.port.postMessage({ peak, played: this.played });
    return true;
  }
}

registerProcessor("antiphon-capture", Capture);
registerProcessor("antiphon-player", Player);
