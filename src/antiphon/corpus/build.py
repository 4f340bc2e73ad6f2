"""Builds a corpus from a scenario: sampled dialogues, spoken, mixed and written by many workers.

Every conversation is made from (seed, number) alone, so that the same seed gives the same bytes
whatever the number of workers, and after a kill only what is missing is made. Knows nothing of
training; audio stays clean, for augmentation belongs to training.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from antiphon.audio.augment import room_bank
from antiphon.audio.augment.filtering import draw_distance, linear
from antiphon.audio.augment.level import loudest_block
from antiphon.corpus.conversation import Conversation
from antiphon.corpus.delivery import leaning, tempo
from antiphon.corpus.dialogue import Beside, Dialogue, sample_dialogue
from antiphon.corpus.disk import (
    INDEX,
    SHARD,
    Entry,
    put,
    read_index,
    write_conversation,
    write_index,
    written,
)
from antiphon.corpus.mix import Spoken, mix
from antiphon.corpus.real import Recording, read_recordings, read_sentences
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.corpus.voices import Cast, Group, Speech, Voice, Voices
from antiphon.corpus.voices.silent import SilentVoices
from antiphon.corpus.workers import made
from antiphon.errors import CorpusError

Split = Literal["train", "valid", "test"]

_FORMAT = 4  # raise when the same seed no longer gives the same bytes
_BUCKETS = 20  # a dialogue's words decide its split: one twentieth each for valid and test
_BUCKET: dict[int, Split] = {0: "valid", 1: "test"}
_TRIES = 1_000
_OUT_OF_DOMAIN = "out_of_domain"
_UNSAID: dict[str, Any] = {"talk": [], "talk_share": 0.0}  # plans of before do not say it
_AWAY = (-16.0, -5.0)  # dB: who turns away from the telephone is heard from further off


class Plan(BaseModel):
    """What a corpus is made from; kept beside it as build.json, which a rebuild must match."""

    model_config = ConfigDict(frozen=True)

    format: int = _FORMAT
    scenario: str
    scenario_sha256: str
    seed: int
    split: Split
    voices: Group
    real: tuple[str, ...] = ()
    real_share: float = 0.0
    talk: tuple[str, ...] = ()
    talk_share: float = 0.0


@dataclass(frozen=True)
class Others:
    """What stands in for callers' own words in turns outside the domain, and how often: recordings,
    and, in turns that have none, sentences.
    """

    recordings: Sequence[Recording] = ()
    sentences: Sequence[str] = ()
    real_share: float = 0.0
    talk_share: float = 0.0


def build(
    scenario: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    conversations: int,
    seed: int = 1,
    voices: Group = "train",
    split: Split | None = None,
    workers: int = 1,
    real: Sequence[str | os.PathLike[str]] = (),
    real_share: float = 0.5,
    talk: Sequence[str | os.PathLike[str]] = (),
    talk_share: float = 0.5,
    progress: Callable[[int, int], None] | None = None,
) -> list[Entry]:
    """Make `conversations` conversations in `out`, or those of them that are not there yet.

    split: whose dialogues, by default those that go with the voices; no dialogue (by the words
    of its callers) is in two splits. real: manifests of recordings (jsonl with "path" and perhaps
    "text") that stand in for the caller in `real_share` of the out-of-domain turns. talk: text
    files, a sentence a line, that the corpus's voices say in `talk_share` of the others. progress
    is told (done, of how many). Returns the index. A corpus never shrinks.

    Raises CorpusError (the folder holds another corpus, full disk, bad manifest), ScenarioError
    and VoiceError.
    """
    if conversations < 1:
        raise CorpusError("a corpus needs at least one conversation")
    scenario_path, folder = Path(scenario), Path(out)
    load_scenario(scenario_path)  # its errors belong here, not into a worker
    plan = Plan(
        scenario=scenario_path.name,
        scenario_sha256=_digest(scenario_path),
        seed=seed,
        split=split or ("test" if voices.endswith("test") else "train"),
        voices=voices,
        real=tuple(_digest(Path(path)) for path in real),
        real_share=real_share if real else 0.0,
        talk=tuple(_digest(Path(path)) for path in talk),
        talk_share=talk_share if talk else 0.0,
    )
    _agree(folder, plan)
    files = Files(scenario_path, tuple(map(Path, real)), tuple(map(Path, talk)))
    job = Job(files, folder, plan)
    job.others()  # its errors belong here, too
    there = len(read_index(folder / INDEX)) if (folder / INDEX).exists() else 0
    total = max(conversations, there)
    entries: list[Entry] = []
    for entry in made(job, total, workers):
        entries.append(entry)
        if len(entries) % SHARD == 0 and len(entries) > there:
            write_index(folder, entries)
        if progress:
            progress(len(entries), total)
    write_index(folder, entries)
    return entries


@dataclass(frozen=True)
class Files:
    """What a build reads."""

    scenario: Path
    real: tuple[Path, ...] = ()
    talk: tuple[Path, ...] = ()


class Job:
    """One worker's share of a build; its voices start with the first conversation it makes."""

    def __init__(self, files: Files, folder: Path, plan: Plan) -> None:
        self.files, self.folder, self.plan = files, folder, plan
        self._tools: tuple[Scenario, Voices, Others] | None = None

    def make(self, index: int) -> Entry:
        """Conversation `index`, made unless it is there already."""
        there = written(self.folder, index)
        if there is not None:
            return there
        if self._tools is None:
            scenario = load_scenario(self.files.scenario)
            self._tools = (scenario, Voices(), self.others())
        scenario, voices, others = self._tools
        key = f"{self.plan.seed} {self.plan.split} {index}"
        dialogue = _dialogue(scenario, self.plan.split, random.Random(f"{key} dialogue"))
        conversation = speak(
            dialogue,
            scenario,
            self.plan.voices,
            voices,
            others,
            random.Random(f"{key} sound"),
        )
        return write_conversation(self.folder, index, conversation)

    def others(self) -> Others:
        """What stands in for callers outside the domain. Raises CorpusError."""
        return Others(
            read_recordings(self.files.real),
            read_sentences(self.files.talk),
            self.plan.real_share,
            self.plan.talk_share,
        )

    def close(self) -> None:
        """End the voices."""
        if self._tools is not None:
            self._tools[1].close()


def speak(
    dialogue: Dialogue,
    scenario: Scenario,
    group: Group,
    voices: Cast,
    others: Others,
    rng: random.Random,
) -> Conversation:
    """The dialogue in the voices of a group, one caller throughout.

    The agent's tempo follows that of the caller's first turn for the whole call, or what it is
    told: people lean towards each other's (Street 1984), and nobody changes at every sentence.
    """
    shape, caller = scenario.dialogue, voices.caller(group, rng)
    spoken: list[Spoken] = []
    speed = dialogue.directed.speed if dialogue.directed else None
    for turn in dialogue.turns:
        chance = rng.random()
        outside = turn.speaker == "caller" and turn.intent == _OUT_OF_DOMAIN
        if outside and others.recordings and chance < others.real_share:
            recording = rng.choice(others.recordings)
            changes = {"text": recording.text, "pauses": (), "beside": ()}
            said = turn.model_copy(update=changes)
            data: dict[str, Any] = {"voice": "recorded"}
            if not recording.text:
                data["recorded_without_text"] = True
            spoken.append(Spoken(said, recording.speech(), data))
            continue
        if outside and others.sentences and rng.random() < others.talk_share:
            text = _outside(scenario, others.sentences, rng) or turn.text
            turn = turn.model_copy(update={"text": text, "pauses": (), "beside": ()})
        if turn.speaker == "agent":
            paced = 1.0 if speed is None else speed
            speech = voices.agent.speak(turn.text, rng, turn.style, paced)
            data = {"voice": voices.agent.name, "style": turn.style, "speed": paced}
            if dialogue.directed is not None:
                data["directed"] = True
        else:
            speech = caller.speak(turn.text, rng, turn.tone)
            data = {"voice": caller.name}
            if speed is None and (heard := tempo(speech.words)) is not None:
                speed = leaning(heard, shape.usual_tempo, shape.leaning)
        beside = tuple(_beside(said, voices, caller, rng) for said in turn.beside)
        spoken.append(Spoken(turn, speech, data, beside))
    return mix(spoken, dialogue.tail)


def imagine(scenario: Scenario, split: Split, rng: random.Random) -> Conversation:
    """A conversation of a split that nobody speaks: words and events when they might come, silence
    for sound. A thousand take seconds.
    """
    dialogue = _dialogue(scenario, split, rng)
    return speak(dialogue, scenario, "train", SilentVoices(), Others(), rng)


def _beside(said: Beside, voices: Cast, caller: Voice, rng: random.Random) -> Speech:
    """What is said beside a turn: into the line, or away from it to somebody else in the room."""
    if said.kind == "backchannel":
        voice = voices.agent if said.by == "agent" else caller
        return voice.speak(said.text, rng)
    speech = caller.speak(said.text, rng)
    drawn = np.random.default_rng(rng.getrandbits(64))
    rooms = room_bank()
    away = linear(speech.samples, rooms[int(drawn.integers(len(rooms)))], draw_distance(drawn))
    gain = math.sqrt(loudest_block(speech.samples) / max(loudest_block(away), 1e-9))
    gain *= 10 ** (rng.uniform(*_AWAY) / 20)
    return Speech(away * np.float32(gain), speech.words, speech.start, speech.end)


def _outside(scenario: Scenario, sentences: Sequence[str], rng: random.Random) -> str | None:
    """A sentence that no caller of the scenario would say for something it can do; None: none was
    found."""
    values = [value.value for slot in scenario.slots.values() for value in slot.values]
    for _ in range(_TRIES):
        text = rng.choice(sentences)
        padded = f" {text.replace(',', '')} "
        if not any(f" {value} " in padded for value in values):
            return text
    return None


def split_of(dialogue: Dialogue) -> Split:
    """The split that a dialogue belongs to, by what its callers say."""
    words = "|".join(turn.text for turn in dialogue.turns if turn.speaker == "caller")
    return _BUCKET.get(zlib.crc32(words.encode()) % _BUCKETS, "train")


def _dialogue(scenario: Scenario, split: Split, rng: random.Random) -> Dialogue:
    for _ in range(_TRIES):
        dialogue = sample_dialogue(scenario, rng)
        if not dialogue.turns or split_of(dialogue) == split:
            return dialogue
    raise CorpusError(
        f"the scenario has too few dialogues to keep some apart for {split}: "
        f"none in {_TRIES}; give callers more ways to say things"
    )


def _agree(folder: Path, plan: Plan) -> None:
    """Refuse to mix two corpora in one folder."""
    path = folder / "build.json"
    wanted = plan.model_dump_json(indent=2)
    if path.exists():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CorpusError(f"{path} is not readable; choose another folder") from error
        differing = [k for k, v in json.loads(wanted).items() if there.get(k, _UNSAID.get(k)) != v]
        if differing:
            raise CorpusError(
                f"{folder} holds a corpus made with another {differing[0].replace('_', ' ')}; "
                "choose another folder"
            )
        return
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise CorpusError(f"{folder} exists and is no corpus of this build; choose another folder")
    put(path, wanted.encode())


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from error
