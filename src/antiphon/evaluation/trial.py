"""One trial: a caller and a system under test talk, and all that is known of it is kept."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile as sf
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from antiphon.audio import SAMPLE_RATE
from antiphon.corpus.conversation import Conversation
from antiphon.corpus.disk import put, read_conversation
from antiphon.errors import CorpusError
from antiphon.evaluation.protocol import SECONDS, TICK, Effect, Heard, System, Told
from antiphon.evaluation.script import ScriptedCaller, Stimulus
from antiphon.runtime.events import AgentWordEvent, CallEvent, Samples

LONGEST = 120.0  # seconds after which a trial is ended


class Costs(BaseModel):
    """CPU seconds of a trial's ticks; for a live system, how late its ticks were."""

    model_config = ConfigDict(frozen=True)

    p50: float
    p99: float
    mean: float
    late: int
    """Stretches of 80 ms that took longer than 80 ms."""


@dataclass(frozen=True)
class Trial:
    """A finished trial.

    `conversation` has both channels as played (the caller's as the system heard it), the words
    and events of the caller as the stimulus made them, and no events of the agent: those that
    it told stand in `told`, and what it did is in its channel.
    """

    stimulus: Stimulus
    system: str
    seed: int
    conversation: Conversation = field(repr=False)
    told: tuple[Told, ...]
    costs: Costs

    @property
    def agent(self) -> Samples:
        """float32 [N], 16 kHz."""
        return self.conversation.audio[0]

    @property
    def caller(self) -> Samples:
        """float32 [N], 16 kHz."""
        return self.conversation.audio[1]

    @property
    def calls(self) -> tuple[CallEvent, ...]:
        """The tool calls that it made, in order."""
        return tuple(event for event in self.told if isinstance(event, CallEvent))

    @property
    def agent_text(self) -> str:
        """What it says that it said."""
        return " ".join(e.text for e in self.told if isinstance(e, AgentWordEvent))


def hold(
    system: System, caller: ScriptedCaller, seed: int = 0, effect: Effect | None = None
) -> Trial:
    """Let a caller and a system talk until the script is over and the agent has settled.

    Raises AntiphonError when the system cannot be called or goes away.
    """
    # What a simulated call costs is its process's time: other programs are not its fault.
    clock = time.perf_counter if system.live else time.process_time
    quiet = np.zeros(TICK, dtype=np.float32)
    agent, line_heard, told, costs = [quiet], list[Samples](), list[Told](), list[float]()
    heard = Heard(quiet)
    with system.call(seed) as line:
        while not caller.done and len(agent) * SECONDS < LONGEST:
            samples = caller.tick(heard.agent, heard.told)
            if effect is not None:
                samples = effect(samples, heard.agent)
            began = clock()
            heard = line.push(samples)
            costs.append(clock() - began)
            line_heard.append(samples)
            agent.append(heard.agent)
            told.extend(heard.told)
    audio = np.stack([np.concatenate(agent[:-1]), np.concatenate(line_heard)])
    words, events = tuple(caller.words), tuple(caller.events)
    return Trial(
        stimulus=caller.stimulus,
        system=system.name,
        seed=seed,
        conversation=Conversation(audio, words, events),
        told=tuple(told),
        costs=_costs(costs, live=system.live),
    )


def _costs(seconds: Sequence[float], *, live: bool) -> Costs:
    # Ticks are grouped by four: a frame's work falls on the tick that completes it.
    whole = np.asarray(seconds[: len(seconds) // 4 * 4]).reshape(-1, 4).sum(axis=1)
    if live:
        whole = np.maximum(whole - 4 * SECONDS, 0.0)
    if not len(whole):
        return Costs(p50=0.0, p99=0.0, mean=0.0, late=0)
    p50, p99 = np.percentile(whole, (50, 99))
    late = int((whole > (SECONDS if live else 4 * SECONDS)).sum())
    return Costs(p50=float(p50), p99=float(p99), mean=float(whole.mean()), late=late)


_TOLD: TypeAdapter[tuple[Told, ...]] = TypeAdapter(tuple[Told, ...])


def save(trial: Trial, path: Path) -> None:
    """Write a trial as `path` (.flac, the agent left) and the .json beside it: a conversation of a
    corpus, with the trial's own facts. Raises CorpusError."""
    conversation = trial.conversation
    pcm = np.clip(np.round(conversation.audio.T * 32768), -32768, 32767).astype(np.int16)
    sound = io.BytesIO()
    sf.write(sound, pcm, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    notes = {
        "alignments": [[w.text, [w.start, w.end], "SPEAKER_CALLER"] for w in conversation.words],
        "events": [event.model_dump() for event in conversation.events],
        "duration": conversation.duration,
        "stimulus": trial.stimulus.model_dump(),
        "system": trial.system,
        "seed": trial.seed,
        "told": _TOLD.dump_python(trial.told),
        "costs": trial.costs.model_dump(),
    }
    put(path, sound.getvalue())
    put(path.with_suffix(".json"), json.dumps(notes).encode())


def load(path: Path) -> Trial:
    """Read what `save` wrote. Raises CorpusError."""
    conversation = read_conversation(path)
    try:
        notes = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return Trial(
            stimulus=Stimulus.model_validate(notes["stimulus"]),
            system=notes["system"],
            seed=notes["seed"],
            conversation=conversation,
            told=_TOLD.validate_python(notes["told"]),
            costs=Costs.model_validate(notes["costs"]),
        )
    except (OSError, KeyError, ValidationError) as error:
        raise CorpusError(f"{path}: is no trial of an evaluation: {error}") from error
