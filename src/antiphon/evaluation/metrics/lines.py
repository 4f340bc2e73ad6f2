"""How hard a line is on somebody who only has to write down the words: the callers' judge.

A system that fails where the judge reads on has lost something else than the sound.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from antiphon.corpus.conversation import Conversation
from antiphon.corpus.edits import distance
from antiphon.corpus.tokenizer import normalise
from antiphon.evaluation.bootstrap import Grouped
from antiphon.evaluation.figures import Figure
from antiphon.evaluation.judge import Judge
from antiphon.evaluation.metrics.tools import cut, estimated, group_of
from antiphon.evaluation.trial import Trial

BEFORE, AFTER = 0.1, 0.2  # s around a turn that the judge gets as well


def word_errors(trials: Sequence[Trial], judge: Judge) -> list[Figure]:
    """The callers' judge's word error rate on what the line let through, by condition.

    A trial's caller channel is what the system heard; its words are the script's. Rates above 1
    are possible (words heard in noise).
    """
    edits: dict[str, list[float]] = defaultdict(list)
    words: dict[str, list[float]] = defaultdict(list)
    groups: dict[str, list[str]] = defaultdict(list)
    for trial in trials:
        said = turns(trial.conversation)
        if not said:
            continue
        condition = trial.stimulus.condition
        wrong = sum(
            distance(
                normalise(text).split(),
                judge.transcribe(cut(trial.caller, start - BEFORE, end + AFTER)).split(),
            )
            for text, start, end in said
        )
        edits[condition].append(float(wrong))
        words[condition].append(float(sum(len(normalise(text).split()) for text, _, _ in said)))
        groups[condition].append(group_of(trial))
    return [
        estimated(
            f"robustness.judge_wer_{condition}",
            Grouped(groups[condition]).ratio(edits[condition], words[condition]),
            "ratio",
            better="none",
            note="of the callers' judge, on what the system heard",
        )
        for condition in sorted(edits, key=lambda name: (name != "clean", name))
    ]


def turns(conversation: Conversation) -> list[tuple[str, float, float]]:
    """The caller's turns as (words, start, end), seconds: words of one turn's span."""
    found: list[tuple[str, float, float]] = []
    for event in conversation.turns("caller"):
        inside = [
            word
            for word in conversation.words
            if word.speaker == "caller"
            and event.start - 1e-3 <= word.start
            and word.end <= event.end + 1e-3
        ]
        if inside:
            found.append((" ".join(word.text for word in inside), event.start, event.end))
    return found
