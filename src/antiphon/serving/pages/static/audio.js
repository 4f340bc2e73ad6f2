// Sound in the browser: the microphone's samples at 16 kHz, the agent's samples to the
// loudspeaker, and the level of both for the picture. Knows nothing of the server.

import { Trouble, UNREACHED } from "./api.js";

export const RATE = 16000;
export const LEVEL_SECONDS = 0.04;

/** The microphone's stream. Throws Trouble with a sentence for the person. */
export async function openMicrophone(echo) {
  if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) {
    throw new Trouble(
      "Browsers give the microphone only to pages on https, or on this computer itself. " +
        "Open this page over https.",
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: echo, noiseSuppression: echo, autoGainControl: true },
    });
  } catch (error) {
    throw new Trouble(microphoneSentence(error.name));
  }
}

function microphoneSentence(name) {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return "The browser may not use the microphone. Allow it beside the page's address, then press Talk.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No microphone was found. Connect one, then press Talk.";
    case "NotReadableError":
    case "AbortError":
      return "The microphone is in use by another program. Close that, then press Talk.";
    default:
      return "The microphone could not be opened (" + name + ").";
  }
}

/** The page's sound. Make one in a click: browsers start sound for people only. */
export class Sound {
  static async open() {
    const sound = new Sound();
    sound.context = new AudioContext({ latencyHint: "interactive" });
    sound.played = 0; // seconds of the agent's sound that are over
    sound.nodes = [];
    try {
      await sound.context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url));
    } catch {
      await sound.context.close();
      throw new Trouble(UNREACHED);
    }
    await sound.context.resume();
    return sound;
  }

  /** Calls back with the level of a stream every 40 ms, and with its samples where they are wanted. */
  listen(stream, onLevel, onSamples) {
    const source = this.context.createMediaStreamSource(stream);
    const node = new AudioWorkletNode(this.context, "antiphon-capture", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { sound: Boolean(onSamples) },
    });
    node.port.onmessage = ({ data }) => {
      if (data.samples) onSamples(data.samples);
      else onLevel(data.peak);
    };
    source.connect(node);
    this.nodes.push(source, node);
  }

  /** A function that takes the agent's samples (Float32Array at 16 kHz), in order. */
  play(onLevel) {
    const node = new AudioWorkletNode(this.context, "antiphon-player", { outputChannelCount: [2] });
    node.port.onmessage = ({ data }) => {
      this.played = data.played;
      onLevel(data.peak);
    };
    node.connect(this.context.destination);
    this.nodes.push(node);
    return (samples) => node.port.postMessage(samples, [samples.buffer]);
  }

  close() {
    for (const node of this.nodes) {
      node.disconnect();
      if (node.port) node.port.onmessage = null;
    }
    this.nodes = [];
    return this.context.close();
  }
}
