"""Orders to play to an agent: recordings, turns of a corpus, or made on the spot.

The ones that are made are dialogues kept apart from training, in voices kept apart from it too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import read
from antiphon.corpus.build import split_of
from antiphon.corpus.conversation import Conversation, Event
from antiphon.corpus.dialogue import Turn, sample_dialogue
from antiphon.corpus.disk import INDEX, Corpus
from antiphon.corpus.mix import Spoken, mix
from antiphon.corpus.order import effects
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.voices import Voices
from antiphon.errors import CorpusError
from antiphon.evaluation.commands import read_manifest
from antiphon.runtime.events import Samples

_BEFORE, _AFTER = 0.3, 0.2  # s kept around a turn
_DRAWS = 400  # dialogues drawn for each order before the scenario is taken to have none


@dataclass(frozen=True)
class SpokenOrder:
    """One recording of a caller, float32 [N] at 16 kHz, and where it is from."""

    name: str
    samples: Samples = field(repr=False)


def orders(
    data: Path | None,
    scenario: Scenario,
    most: int,
    *,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> list[SpokenOrder]:
    """At most `most` orders: of a manifest or a corpus, or, without `data`, made.

    `progress` is called after each. Raises CorpusError, AudioError, and VoiceError where an
    engine for making them is missing.
    """
    if data is None:
        source = _made(scenario, most, seed)
    elif (data / INDEX).is_file() or data.name == INDEX:
        source = _of_corpus(Corpus.open(data), scenario)
    else:
        clips = read_manifest(data)
        most = min(most, len(clips))
        source = (SpokenOrder(clip.path.name, read(clip.path)) for clip in clips)
    found: list[SpokenOrder] = []
    while len(found) < most and (stimulus := next(source, None)) is not None:
        found.append(stimulus)
        if progress:
            progress()
    if not found:
        raise CorpusError(f"{data}: holds no turn of a caller who orders something")
    return found


def _of_corpus(corpus: Corpus, scenario: Scenario) -> Iterator[SpokenOrder]:
    does = effects(scenario)
    for entry, conversation in zip(corpus.entries, corpus, strict=True):
        for turn in conversation.turns("caller"):
            if _adds(conversation, turn, does):
                start = max(0, round((turn.start - _BEFORE) * SAMPLE_RATE))
                stop = round((turn.end + _AFTER) * SAMPLE_RATE)
                name = f"{entry.path} at {turn.start:.1f} s"
                yield SpokenOrder(name, conversation.audio[1, start:stop].copy())


def _adds(conversation: Conversation, turn: Event, does: dict[str, str]) -> bool:
    return any(
        event.kind == "call"
        and abs(event.start - turn.end) < 0.05
        and does.get(str(event.data.get("name"))) == "add"
        for event in conversation.events
    )


def _made(scenario: Scenario, count: int, seed: int) -> Iterator[SpokenOrder]:
    adding = {name for name, intent in scenario.intents.items() if intent.effect == "add"}
    rng = random.Random(f"{seed} orders")
    with Voices() as voices:
        for number in range(count):
            turn = _order(scenario, adding, rng)
            voice = voices.caller("test", rng)
            alone = {"gap": _BEFORE, "beside": (), "breaks_in": None}  # nobody else is on the line
            said = turn.model_copy(update=alone)
            spoken = Spoken(said, voice.speak(turn.text, rng, turn.tone), {})
            conversation = mix([spoken], _AFTER)
            yield SpokenOrder(f"{number}: {voice.name}: {turn.text}", conversation.audio[1])


def _order(scenario: Scenario, adding: set[str], rng: random.Random) -> Turn:
    for _ in range(_DRAWS):
        dialogue = sample_dialogue(scenario, rng)
        if not dialogue.turns or split_of(dialogue) != "test":
            continue
        for turn in dialogue.turns:
            if turn.speaker == "caller" and turn.intent in adding:
                return turn
    raise CorpusError(
        f"{scenario.name}: none of {_DRAWS} dialogues is an order that was kept from training; "
        "name recordings with --data"
    )
