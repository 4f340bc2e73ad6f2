"""The task as validation: hold conversations with the network and check what it does.

Many recordings are streamed at once, one slot each, exactly as the runtime does it but for
the waveform of the reply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from antiphon.audio import FRAME
from antiphon.corpus.calls import Call, CallVocabulary
from antiphon.corpus.tokenizer import Tokenizer
from antiphon.model.duplex import Duplex
from antiphon.model.state import State
from antiphon.model.step import FrameStep, Inputs
from antiphon.training.hearing import distance
from antiphon.training.loop import Metrics

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A caller's recording, what was said, and whether calls are what it must lead to."""

    samples: Floats
    text: str
    right: Callable[[Sequence[Call]], bool]


@dataclass(frozen=True)
class Held:
    """What the network did with a case; times in frames."""

    calls: tuple[Call, ...]
    agent_text: str
    caller_text: str
    first_word: int  # -1: never spoke


class _Mute:
    """A decoder for rollouts that nobody listens to."""

    def initial_state(self, batch: int) -> State:
        return {}

    def step(self, codes: Tensor, noise: Tensor, state: State) -> tuple[Tensor, State]:
        return noise, state


def hold(
    duplex: Duplex,
    cases: Sequence[Case],
    tokenizer: Tokenizer,
    calls: CallVocabulary,
    *,
    after: int = 70,
    temperature: tuple[float, float] = (0.0, 0.4),
    eagerness: float = 0.0,
    due: float = 1.0,
    seed: int = 0,
) -> list[Held]:
    """Stream every case in a slot of its own, then `after` frames of silence."""
    config, batch = duplex.config, len(cases)
    device = next(duplex.parameters()).device
    step = FrameStep(duplex, _Mute(), eagerness, due=due).eval().to(device)
    frames = [-(-len(case.samples) // FRAME) for case in cases]
    total = max(frames) + after
    line = np.zeros((batch, total * FRAME), dtype=np.float32)
    for row, case in enumerate(cases):
        line[row, : len(case.samples)] = case.samples
    decoders = [calls.decoder() for _ in cases]
    state = {name: value.to(device) for name, value in step.initial_state(batch).items()}
    made: list[list[Call]] = [[] for _ in cases]
    said: list[list[int]] = [[] for _ in cases]
    heard: list[list[int]] = [[] for _ in cases]
    first = [-1] * batch
    generator = torch.Generator().manual_seed(seed)
    yes, no = torch.ones(batch, dtype=torch.bool), torch.zeros(batch, dtype=torch.bool)
    quiet = torch.zeros(batch, config.text_vocabulary)
    silence = torch.zeros(batch, FRAME)
    for t in range(total):
        uniform = torch.rand(batch, config.codebooks, config.codebook_size, generator=generator)
        inputs = Inputs(
            caller=torch.from_numpy(line[:, t * FRAME : (t + 1) * FRAME]),
            active=yes,
            reset=no,
            noise_text=quiet,
            noise_codes=-torch.log(-torch.log(uniform.clamp(1e-7, 1 - 1e-7))),
            noise_audio=silence,
            temperature=torch.tensor(temperature),
            call_mask=torch.from_numpy(np.stack([d.mask() for d in decoders])),
            force_text=torch.full((batch,), -1),
            control=torch.zeros(batch, 2, dtype=torch.int64),
        )
        outputs, state = step(Inputs(*(value.to(device) for value in inputs)), state)
        calls_now, said_now, heard_now = (
            ids.tolist() for ids in (outputs.call, outputs.agent_text, outputs.caller_text)
        )
        for row in range(batch):
            call = decoders[row].push(calls_now[row])
            if call is not None:
                made[row].append(call)
            said[row].append(said_now[row])
            heard[row].append(heard_now[row])
            if said[row][-1] and first[row] < 0:
                first[row] = t
    return [
        Held(tuple(made[i]), tokenizer.text(said[i]), tokenizer.text(heard[i]), first[i])
        for i in range(batch)
    ]


class Rollout:
    """Validation on a fixed set of cases, in parts that fit in memory."""

    def __init__(
        self,
        sets: Mapping[str, Sequence[Case]],
        tokenizer: Tokenizer,
        calls: CallVocabulary,
        eagerness: float = 0.0,
        due: float = 1.0,
        at_once: int = 32,
    ) -> None:
        self.sets, self.tokenizer, self.calls, self.at_once = sets, tokenizer, calls, at_once
        self.eagerness, self.due = eagerness, due

    def run(self, duplex: Duplex) -> Metrics:
        """For each set: share of cases with exactly the right calls, answered, caller CER."""
        metrics: Metrics = {}
        for name, cases in self.sets.items():
            ordered = sorted(cases, key=lambda c: len(c.samples))
            right = answered = errors = characters = 0
            for start in range(0, len(ordered), self.at_once):
                part = ordered[start : start + self.at_once]
                outcomes = hold(
                    duplex,
                    part,
                    self.tokenizer,
                    self.calls,
                    eagerness=self.eagerness,
                    due=self.due,
                )
                for case, held in zip(part, outcomes, strict=True):
                    right += case.right(held.calls)
                    answered += held.first_word >= 0
                    errors += distance(held.caller_text, case.text)
                    characters += len(case.text)
            count = max(len(ordered), 1)
            metrics[f"{name}_right"] = right / count
            metrics[f"{name}_answered"] = answered / count
            if characters:
                metrics[f"{name}_cer"] = errors / characters
        return metrics


def exactly(wanted: Sequence[Call]) -> Callable[[Sequence[Call]], bool]:
    """Whether calls are these, in this order, argument for argument."""
    plain = [(call.name, call.arguments) for call in wanted]
    return lambda made: [(call.name, call.arguments) for call in made] == plain
