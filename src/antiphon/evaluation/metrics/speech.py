"""Is the agent's speech what it says that it said, and is it sound.

Transcripts are the judge's, so all that rests on them is marked invalid where the judge itself
misreads more than 5 % of the voice's characters, or nobody knows how much it misreads.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.mel import LogMel
from antiphon.corpus.edits import distance
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.tokenizer import normalise
from antiphon.evaluation.bootstrap import Grouped
from antiphon.evaluation.figures import Figure, Measured, Verdict
from antiphon.evaluation.metrics.segments import Stretch, stretches, undisturbed
from antiphon.evaluation.metrics.tools import (
    Embed,
    Series,
    Tools,
    clean,
    cut,
    estimated,
    group_of,
    share,
)
from antiphon.evaluation.speech import VALID, Sound, sound
from antiphon.evaluation.trial import Trial
from antiphon.runtime.events import Samples

MARGIN = 0.1  # s kept around a reply
DRIFTS = 4.0  # s of speech in a call that a drift can be measured in
_LEAST = 0.5  # s: DNSMOS of less says nothing
_QUIET = 25.0  # dB below the loudest frame, where a spectrum is the room's and not the voice's


class Reading(NamedTuple):
    """What was written and what the judge heard, in words."""

    written: str
    heard: str

    @property
    def errors(self) -> int:
        """Characters between the two (Levenshtein)."""
        return distance(self.heard, self.written)


class _Heard(NamedTuple):
    """All that was measured of one trial."""

    sounds: list[Sound]
    reading: Reading | None
    agrees: bool | None
    drift: float | None
    speaker_drift: float | None
    pace: float | None  # words a minute
    distilled: float | None


def measure(trials: Sequence[Trial], tools: Tools) -> Measured:
    """The suite `speech` over the trials of its own and of `task`'s stimuli on a clean line."""
    ours = clean(trials, "speech", "task")
    heard = [_hear(trial, tools) for trial in ours]
    series = {name: Series() for name in ("p808", "ovrl", "distill", "drift", "speaker", "pace")}
    for trial, each in zip(ours, heard, strict=True):
        scored = [s for s in each.sounds if s.p808 is not None or s.ovrl is not None]
        values = {
            "p808": scored[0].p808 if scored else None,
            "ovrl": scored[0].ovrl if scored else None,
            "distill": each.distilled,
            "drift": each.drift,
            "speaker": each.speaker_drift,
            "pace": each.pace,
        }
        for name, value in values.items():
            series[name].add(value, group_of(trial))
    sounds = [one for each in heard for one in each.sounds]
    drift = "dB between the long-term spectra of a call's two halves"
    figures = [
        *_readings(ours, heard, tools),
        series["p808"].mean("speech.dnsmos_p808", "score"),
        series["ovrl"].mean("speech.dnsmos_ovrl", "score"),
        series["distill"].mean("speech.distillmos", "score"),
        share("speech.clipped", [one.clipped for one in sounds], better="low"),
        share("speech.dropouts", [one.dropouts > 0 for one in sounds], better="low"),
        series["drift"].mean("speech.drift", "score", better="low", note=drift),
        series["speaker"].mean("speech.speaker_drift", "score", better="low"),
        series["pace"].mean("speech.pace", "per minute", better="none", note="words"),
    ]
    verdicts = [_verdict(trial, each) for trial, each in zip(ours, heard, strict=True)]
    return Measured(suite="speech", figures=tuple(figures), verdicts=tuple(verdicts))


def drift(first: Samples, last: Samples) -> float | None:
    """Root mean square difference, dB, of two long-term spectra (80 mel bands, loud frames),
    each less its own level; None where one of the two is silent."""
    a, b = _spectrum(first), _spectrum(last)
    if a is None or b is None:
        return None
    return float(np.sqrt(np.square(a - b).mean()))


def halves(trial: Trial) -> tuple[Samples, Samples] | None:
    """The agent's speech of one call, silences left out, in two halves; None where it is short."""
    said = [cut(trial.agent, s.start, s.end) for s in stretches(trial)]
    whole = np.concatenate(said) if said else np.zeros(0, np.float32)
    if len(said) < 2 or len(whole) < DRIFTS * SAMPLE_RATE:
        return None
    return whole[: len(whole) // 2], whole[len(whole) // 2 :]


def agree(scenario: Scenario, reading: Reading) -> bool:
    """Whether sound and text name the same items and the same digits."""
    a, b = reading
    return scenario.parse_reply_slots(a) == scenario.parse_reply_slots(
        b
    ) and scenario.parse_reply_digits(a) == scenario.parse_reply_digits(b)


def _spectrum(samples: Samples) -> npt.NDArray[np.float64] | None:
    mel = LogMel()(samples).astype(np.float64)  # [T, 80], natural logarithm of power
    if not len(mel) or np.abs(samples).max(initial=0.0) == 0:
        return None
    loud = mel.mean(axis=1) * 10 / np.log(10)
    mean = mel[loud > loud.max() - _QUIET].mean(axis=0) * 10 / np.log(10)
    return mean - mean.mean()


def _hear(trial: Trial, tools: Tools) -> _Heard:
    said = [stretch for stretch in stretches(trial) if undisturbed(trial, stretch)]
    longest = max(said, key=lambda stretch: stretch.seconds, default=None)
    # The longest first: it is the one that is scored.
    ordered = sorted(said, key=lambda stretch: stretch is not longest)
    scored = longest is not None and longest.seconds >= _LEAST
    sounds = [
        sound(_samples(trial, s), tools.natural if scored and s is longest else None)
        for s in ordered
    ]
    reading = _read(trial, tools)
    parts = halves(trial)
    seconds = sum(stretch.seconds for stretch in said)
    words = sum(len(stretch.words or ()) for stretch in said)
    best = _samples(trial, longest) if longest is not None and scored else None
    return _Heard(
        sounds=sounds,
        reading=reading,
        agrees=None if reading is None else agree(tools.scenario, reading),
        drift=drift(*parts) if parts else None,
        speaker_drift=_moved(tools.embed, *parts) if parts and tools.embed else None,
        pace=60 * words / seconds if words and seconds > 0 else None,
        distilled=tools.distill(best) if tools.distill and best is not None else None,
    )


def _samples(trial: Trial, stretch: Stretch) -> Samples:
    return cut(trial.agent, stretch.start - MARGIN, stretch.end + MARGIN)


def _moved(embed: Embed, first: Samples, last: Samples) -> float | None:
    a, b = embed(first), embed(last)
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return 1.0 - float(a @ b) / scale if scale > 0 else None


def _read(trial: Trial, tools: Tools) -> Reading | None:
    """The whole trial read back; None without a judge, without told words, or where the caller
    spoke into a reply: what was cut off is written and not said."""
    said = stretches(trial)
    written = normalise(trial.agent_text)
    whole = all(undisturbed(trial, stretch) for stretch in said)
    if tools.judge is None or not written or not whole:
        return None
    heard = [tools.judge.transcribe(_samples(trial, stretch)) for stretch in said]
    return Reading(written, " ".join(text for text in heard if text))


def _readings(trials: Sequence[Trial], heard: Sequence[_Heard], tools: Tools) -> list[Figure]:
    pairs = [
        (each.reading, bool(each.agrees), group_of(trial))
        for trial, each in zip(trials, heard, strict=True)
        if each.reading is not None
    ]
    groups = Grouped([group for _, _, group in pairs])
    rate = groups.ratio(
        [float(reading.errors) for reading, _, _ in pairs],
        [float(len(reading.written)) for reading, _, _ in pairs],
    )
    valid, error = tools.judge_valid or not pairs, tools.judge_error
    if error is None:
        note = "the judge's own errors are not known" if pairs else ""
    else:
        note = f"the judge itself misreads {error:.1%}"
    exact = [reading.errors == 0 for reading, _, _ in pairs]
    agrees = [agrees for _, agrees, _ in pairs]
    card = tools.judge.card if tools.judge is not None and tools.judge_cer is None else None
    return [
        estimated("speech.divergence", rate, "share", better="low", note=note, valid=valid),
        share("speech.exact", exact, note=note, valid=valid),
        share("speech.agrees", agrees, note=note, valid=valid),
        Figure(
            name="speech.judge_cer",
            value=error,
            n=card.held_out if card is not None else 0,
            better="low",
            valid=tools.judge_valid or error is None,
            note="characters of the same voice, apart from all trials",
        ),
    ]


def _verdict(trial: Trial, heard: _Heard) -> Verdict:
    faults: list[str] = []
    if heard.reading is not None:
        rate = heard.reading.errors / max(1, len(heard.reading.written))
        if not heard.agrees:
            faults.append(
                f'It wrote "{heard.reading.written}" and said "{heard.reading.heard}", which '
                "names something else."
            )
        elif rate > VALID:
            faults.append(
                f'It wrote "{heard.reading.written}", the judge heard "{heard.reading.heard}".'
            )
    if any(one.clipped for one in heard.sounds):
        faults.append("Its voice is clipped.")
    if any(one.dropouts for one in heard.sounds):
        faults.append("Its voice breaks off within a word.")
    said = bool(heard.sounds) or heard.reading is not None
    sound_why = "It said what it wrote, without a fault in the sound."
    if heard.reading is None:
        sound_why = "Its voice is without a fault; what it said was not read back."
    return Verdict(
        trial=trial.stimulus.id,
        suite="speech",
        ok=not faults if said else None,
        why=faults[0] if faults else (sound_why if said else "It said nothing."),
        values=_values(heard),
    )


def _values(heard: _Heard) -> dict[str, float | None]:
    scored = [s for s in heard.sounds if s.p808 is not None or s.ovrl is not None]
    reading = heard.reading
    values: dict[str, float | None] = {
        "speech.divergence": (
            None if reading is None else reading.errors / max(1, len(reading.written))
        ),
        "speech.exact": None if reading is None else float(reading.errors == 0),
        "speech.agrees": None if heard.agrees is None else float(heard.agrees),
        "speech.dnsmos_p808": scored[0].p808 if scored else None,
        "speech.dnsmos_ovrl": scored[0].ovrl if scored else None,
        "speech.clipped": _mean([float(one.clipped) for one in heard.sounds]),
        "speech.dropouts": _mean([float(one.dropouts > 0) for one in heard.sounds]),
        "speech.drift": heard.drift,
        "speech.pace": heard.pace,
    }
    return {name: value for name, value in values.items() if value is not None}


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
