// A Live session in the browser, over a WebSocket or over WebRTC; both look the same from outside.
//
//   const session = await connect(transport, { stream, sound, agent, onMessage, onEnd, onLevel });
//   session.send({...}); session.mute(true); session.seconds; await session.close();
//
// onMessage gets the server's events, onEnd a sentence ("" after a close of our own).

import { RATE } from "./audio.js";
import { Trouble, fullTrouble, key, request, sentence } from "./api.js";

const START_WITHIN = 15000; // ms until the session must have begun
const CLOSE_WITHIN = 1500; // ms that a goodbye may take
const LOST = "The connection was lost. Press Talk to call again.";

export function connect(transport, options) {
  const Kind = transport === "webrtc" ? Peer : Socket;
  return new Kind(options).open();
}

class Session {
  constructor(options) {
    Object.assign(this, options);
    this.over = false;
    this.started = null; // performance.now() of session.started
    this.closing = null;
  }

  get config() {
    return { model: this.agent.name || undefined, antiphon: { events: true } };
  }

  /** Resolves when the session has begun; rejects with what stood in the way. */
  begun() {
    return new Promise((resolve, reject) => {
      this.begin = resolve;
      this.fail = reject;
      this.timer = setTimeout(
        () => reject(new Trouble("The server did not begin the call in time. Please try again.")),
        START_WITHIN,
      );
    }).finally(() => clearTimeout(this.timer));
  }

  take(text) {
    const message = JSON.parse(text);
    if (message.type === "session.started") {
      this.started = performance.now();
      this.begin(this);
    }
    if (message.type === "error") {
      const { code, message: said } = message.error;
      if (this.started === null) this.fail(code === "server_full" ? fullTrouble() : new Trouble(sentence(said)));
      else if (code === "session_ended") this.last = sentence(said);
    }
    if (message.type === "session.closed") {
      const expired = message.reason === "expired" ? "The call has reached its longest time." : "";
      this.end(this.closing ? "" : this.last || expired || LOST);
    }
    this.onMessage(message);
  }

  end(said) {
    if (this.over) return;
    this.over = true;
    this.tearDown();
    if (this.closing) this.closing();
    if (this.started === null) this.fail(new Trouble(said || LOST));
    else this.onEnd(said);
  }

  async close() {
    if (this.over) return;
    const done = new Promise((resolve) => {
      this.closing = resolve;
    });
    this.send({ type: "session.close" });
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, CLOSE_WITHIN))]);
    this.end("");
  }
}

class Socket extends Session {
  async open() {
    const begun = this.begun();
    begun.catch(() => {});
    const url = new URL("v1/live/sessions", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const protocols = ["realtime"];
    if (key.get()) protocols.push("openai-insecure-api-key." + key.get());
    this.socket = new WebSocket(url, protocols);
    let opened = false;
    this.socket.onopen = () => {
      opened = true;
      const format = { type: "audio/pcm", rate: RATE };
      this.send({ type: "session.start", session: { ...this.config, audio: { format } } });
    };
    this.socket.onmessage = ({ data }) => this.take(data);
    this.socket.onclose = async (event) => {
      const why = opened ? closed(event) : await this.whyNot();
      if (this.started === null) {
        this.tearDown();
        this.fail(why || new Trouble(LOST));
      } else this.end(why ? why.message : this.closing ? "" : this.last || LOST);
    };
    try {
      this.speak = this.sound.play((level) => this.onLevel("agent", level));
      await begun;
      this.sound.listen(
        this.stream,
        (level) => this.onLevel("you", this.muted ? 0 : level),
        (samples) => {
          // A muted caller is silent and still there: who sends nothing at all is hung up on.
          if (this.muted) samples.fill(0);
          this.send({ type: "session.input_audio.append", audio: encode(samples) });
        },
      );
    } catch (error) {
      this.tearDown();
      throw error;
    }
    return this;
  }

  /** A browser does not tell why a handshake was refused: the server does. */
  async whyNot() {
    try {
      const agent = await (await request("pages/agent.json")).json();
      if (agent.key_needed) {
        await request("pages/check");
      }
      if (agent.full) return fullTrouble(String(agent.retry_seconds));
      return new Trouble("The connection was refused. Please try again, or choose WebRTC under Settings.");
    } catch (error) {
      return error;
    }
  }

  get seconds() {
    // The agent's first frame begins to play 80 ms into the call.
    return this.sound.played + 0.08;
  }

  audio(delta) {
    this.speak(decode(delta));
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  mute(on) {
    this.muted = on;
    this.send({ type: on ? "session.input_audio.mute" : "session.input_audio.unmute" });
  }

  tearDown() {
    this.socket.onclose = null;
    this.socket.close();
  }
}

function closed(event) {
  if (event.code === 1013) return fullTrouble();
  if (event.code === 1008 && event.reason) return new Trouble(sentence(event.reason));
  if (event.code === 1001) return new Trouble("The server is going down. Please call again in a moment.");
  return null;
}

class Peer extends Session {
  async open() {
    const begun = this.begun();
    begun.catch(() => {});
    this.peer = new RTCPeerConnection({ iceServers: this.agent.ice_servers });
    for (const track of this.stream.getAudioTracks()) this.peer.addTrack(track, this.stream);
    this.channel = this.peer.createDataChannel("oai-events");
    this.channel.onmessage = ({ data }) => this.take(data);
    this.channel.onclose = () => this.end(this.closing ? "" : this.last || LOST);
    this.peer.ontrack = ({ streams, track }) => {
      const stream = streams[0] || new MediaStream([track]);
      this.element = new Audio();
      this.element.srcObject = stream;
      this.element.play().catch(() => {});
      this.sound.listen(stream, (level) => this.onLevel("agent", level));
    };
    this.peer.onconnectionstatechange = () => {
      if (this.peer.connectionState !== "failed") return;
      if (this.started === null) {
        this.tearDown();
        this.fail(
          new Trouble("No way for the sound was found through this network. Choose WebSocket under Settings, then press Talk."),
        );
      } else this.end(LOST);
    };
    try {
      await this.peer.setLocalDescription(await this.peer.createOffer());
      await gathered(this.peer);
      const answer = await request("v1/live/sessions", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
          session: this.config,
          transport: { type: "webrtc", sdp: this.peer.localDescription.sdp },
        }),
      });
      const { transport } = await answer.json();
      await this.peer.setRemoteDescription({ type: "answer", sdp: transport.sdp });
      await begun;
    } catch (error) {
      this.tearDown();
      throw error;
    }
    this.sound.listen(this.stream, (level) => this.onLevel("you", this.muted ? 0 : level));
    return this;
  }

  get seconds() {
    return this.started === null ? 0 : (performance.now() - this.started) / 1000;
  }

  audio() {}

  send(message) {
    if (this.channel.readyState === "open") this.channel.send(JSON.stringify(message));
  }

  mute(on) {
    this.muted = on;
    for (const track of this.stream.getAudioTracks()) track.enabled = !on;
    this.send({ type: on ? "session.input_audio.mute" : "session.input_audio.unmute" });
  }

  tearDown() {
    this.channel.onclose = null;
    this.peer.onconnectionstatechange = null;
    if (this.element) this.element.srcObject = null;
    this.peer.close();
  }
}

/** The server takes one offer with all addresses in it. */
function gathered(peer) {
  return new Promise((resolve) => {
    const done = () => {
      if (peer.iceGatheringState === "complete") resolve();
    };
    peer.onicegatheringstatechange = done;
    done();
    setTimeout(resolve, 2000);
  });
}

function encode(samples) {
  const bytes = new Uint8Array(samples.length * 2);
  const view = new DataView(bytes.buffer);
  samples.forEach((value, index) => {
    view.setInt16(index * 2, Math.max(-1, Math.min(1, value)) * 32767, true);
  });
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function decode(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const view = new DataView(bytes.buffer);
  const samples = new Float32Array(bytes.length >> 1);
  for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(i * 2, true) / 32768;
  return samples;
}
