"""Callers' orders cut out of a corpus: single recordings with a manifest of what they order.

The manifest is the one that `antiphon eval commands` and the recordings of other benchmarks
use: a JSON object a line with `path`, `duration`, `text`, `intent` and `slots`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import write
from antiphon.corpus.conversation import Conversation, Event
from antiphon.corpus.disk import Corpus, put
from antiphon.corpus.scenario import Scenario
from antiphon.errors import CorpusError

_BEFORE, _AFTER = 0.3, 0.5  # s of the line kept around the speech


def cut(
    corpus: Corpus,
    scenario: Scenario,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write every turn that orders exactly one item into `folder`; returns how many.

    Raises:
        CorpusError: no turn of the corpus does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for index, conversation in enumerate(corpus):
        for turn, item in _orders(conversation):
            name = f"{index:06d}-{len(lines):06d}.flac"
            first = max(0, int((turn.start - _BEFORE) * SAMPLE_RATE))
            samples = conversation.audio[1, first : int((turn.end + _AFTER) * SAMPLE_RATE)]
            write(folder / name, samples)
            row: dict[str, Any] = {
                "path": name,
                "duration": round(len(samples) / SAMPLE_RATE, 2),
                "text": turn.data.get("text", ""),
                "intent": turn.data.get("intent", ""),
                "voice": turn.data.get("voice", ""),
                "slots": scenario.manifest_slots(item),
            }
            lines.append(json.dumps(row))
        if progress:
            progress(index + 1, len(corpus))
    if not lines:
        raise CorpusError(f"{corpus.path}: no turn in this corpus orders exactly one item")
    put(folder / "manifest.jsonl", ("\n".join(lines) + "\n").encode())
    return len(lines)


def _orders(conversation: Conversation) -> list[tuple[Event, dict[str, str]]]:
    """The caller's turns whose one call places one item, with that item."""
    found: list[tuple[Event, dict[str, str]]] = []
    calls = [event for event in conversation.events if event.kind == "call"]
    for turn in conversation.turns("caller"):
        made = [c for c in calls if abs(c.start - turn.end) < 0.05]
        items: list[dict[str, str]] = made[0].data["arguments"].get("items", []) if made else []
        if len(made) == 1 and len(items) == 1:
            found.append((turn, items[0]))
    return found
