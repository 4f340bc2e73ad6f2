from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.training.made import SCENARIO, conversation

from antiphon.audio.io import read
from antiphon.corpus.clips import cut
from antiphon.corpus.conversation import Conversation, Event
from antiphon.corpus.disk import Corpus, write_conversation, write_index
from antiphon.corpus.scenario import load_scenario
from antiphon.errors import CorpusError


def order(items: list[dict[str, str]]) -> Conversation:
    made = conversation()
    events = tuple(
        Event(
            kind=e.kind,
            speaker=e.speaker,
            start=e.start,
            end=e.end,
            data={"name": "place_order", "arguments": {"items": items}}
            if e.kind == "call"
            else e.data,
        )
        for e in made.events
    )
    return Conversation(made.audio, made.words, events)


def corpus(folder: Path, *items: list[dict[str, str]]) -> Corpus:
    write_index(
        folder, [write_conversation(folder, i, order(each)) for i, each in enumerate(items)]
    )
    return Corpus.open(folder)


def test_orders_of_one_item_are_cut_out_with_their_slots(tmp_path: Path) -> None:
    one = {"size": "large", "drink": "latte", "milk_amount": "some", "milk": "soy milk"}
    source = corpus(tmp_path / "corpus", [one], [one, one])
    assert cut(source, load_scenario(SCENARIO), tmp_path / "clips") == 1
    row = json.loads((tmp_path / "clips" / "manifest.jsonl").read_text())
    assert row["slots"] == {"coffeeDrink": "latte", "size": "large", "milkAmount": "some soy milk"}
    samples = read(tmp_path / "clips" / row["path"])
    # .3 s before a turn of one second, .5 s after it.
    assert abs(len(samples) / 16_000 - 1.8) < 0.02


def test_a_corpus_without_single_orders_says_so(tmp_path: Path) -> None:
    source = corpus(tmp_path / "corpus", [{"drink": "latte"}, {"drink": "mocha"}])
    with pytest.raises(CorpusError, match="exactly one item"):
        cut(source, load_scenario(SCENARIO), tmp_path / "clips")
