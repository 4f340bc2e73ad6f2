"""Pictures of calls, chosen by kind and by nothing else, with what came of each.

In: the folder of a report with its trials. Out: a folder with a picture a call and `README.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from antiphon.corpus.conversation import Conversation, Event, Word
from antiphon.corpus.disk import put
from antiphon.corpus.show import draw
from antiphon.errors import AntiphonError
from antiphon.evaluation.metrics.segments import stretches, turns
from antiphon.evaluation.report import Case, Report, read
from antiphon.evaluation.trial import Trial, load
from antiphon.runtime.events import AgentWordEvent, CallEvent, ToneEvent

KINDS = (
    *("order", "several", "correction", "conversation", "pair"),
    *("pause", "barge_in", "backchannel", "side_talk", "monologue"),
)
"""What is shown, one call each, where nothing else is asked for."""
_LONGEST_WORD = 0.6  # s that a word of the agent's is shown for when nothing follows it
_FARTHEST = 3.0  # s after a turn within which speech is its answer


def chosen(report: Report, kinds: Sequence[str] = KINDS) -> list[Case]:
    """The first call of each kind on a clean line, whatever came of it, in the order of `kinds`."""
    found: list[Case] = []
    for kind in kinds:
        of = (c for c in report.cases if c.kind == kind and c.condition == "clean")
        first = min(of, key=lambda case: (case.id, case.seed), default=None)
        if first is not None:
            found.append(first)
    return found


def gallery(folder: Path, out: Path, kinds: Sequence[str] = KINDS) -> list[Path]:
    """Draw one call of each kind from the report in `folder`; gives the pictures.

    Raises AntiphonError where there is no report, no such call, or no trial any more.
    """
    report = read(folder)
    cases = chosen(report, kinds)
    if not cases:
        raise AntiphonError(f"{folder}: the report has no call of {', '.join(kinds)}")
    out.mkdir(parents=True, exist_ok=True)
    pictures: list[Path] = []
    page = [
        f"# Calls of {report.run.system}",
        "",
        "The first stimulus of each kind, whatever came of it: agent above, caller below. Turns",
        "are shaded, the caller's pauses hatched; an arrow is the time from the caller's last",
        f"sound to the agent's first. Data: {report.run.data}; seed {report.run.seed}.",
        "",
        f"    antiphon eval gallery {folder.name} --out {out.name}",
    ]
    for number, case in enumerate(cases, 1):
        trial = load(folder / case.sound)
        path = draw(as_told(trial), out / f"{number:02d}-{case.kind}.png")
        pictures.append(path)
        page += ["", f"## {number}. {case.kind.replace('_', ' ')}", ""]
        page += [f"![{case.caller or case.kind}]({path.name})", ""]
        page += [f"- {v.suite}: {v.why}" for v in case.verdicts if v.why]
    put(out / "README.md", ("\n".join(page) + "\n").encode())
    return pictures


def as_told(trial: Trial) -> Conversation:
    """A trial as a conversation: the script's words and events, the agent's as it told them, its
    turns as they were heard, and how long each answer took."""
    said = [event for event in trial.told if isinstance(event, AgentWordEvent)]
    ends = [min(b.start, a.start + _LONGEST_WORD) for a, b in pairwise(said)]
    ends += [event.start + _LONGEST_WORD for event in said[-1:]]
    words = [
        Word(text=event.text, start=event.start, end=max(end, event.start), speaker="agent")
        for event, end in zip(said, ends, strict=True)
    ]
    events = list(trial.conversation.events)
    spoken = stretches(trial)
    events += [Event(kind="turn", speaker="agent", start=s.start, end=s.end) for s in spoken]
    for turn in turns(trial):
        answer = next((s for s in spoken if turn.end <= s.start < turn.end + _FARTHEST), None)
        if answer is not None:
            events.append(Event(kind="gap", speaker="agent", start=turn.end, end=answer.start))
    for event in trial.told:
        at = event.time
        if isinstance(event, CallEvent):
            data = {"name": event.name, "arguments": event.arguments}
            events.append(Event(kind="call", speaker="agent", start=at, end=at, data=data))
        elif isinstance(event, ToneEvent) and event.tone != "neutral":
            data = {"label": f"hears {event.tone}"}
            events.append(Event(kind="tone", speaker="agent", start=at, end=at, data=data))
    return replace(
        Conversation(trial.conversation.audio, trial.conversation.words, ()),
        words=tuple(sorted((*trial.conversation.words, *words), key=lambda w: w.start)),
        events=tuple(sorted(events, key=lambda e: e.start)),
    )
