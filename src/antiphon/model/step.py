"""The one step: the caller's 80 ms in, the agent's 80 ms and every stream out.

This is what a bundle exports as one graph. Randomness comes in as noise, so a seed gives
the same call again; a slot's mask keeps an idle session bit for bit.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from antiphon.model.config import END, PAD
from antiphon.model.duplex import Duplex
from antiphon.model.frontend import MelFrontend
from antiphon.model.state import State, keep_idle, prefixed, reset_slots, scope

_NEVER = 1e4  # nats: PAD is out of the question
_KEPT = 0.9  # a frame: how much of a belief lasts that a reply, or the end of one, is due


class Decoder(Protocol):
    """A streaming codec decoder: codes [B, Q] and noise [B, 1280] to samples [B, 1280]."""

    def initial_state(self, batch: int) -> State: ...

    def step(self, codes: Tensor, noise: Tensor, state: State) -> tuple[Tensor, State]: ...


class Inputs(NamedTuple):
    """One frame's inputs, slots first."""

    caller: Tensor  # float [B, 1280]
    active: Tensor  # bool [B]: false keeps the slot as it is
    reset: Tensor  # bool [B]: true begins a new call
    noise_text: Tensor  # float [B, text_vocabulary], standard Gumbel
    noise_codes: Tensor  # float [B, codebooks, K], standard Gumbel
    noise_audio: Tensor  # float [B, 1280], standard normal
    temperature: Tensor  # float [2]: of the text, of the codes
    call_mask: Tensor  # bool [B, call_vocabulary]: the tokens that the schema allows now
    force_text: Tensor  # int64 [B]: say this piece; -1 leaves it to the network
    control: Tensor  # int64 [B, 2]: style and speed asked for; 0 leaves them to the network


class Outputs(NamedTuple):
    """One frame's outputs, slots first."""

    agent: Tensor  # float [B, 1280]
    agent_text: Tensor  # int64 [B]
    text_ready: Tensor  # float [B]: how sure the network is to speak a piece now
    caller_text: Tensor  # int64 [B]
    call: Tensor  # int64 [B]
    codes: Tensor  # int64 [B, codebooks]
    vad: Tensor  # float [B]
    turn: Tensor  # float [B, 4]
    tone: Tensor  # float [B, 4]
    pitch: Tensor  # float [B], log2(Hz / 100)
    energy: Tensor  # float [B]
    confidence: Tensor  # float [B]
    spelt: Tensor  # int64 [B, written]: characters that the ears spell (CTC), 0 is blank


class FrameStep(nn.Module):
    """Front end, network, sampling and codec decoder as one function of (inputs, state).

    eagerness: nats by which opening a turn or a call is preferred to waiting one frame more.
        The network spreads its belief that "now is the time" over some frames; none of them
        need be the likeliest choice, and a greedy agent would wait for ever.
    yielding: nats by which ending its turn is preferred to going on while it hears the caller,
        for the same reason.
    give_way: it ends its turn once it is likelier than this that it should have, by now, for a
        caller who speaks; 1: never for that reason.
    due: a reply begins once it is likelier than this that it should have begun by now; 1: never
        for that reason. In the corpus no agent misses its moment, so a network that has let it
        pass believes that the caller will go on, and waits for ever. The belief is what the
        network itself gave to beginning, frame by frame; it fades, and at once when the caller
        speaks.
    """

    def __init__(
        self,
        duplex: Duplex,
        decoder: Decoder,
        eagerness: float = 0.0,
        yielding: float = 0.0,
        due: float = 1.0,
        give_way: float = 1.0,
    ) -> None:
        super().__init__()
        self.eagerness, self.yielding, self.due = eagerness, yielding, due
        self.give_way = give_way
        self.frontend = MelFrontend()
        self.duplex = duplex
        self.decoder = decoder

    def initial_state(self, batch: int) -> State:
        """A new call in every slot; all zeros."""
        return {
            "line": self.frontend.initial_state(batch),
            "due": torch.zeros(batch),
            "over": torch.zeros(batch),
            **prefixed("duplex", self.duplex.initial_state(batch)),
            **prefixed("decoder", self.decoder.initial_state(batch)),
        }

    def forward(self, inputs: Inputs, state: State) -> tuple[Outputs, State]:
        """One frame for every slot."""
        state = reset_slots(state, inputs.reset)
        mel, line = self.frontend(inputs.caller, state["line"])
        own = scope(state, "duplex")
        vectors, ears = self.duplex.encoder(mel, scope(own, "encoder"))
        mind, trunk = self.duplex.trunk_step(vectors, inputs.control, own)
        network = {**prefixed("encoder", ears), **trunk}
        heads = self.duplex.heads(mind)
        text_noise, code_noise = inputs.temperature[0], inputs.temperature[1]
        quiet = own["recent.pieces"][:, 0] <= END  # the agent's turn is over, or none has begun
        ready = 1 - heads.text.softmax(-1)[:, PAD]
        kept = _KEPT * state["due"] * (1 - heads.voice.sigmoid())
        # What is told to be silent owes nobody a reply.
        due = (1 - (1 - kept) * (1 - ready)) * (quiet & (inputs.force_text < 0))
        now = due > self.due
        call = self._open(heads.call, quiet, self.eagerness)
        call = torch.where(now[:, None], self._given(heads.call, ready), call)
        call = call.masked_fill(~inputs.call_mask, float("-inf")).argmax(-1)
        # A call opens with the reply that tells of it: what is done is never left unsaid.
        begins = quiet & (call != PAD) | now
        text = self._open(self._open(heads.text, quiet, self.eagerness), begins, _NEVER)
        text = self._end(text, -_NEVER * begins.to(text.dtype))
        spoken_over = heads.voice.sigmoid() * ~quiet
        if self.yielding:
            text = self._end(text, self.yielding * spoken_over)
        # As with what is due: beliefs that are small one by one add up, here to giving way.
        over = 1 - (1 - _KEPT * state["over"]) * (1 - text.softmax(-1)[:, END])
        over = over * spoken_over
        text = self._end(text, _NEVER * (over > self.give_way).to(text.dtype))
        text = (text + text_noise * inputs.noise_text).argmax(-1)
        text = torch.where(inputs.force_text >= 0, inputs.force_text, text)

        def pick(logits: Tensor, book: int) -> Tensor:
            return (logits + code_noise * inputs.noise_codes[:, book]).argmax(-1)

        codes = self.duplex.depth.sample(mind.z, text, pick)
        heard = heads.caller_text.argmax(-1)
        audio, decoder = self.decoder.step(codes, inputs.noise_audio, scope(state, "decoder"))
        new: State = {
            "line": line,
            "due": due,
            "over": over,
            **prefixed(
                "duplex", {**network, **self.duplex.remember(own, text, heard, call, codes)}
            ),
            **prefixed("decoder", decoder),
        }
        outputs = Outputs(
            agent=audio,
            agent_text=text,
            text_ready=ready,
            caller_text=heard,
            call=call,
            codes=codes,
            vad=heads.voice.sigmoid(),
            turn=heads.turn.softmax(-1),
            tone=heads.tone.softmax(-1),
            pitch=heads.pitch,
            energy=heads.energy,
            confidence=heads.confidence.sigmoid(),
            spelt=self.duplex.encoder.characters(vectors).argmax(-1),
        )
        return outputs, keep_idle(new, state, inputs.active)

    @staticmethod
    def _open(logits: Tensor, slots: Tensor, nats: float) -> Tensor:
        """Logits [B, V] with PAD made less likely by `nats` in the slots [B] that are true."""
        less = nats * slots.to(logits.dtype)
        return torch.cat([logits[:, :1] - less[:, None], logits[:, 1:]], dim=1)

    @staticmethod
    def _given(logits: Tensor, ready: Tensor) -> Tensor:
        """Log-probabilities of the call [B, V], given that a reply begins in this frame.

        A call comes with its reply, so of PAD's share only what the reply has without one is left.
        """
        share = logits.softmax(-1)
        without = (share[:, :1] - (1 - ready[:, None])).clamp(min=1e-6)
        return torch.cat([without, share[:, 1:].clamp(min=1e-9)], dim=1).log()

    @staticmethod
    def _end(logits: Tensor, nats: Tensor) -> Tensor:
        """Logits [B, V] with END made likelier by `nats` [B]."""
        more = logits[:, END : END + 1] + nats[:, None]
        return torch.cat([logits[:, :END], more, logits[:, END + 1 :]], dim=1)
