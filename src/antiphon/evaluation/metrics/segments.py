"""When the agent spoke, and beside what of the caller's.

The agent's times are read from its channel as it was played, by level; the caller's come from
the script that made them. A stretch is agent's speech without half a second of silence in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from antiphon.corpus.conversation import Event
from antiphon.evaluation.trial import Trial
from antiphon.runtime.events import AgentWordEvent
from antiphon.runtime.latency import SAME_REPLY, replies

SHORT = 1.0  # s: speech that is shorter may be a backchannel
SHORT_WORDS = 3  # ... and has no more words than this
BACKCHANNEL_WORDS = 2
EARLY = 0.25  # s by which a start before the caller's end is a quick answer and no interruption
LEAST = 0.1  # s: nobody reacts sooner; speech that ends before this was ending anyway
REACTION = 0.5  # s after a pause in which a take-over was still decided within it
_FAR = 1.0  # s from a stretch beyond which a told word was not spoken


class Stretch(NamedTuple):
    """The agent's speech from `start` to `end` (seconds).

    `words` are those that it told; None where it told none in the whole trial.
    """

    start: float
    end: float
    words: tuple[str, ...] | None = None

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def text(self) -> str:
        return " ".join(self.words or ())


def stretches(trial: Trial, gap: float = SAME_REPLY) -> list[Stretch]:
    """The agent's speech; silences shorter than `gap` seconds are inside a stretch."""
    spans = [(float(start), float(end)) for start, end in replies(trial.agent, gap=gap)]
    told = [event for event in trial.told if isinstance(event, AgentWordEvent)]
    if not told:
        return [Stretch(start, end) for start, end in spans]
    words: list[list[str]] = [[] for _ in spans]
    for event in told:
        far = [max(start - event.start, event.start - end, 0.0) for start, end in spans]
        if far and min(far) <= _FAR:
            words[far.index(min(far))].append(event.text)
    return [
        Stretch(start, end, tuple(said)) for (start, end), said in zip(spans, words, strict=True)
    ]


def turns(trial: Trial) -> list[Event]:
    """What the caller said to the agent: turns and barge-ins, by time."""
    return events(trial, "turn", "barge_in")


def events(trial: Trial, *kinds: str) -> list[Event]:
    """The caller's events of these kinds, by time."""
    found = [e for e in trial.conversation.events if e.kind in kinds and e.speaker == "caller"]
    return sorted(found, key=lambda event: event.start)


def until(trial: Trial, event: Event) -> float:
    """When the caller begins to speak to the agent again; the trial's end where they do not."""
    later = [turn.start for turn in turns(trial) if turn.start > event.start]
    return min(later, default=max(trial.conversation.duration, event.end))


def take_over(said: Sequence[Stretch]) -> bool:
    """Whether this speech takes the turn: 0 for nothing, or less than a second and at most three
    words (Lin et al. 2025). A system that tells no words is judged by the seconds alone."""
    seconds = sum(stretch.seconds for stretch in said)
    words = sum(len(stretch.words or ()) for stretch in said)
    return seconds >= SHORT or words > SHORT_WORDS


def is_backchannel(stretch: Stretch) -> bool:
    """Less than a second and at most two words."""
    return stretch.seconds < SHORT and len(stretch.words or ()) <= BACKCHANNEL_WORDS


def speaking_at(said: Sequence[Stretch], moment: float) -> Stretch | None:
    """The speech that an event at this moment falls into; None where there is none, or where it
    ends before anybody could have reacted."""
    for stretch in said:
        if stretch.start < moment and stretch.end > moment + LEAST:
            return stretch
    return None


def undisturbed(trial: Trial, stretch: Stretch) -> bool:
    """Whether nothing of the caller's began while this was said."""
    disturbing = ("turn", "barge_in", "backchannel", "side_talk", "noise")
    return not any(stretch.start < e.start < stretch.end for e in events(trial, *disturbing))
