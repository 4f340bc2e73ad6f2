"""Does the agent hear how something is said, and does it matter to what it does.

The same words are said in several tones. A system that hears words alone answers all of them
alike: its contrast is 0, whatever its accuracy.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from antiphon.corpus.conversation import Event
from antiphon.corpus.edits import distance
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.tokenizer import normalise
from antiphon.evaluation.bootstrap import Grouped
from antiphon.evaluation.figures import Figure, Measured, Verdict
from antiphon.evaluation.metrics import prosody
from antiphon.evaluation.metrics.prosody import Contours
from antiphon.evaluation.metrics.segments import turns, until
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
from antiphon.evaluation.metrics.words import Words
from antiphon.evaluation.trial import Trial
from antiphon.runtime.events import CallEvent, Samples, ToneEvent

LATE = 0.5  # s after a turn in which its tone may still be told
NEUTRAL = "neutral"
_ALIKE = 0.5  # characters that may differ, of those of a reply, before it is another reply
_WAYS = 16  # drawings of a reply with which a system's own is compared, for each tone


def measure(trials: Sequence[Trial], tools: Tools) -> Measured:
    """The suite `tone` over the trials of its stimuli on a clean line."""
    ours = clean(trials, "tone")
    tries = [(trial, Try.of(trial, tools)) for trial in ours]
    verdicts = [_verdict(trial, tried) for trial, tried in tries]
    heard = [
        (heard_tone(trial, turn), _wanted(trial, turn)) for trial in ours for turn in turns(trial)
    ]
    told = any(isinstance(event, ToneEvent) for trial in ours for event in trial.told)
    tones = sorted({wanted for _, wanted in heard})
    chance = f"{len(tones)} tones, chance is {1 / len(tones):.2f}" if tones else ""
    silent = "" if told or not ours else "; the system tells no tones, so it counts as neutral"
    pairs, controls = _pairs(tries, "pair"), _pairs(tries, "control")
    figures = [
        share("tone.recognition", [a == b for a, b in heard], note=chance + silent),
        share("tone.flip", [_flipped(pair) for pair in pairs]),
        _contrast("tone.contrast", pairs, contrast, "high"),
        _contrast("tone.control", controls, control, "none"),
        *_prosody(ours, tools),
    ]
    return Measured(suite="tone", figures=tuple(figures), verdicts=tuple(verdicts))


def heard_tone(trial: Trial, turn: Event) -> str:
    """The tone that the system told for the longest part of a turn; "neutral" if it told none.

    Tones are told when they change, so one stands until the next; half a second after the turn
    still counts, for a system hears it late.
    """
    end = min(turn.end + LATE, until(trial, turn))
    told = sorted((e for e in trial.told if isinstance(e, ToneEvent)), key=lambda e: e.time)
    stood: dict[str, float] = defaultdict(float)
    for index, event in enumerate(told):
        following = told[index + 1].time if index + 1 < len(told) else end
        stood[event.tone] += max(0.0, min(following, end) - max(event.time, turn.start))
    longest = max(stood.values(), default=0.0)
    return (
        next((tone for tone, s in stood.items() if s == longest), NEUTRAL) if longest else NEUTRAL
    )


def reply_class(trial: Trial, scenario: Scenario, text: str | None) -> str | None:
    """For which tone the system's reply is meant, by the scenario's replies to the intent: to what
    the caller asked for, or to what the system called, for what it misheard is another matter.

    None where replies do not depend on tone (facts `judged`), or the text is not known; "" where
    nothing like any of them was said, or it is as near to the replies of two tones.
    """
    facts = trial.stimulus.facts
    if facts.get("judged") != "reply" or text is None:
        return None
    said, intent = normalise(text), str(facts["intent"])
    wanted = _Asked(facts.get("slots", {}), facts.get("items", []))
    spec = scenario.intents[intent]
    asked = [wanted, *(_asked(call) for call in _calls(trial) if call.name == spec.call)]
    far: dict[str, float] = {}
    for tone in spec.reply:
        rng = random.Random(tone)
        ways = {
            normalise(scenario.reply(intent, slots, items, items, rng, tone) or "")
            for slots, items in asked
            for _ in range(_WAYS)
        }
        near = [way for way in ways if abs(len(said) - len(way)) <= _ALIKE * len(way)]
        far[tone] = min((distance(said, way) / len(way) for way in near), default=1.0)
    nearest = [tone for tone, by in far.items() if by == min(far.values())]
    return nearest[0] if len(nearest) == 1 and far[nearest[0]] <= _ALIKE else ""


class _Asked(NamedTuple):
    slots: dict[str, str]
    items: list[dict[str, str]]


def _calls(trial: Trial) -> list[CallEvent]:
    return [event for event in trial.told if isinstance(event, CallEvent)]


def _asked(call: CallEvent) -> _Asked:
    """What a call stands for: its array holds the items, and what else it names are slots."""
    lists = [name for name, value in call.arguments.items() if isinstance(value, list)]
    slots = {name: str(v) for name, v in call.arguments.items() if name not in lists}
    items = cast("list[dict[str, str]]", call.arguments[lists[0]]) if lists else []
    return _Asked(slots, items)


class Try(NamedTuple):
    """One trial: what was right, what the system took it for (by its reply, or by the tone that
    it told), and its group."""

    right: str
    response: str
    group: str = ""
    by_reply: bool = False

    @classmethod
    def of(cls, trial: Trial, tools: Tools) -> Try:
        """By the class of its reply where the scenario's replies depend on tone."""
        facts, asked = trial.stimulus.facts, turns(trial)
        words = Words.of(trial, tools)
        by_reply = reply_class(trial, tools.scenario, words.text if words else None)
        if by_reply is not None:
            wanted = str(facts.get("reply_class", NEUTRAL))
            return cls(wanted, by_reply, group_of(trial), by_reply=True)
        told = heard_tone(trial, asked[-1]) if asked else NEUTRAL
        wanted = str(facts.get("tone", asked[-1].data.get("tone", NEUTRAL) if asked else NEUTRAL))
        return cls(wanted, told, group_of(trial))


def contrast(pair: Sequence[Try]) -> float:
    """P(right) - P(right when the tones are swapped), over the trials of one pair."""
    straight = [each.response == each.right for each in pair]
    swapped = [
        each.response == other.right
        for at, each in enumerate(pair)
        for by, other in enumerate(pair)
        if at != by
    ]
    return float(np.mean(straight) - np.mean(swapped))


def control(pair: Sequence[Try]) -> float:
    """The contrast of a pair that has none: the same words in the same tone, where the second
    passes for another tone, the one that the system heard most wrongly if it heard any."""
    true = pair[0].right
    other = next((each.response for each in pair if each.response != true), f"not {true}")
    labels = [true, *([other] * (len(pair) - 1))]
    return contrast([each._replace(right=name) for each, name in zip(pair, labels, strict=True)])


def _verdict(trial: Trial, tried: Try) -> Verdict:
    ok, what = tried.response == tried.right, "reply" if tried.by_reply else "tone"
    why = (
        f"It took the {what} as {tried.right}, as it should."
        if ok
        else f'The right {what} was "{tried.right}", its own was "{tried.response or "neither"}".'
    )
    return Verdict(
        trial=trial.stimulus.id,
        suite="tone",
        ok=ok,
        why=why,
        values={"tone.recognition": _recognised(trial)},
    )


def _recognised(trial: Trial) -> float | None:
    hits = [heard_tone(trial, turn) == _wanted(trial, turn) for turn in turns(trial)]
    return float(np.mean(hits)) if hits else None


def _wanted(trial: Trial, turn: Event) -> str:
    return str(turn.data.get("tone", trial.stimulus.facts.get("tone", NEUTRAL)))


def _pairs(tries: Sequence[tuple[Trial, Try]], kind: str) -> list[list[Try]]:
    """Trials of the same words and seed, together; what stands alone is no pair."""
    found: dict[tuple[Any, int], list[Try]] = defaultdict(list)
    for trial, tried in tries:
        if trial.stimulus.kind == kind:
            name = trial.stimulus.facts.get("pair", trial.stimulus.group)
            found[name, trial.seed].append(tried)
    return [pair for pair in found.values() if len(pair) > 1]


def _flipped(pair: Sequence[Try]) -> bool:
    return all(each.response == each.right for each in pair)


def _contrast(
    name: str, pairs: Sequence[Sequence[Try]], of: Callable[[Sequence[Try]], float], better: Any
) -> Figure:
    groups = Grouped([pair[0].group for pair in pairs])
    estimate = groups.mean([of(pair) for pair in pairs])
    return estimated(name, estimate, "score", better=better)


# -- prosody -------------------------------------------------------------------


class _Utterance(NamedTuple):
    samples: Samples
    contours: Contours


def _prosody(trials: Sequence[Trial], tools: Tools) -> list[Figure]:
    """What of the caller's prosody comes back in the agent's reply, between its anchors."""
    asked, replied, groups = list[_Utterance](), list[_Utterance](), list[str]()
    for trial in trials:
        for turn in turns(trial)[:1]:
            caller = _utterance(cut(trial.caller, turn.start, turn.end))
            agent = _utterance(cut(trial.agent, turn.start, until(trial, turn)))
            if caller is not None and agent is not None:
                asked.append(caller)
                replied.append(agent)
                groups.append(group_of(trial))
    shuffled = [*replied[1:], *replied[:1]]
    measures: dict[str, Alike] = {
        "f0": lambda a, b: prosody.f0_correlation(a.contours, b.contours),
        "energy": lambda a, b: prosody.energy_correlation(a.contours, b.contours),
        "pauses": lambda a, b: prosody.pause_f1(a.contours, b.contours),
    }
    if tools.embed is not None:
        measures["speaker"] = _cosine(tools.embed)
    figures = [
        _against(name, of, asked, replied, shuffled, groups) for name, of in measures.items()
    ]
    return [*figures, _rates(asked, replied, shuffled)]


def _utterance(samples: Samples) -> _Utterance | None:
    found = prosody.contours(samples)
    return None if found is None else _Utterance(samples, found)


Alike = Callable[[_Utterance, _Utterance], float | None]


def _against(
    name: str,
    of: Alike,
    asked: Sequence[_Utterance],
    replied: Sequence[_Utterance],
    shuffled: Sequence[_Utterance],
    groups: Sequence[str],
) -> Figure:
    series, copies, others = Series(), Series(), Series()
    for caller, agent, other, group in zip(asked, replied, shuffled, groups, strict=True):
        series.add(of(caller, agent), group)
        copies.add(of(caller, caller), group)
        others.add(of(caller, other) if len(asked) > 1 else None, group)
    note = _anchors(_mean(others.values), _mean(copies.values))
    return series.mean(f"tone.prosody_{name}", "score", better="none", note=note)


def _rates(
    asked: Sequence[_Utterance], replied: Sequence[_Utterance], shuffled: Sequence[_Utterance]
) -> Figure:
    """Spearman's rank correlation of syllable rates, with Fisher's interval."""
    ours, theirs, others = (
        [prosody.syllable_rate(each.contours) for each in side]
        for side in (asked, replied, shuffled)
    )
    name, n = "tone.prosody_rate", len(ours)
    value = prosody.spearman(ours, theirs)
    if value is None:
        return Figure(name=name, value=None, n=0, unit="score", better="none")
    low, high = _fisher(value, n)
    note = _anchors(prosody.spearman(ours, others), 1.0)
    return Figure(
        name=name, value=value, low=low, high=high, n=n, unit="score", better="none", note=note
    )


def _fisher(r: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a rank correlation (Fieller et al. 1957: variance 1.06 / (n - 3))."""
    if n < 4:
        return -1.0, 1.0
    middle = np.arctanh(np.clip(r, -0.999999, 0.999999))
    half = 1.96 * np.sqrt(1.06 / (n - 3))
    return float(np.tanh(middle - half)), float(np.tanh(middle + half))


def _cosine(embed: Embed) -> Alike:
    def alike(a: _Utterance, b: _Utterance) -> float | None:
        x, y = embed(a.samples), embed(b.samples)
        scale = float(np.linalg.norm(x) * np.linalg.norm(y))
        return float(x @ y) / scale if scale > 0 else None

    return alike


def _anchors(shuffle: float | None, copy: float | None) -> str:
    if shuffle is None or copy is None:
        return ""
    return f"a shuffle gives {shuffle:.2f}, a copy {copy:.2f}"


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
