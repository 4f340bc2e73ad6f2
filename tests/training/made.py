"""Small hand-made conversations, so that training is tested without a speech engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from antiphon.corpus.calls import Call, CallVocabulary
from antiphon.corpus.conversation import Conversation, Event, Word
from antiphon.corpus.disk import write_conversation, write_index
from antiphon.corpus.tokenizer import Tokenizer

SCENARIO = Path(__file__).parents[2] / "scenarios" / "cafe.yaml"
SENTENCES = ("a large latte please", "okay a large latte", "a small mocha", "okay a small mocha")

TOOL: dict[str, Any] = {
    "name": "place_order",
    "parameters": {
        "type": "object",
        "properties": {
            "size": {"type": "string", "enum": ["small", "large"]},
            "drink": {"type": "string", "enum": ["latte", "mocha"]},
        },
        "required": ["drink"],
    },
}


def calls() -> CallVocabulary:
    return CallVocabulary.from_tools([TOOL])


def tokenizer() -> Tokenizer:
    return Tokenizer.train(SENTENCES * 20, 60)


def tone(seconds: float, hertz: float) -> np.ndarray:
    t = np.arange(int(seconds * 16_000)) / 16_000
    return (0.2 * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def conversation(size: str = "large", drink: str = "latte") -> Conversation:
    """A caller's order from .5 to 1.5 s, the reply from 2.0 to 3.2 s, 4 s in all."""
    audio = np.zeros((2, 64_000), dtype=np.float32)
    audio[1, 8_000:24_000] = tone(1.0, 180 if size == "large" else 320)
    audio[0, 32_000:51_200] = tone(1.2, 210)
    said, reply = f"a {size} {drink}", f"okay a {size} {drink}"
    words = [
        Word(text=w, start=0.5 + i / 3, end=0.5 + (i + 1) / 3, speaker="caller")
        for i, w in enumerate(said.split())
    ] + [
        Word(text=w, start=2.0 + 0.3 * i, end=2.3 + 0.3 * i, speaker="agent")
        for i, w in enumerate(reply.split())
    ]
    made = Call(name="place_order", arguments={"size": size, "drink": drink})

    def turn(speaker: Any, start: float, end: float, text: str) -> Event:
        data = {"intent": "order", "text": text, "tone": "neutral"}
        return Event(kind="turn", speaker=speaker, start=start, end=end, data=data)

    events = (
        turn("caller", 0.5, 1.5, said),
        Event(kind="call", speaker="agent", start=1.5, end=1.5, data=made.model_dump()),
        turn("agent", 2.0, 3.2, reply),
    )
    return Conversation(audio, tuple(words), events)


def corpus(folder: Path, count: int = 6) -> Path:
    entries = [
        write_conversation(
            folder, i, conversation("large" if i % 2 else "small", "latte" if i % 3 else "mocha")
        )
        for i in range(count)
    ]
    write_index(folder, entries)
    return folder
