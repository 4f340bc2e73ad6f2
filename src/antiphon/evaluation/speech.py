"""Is the agent's speech what its text says and what its calls do, and does it sound as it should?

An agent answers orders. A judge that knows no grammar reads its voice back; the transcript is
held against the text stream (character error rate) and against the calls (slot for slot). The
voice that the agent learnt from says the same words: what the judge makes of those is the judge's
own error rate, and beside them stand the agent's naturalness (DNSMOS), pace and faults.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.corpus.calls import Call
from antiphon.corpus.edits import distance
from antiphon.corpus.order import effects
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.tokenizer import normalise
from antiphon.corpus.voices import Voice
from antiphon.evaluation.bootstrap import Estimate, mean, ratio
from antiphon.evaluation.judge import Judge
from antiphon.evaluation.statistics import Share, percentile, share
from antiphon.evaluation.stimuli.single import SpokenOrder
from antiphon.runtime.agent import Agent, Answer
from antiphon.runtime.events import Samples
from antiphon.runtime.latency import replies

VALID = 0.05  # a judge that misreads more of its own voice is no judge
_BLOCK = 80  # samples: 5 ms
_LOUD, _GONE = -35.0, -75.0  # dBFS: speech, and less than any recording's floor
_BREAK = 0.8  # s of silence inside one turn that no comma explains
_MARGIN = 0.1  # s kept around audible speech
Natural = Callable[[Samples], dict[str, float]]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Sound(_Frozen):
    """How an utterance sounds: seconds of audible speech, faults, DNSMOS where it was asked."""

    seconds: float
    clipped: bool
    dropouts: int
    p808: float | None = None
    ovrl: float | None = None


class Agreement(_Frozen):
    """Whether the calls, the text and the speech of an answered order name the same slots."""

    text_and_call: bool
    speech_and_call: bool
    text_and_speech: bool

    @property
    def all_three(self) -> bool:
        return self.text_and_call and self.speech_and_call and self.text_and_speech


class Reading(_Frozen):
    """One answer, as the agent wrote it, as the judge heard it, as the voice itself says it."""

    name: str
    answered: bool
    text: str
    heard: str
    errors: int
    """Characters between the two (Levenshtein)."""
    voice_heard: str | None = None
    """The judge's transcript of the voice that says `text`; None where there is no text."""
    voice_errors: int = 0
    calls: list[dict[str, Any]]
    agreement: Agreement | None
    """None where nothing was put on order, or nothing was said."""
    sound: Sound | None = None
    voice_sound: Sound | None = None


class Report(_Frozen):
    """The figures of one run."""

    bundle: str
    data: str
    seed: int
    answered: Share
    cer: Estimate
    """Characters between transcript and text over those of the text, of all answers."""
    cer_median: float | None
    exact: Share
    """Answers that the judge reads back to the letter."""
    judge_cer: Estimate
    """The judge's own rate, on the voice that the agent learnt from saying the same texts."""
    valid: bool
    """Whether the judge's own rate is low enough for the others to mean something."""
    text_and_call: Share
    speech_and_call: Share
    text_and_speech: Share
    all_three: Share
    p808: Estimate
    voice_p808: Estimate
    p808_difference: Estimate
    """The agent less the voice; likewise for OVRL."""
    ovrl: Estimate
    voice_ovrl: Estimate
    ovrl_difference: Estimate
    clipped: Share
    dropouts: Share
    voice_dropouts: Share
    """The same measure on the voice itself: what the measure takes for a fault without one."""
    pace_p5: float | None
    pace_median: float | None
    """The voice's seconds over the agent's for the same words; above 1 the agent is quicker."""
    pace_p95: float | None
    worst: list[Reading]


@dataclass(frozen=True)
class _Said:
    """A turn of the agent's: its text, its sound, the judge's transcript."""

    text: str
    samples: Samples
    heard: str


def read_back(
    agent: Agent,
    judge: Judge,
    stimulus: SpokenOrder,
    voice: Voice | None = None,
    *,
    seed: int = 0,
    natural: Natural | None = None,
) -> Reading:
    """Let the agent answer one order and read its answer back.

    voice: the one that the agent learnt from, to say the same words. natural: gives `p808` and
    `ovrl` of samples. Raises VoiceError when the voice's engine fails.
    """
    answer = agent.answer(stimulus.samples, seed=seed)
    said = _turns(answer, judge)
    text = " ".join(turn.text for turn in said if turn.text)
    heard = " ".join(turn.heard for turn in said if turn.heard)
    audible = bool(replies(answer.audio))
    reading = Reading(
        name=stimulus.name,
        answered=audible,
        text=text,
        heard=heard,
        errors=distance(heard, text),
        calls=answer.as_json()["calls"],
        agreement=_agreement(agent.scenario, answer, said) if audible else None,
        sound=sound(answer.audio, natural) if audible else None,
    )
    if voice is None or not text:
        return reading
    spoken = voice.speak(text, random.Random(seed)).samples
    again = judge.transcribe(spoken)
    return reading.model_copy(
        update={
            "voice_heard": again,
            "voice_errors": distance(again, text),
            "voice_sound": sound(spoken, natural),
        }
    )


def report(readings: Sequence[Reading], *, bundle: str, data: str, seed: int = 0) -> Report:
    """The figures of many readings."""
    given = [r for r in readings if r.answered or r.text]
    texts = [float(len(r.text)) for r in given]
    own = [r for r in given if r.voice_heard is not None]
    judge_cer = ratio([r.voice_errors for r in own], [float(len(r.text)) for r in own])
    orders = [r.agreement for r in given if r.agreement is not None]
    pairs = [
        (r.sound, r.voice_sound) for r in given if r.sound is not None and r.voice_sound is not None
    ]
    paces = [voice.seconds / ours.seconds for ours, voice in pairs if ours.seconds > 0]
    sounds = [r.sound for r in given if r.sound is not None]

    def agreed(name: str) -> Share:
        return share(sum(bool(getattr(order, name)) for order in orders), len(orders))

    p808 = [(a.p808, v.p808) for a, v in pairs if a.p808 is not None and v.p808 is not None]
    ovrl = [(a.ovrl, v.ovrl) for a, v in pairs if a.ovrl is not None and v.ovrl is not None]
    return Report(
        bundle=bundle,
        data=data,
        seed=seed,
        answered=share(sum(r.answered for r in readings), len(readings)),
        cer=ratio([float(r.errors) for r in given], texts),
        cer_median=median(_rate(r) for r in given) if given else None,
        exact=share(sum(r.errors == 0 for r in given), len(given)),
        judge_cer=judge_cer,
        valid=judge_cer.value is not None and judge_cer.value <= VALID,
        text_and_call=agreed("text_and_call"),
        speech_and_call=agreed("speech_and_call"),
        text_and_speech=agreed("text_and_speech"),
        all_three=agreed("all_three"),
        p808=mean([ours for ours, _ in p808]),
        voice_p808=mean([voice for _, voice in p808]),
        p808_difference=mean([ours - voice for ours, voice in p808]),
        ovrl=mean([ours for ours, _ in ovrl]),
        voice_ovrl=mean([voice for _, voice in ovrl]),
        ovrl_difference=mean([ours - voice for ours, voice in ovrl]),
        clipped=share(sum(s.clipped for s in sounds), len(sounds)),
        dropouts=share(sum(s.dropouts > 0 for s in sounds), len(sounds)),
        voice_dropouts=share(sum(voice.dropouts > 0 for _, voice in pairs), len(pairs)),
        pace_p5=percentile(paces, 5),
        pace_median=percentile(paces, 50),
        pace_p95=percentile(paces, 95),
        worst=sorted((r for r in given if r.errors), key=_rate, reverse=True)[:10],
    )


def _rate(reading: Reading) -> float:
    return reading.errors / max(1, len(reading.text))


def sound(samples: Samples, natural: Natural | None = None) -> Sound:
    """How samples [N] of one voice sound, from the first audible one to the last."""
    spans = replies(samples)
    if not spans:
        return Sound(seconds=0.0, clipped=False, dropouts=0)
    first = max(0, round((spans[0][0] - _MARGIN) * SAMPLE_RATE))
    speech = samples[first : round((spans[-1][1] + _MARGIN) * SAMPLE_RATE)]
    scores = natural(speech) if natural is not None else {}
    return Sound(
        seconds=sum(end - start for start, end in spans),
        clipped=is_clipped(speech),
        dropouts=dropouts(speech),
        p808=scores.get("p808"),
        ovrl=scores.get("ovrl"),
    )


def is_clipped(samples: Samples) -> bool:
    """Whether three samples on end stand at full scale."""
    full = np.abs(samples) >= 0.999
    return bool((full[:-2] & full[1:-1] & full[2:]).any())


def dropouts(samples: Samples) -> int:
    """How often the voice breaks off: from speech to nothing within 10 ms, or silent for .8 s.

    Speech dies away and pauses have a floor; a lost frame has neither.
    """
    blocks = len(samples) // _BLOCK
    power = np.square(samples[: blocks * _BLOCK].astype(np.float64).reshape(blocks, _BLOCK))
    level = 10 * np.log10(power.mean(axis=1) + 1e-12)
    loud, gone = level > _LOUD, level < _GONE
    starts = np.flatnonzero(gone[2:-1] & gone[3:] & ~gone[1:-2]) + 2
    # The block before may hold the edge itself, so the one before that counts too.
    edges = int((loud[starts - 1] | loud[starts - 2]).sum())
    return edges + max(0, len(replies(samples, gap=_BREAK)) - 1)


def _turns(answer: Answer, judge: Judge) -> list[_Said]:
    """The agent's turns; speech before the first text, or without any, is a turn without text."""
    starts = [turn.frame * FRAME for turn in answer.agent_turns]
    bounds = [*starts, len(answer.audio)]
    texts = [normalise(turn.text) for turn in answer.agent_turns]
    if not starts or replies(answer.audio[: starts[0]]):
        bounds, texts = [0, *bounds], ["", *texts]
    said: list[_Said] = []
    for text, start, end in zip(texts, bounds, bounds[1:], strict=False):
        samples = answer.audio[start:end]
        heard = judge.transcribe(samples) if replies(samples) else ""
        said.append(_Said(text, samples, heard))
    return said


def _agreement(scenario: Scenario, answer: Answer, said: Sequence[_Said]) -> Agreement | None:
    does = effects(scenario)
    placed = [call for call in answer.calls if does.get(call.name) in ("add", "change")]
    made = [(call, answer.reply_to(call)) for call in placed]
    replied = [(call, normalise(text)) for call, text in made if text]
    if not replied:
        return None
    text_agrees = speech_agrees = both_agree = True
    for call, text in replied:
        heard = next((turn.heard for turn in reversed(said) if turn.text == text), "")
        wanted = Call(name=call.name, arguments=call.arguments)
        text_agrees &= scenario.reply_agrees(wanted, text)
        speech_agrees &= scenario.reply_agrees(wanted, heard)
        both_agree &= _named(scenario, text) == _named(scenario, heard)
    return Agreement(
        text_and_call=text_agrees, speech_and_call=speech_agrees, text_and_speech=both_agree
    )


def _named(scenario: Scenario, text: str) -> tuple[list[dict[str, str]], str]:
    return scenario.parse_reply_slots(text), scenario.parse_reply_digits(text)
