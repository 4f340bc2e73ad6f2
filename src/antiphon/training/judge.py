"""The judges: recognisers of the agent's voice and of callers, trained apart from any agent.

They know no grammar: CTC over characters, taken greedily. A part of what they learn from are words
in random order, so that they cannot finish a familiar sentence which a voice only mumbled. A
judge's corpus has its own seed and its own voices (the agent's alone, or the callers that no agent
is trained on), and it is measured on sentences it never heard.
"""

# safetensors leaves some types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import hashlib
import itertools
import os
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from lightning.fabric import Fabric
from pydantic import BaseModel, ConfigDict, Field
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from torch import Tensor

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.audio.augment import loudest_block
from antiphon.audio.mel import torch_log_mel
from antiphon.codec.precision import Precision, precision_here
from antiphon.corpus.conversation import Speaker
from antiphon.corpus.delivery import SPEEDS, STYLES
from antiphon.corpus.dialogue import Turn, agent_sentences, caller_sentences
from antiphon.corpus.disk import Corpus, Entry, write_conversation, write_index, written
from antiphon.corpus.edits import distance
from antiphon.corpus.mix import Spoken, mix
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.corpus.tokenizer import normalise
from antiphon.corpus.voices import Voices
from antiphon.errors import BundleError, CorpusError, RecipeError
from antiphon.model.config import EncoderConfig
from antiphon.model.encoder import Encoder
from antiphon.training.hearing import HearingTask, Line, greedy
from antiphon.training.judge_card import AFTER, BEFORE, CARD, WEIGHTS, Hears, JudgeCard, read_card
from antiphon.training.lines import LineMel
from antiphon.training.loop import LoopConfig, fit
from antiphon.training.prepare import Flat, prepare
from antiphon.training.recipe import checked
from antiphon.training.streams import CHARACTERS

Floats = npt.NDArray[np.float32]
Kind = Literal["sentence", "scrambled"]
_SIDE: dict[Hears, Speaker] = {"agent": "agent", "callers": "caller"}

_BUCKETS = 8  # a sentence's words decide whether it is held out: one in eight
_DRAWS = 40  # sentences drawn for each that is wanted, before the scenario is taken to have no more
# Speed changes by up to this much, in logarithm.
_SPREAD: dict[Hears, float] = {"agent": 0.08, "callers": 0.17}


class JudgePart(LoopConfig):
    """How long the judge trains."""

    batch_seconds: float = 60.0


class JudgeRecipe(BaseModel):
    """A recipe with a `judge` key; the scenario's path is relative to the recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "judge"
    hears: Hears = "agent"
    scenario: Path
    sentences: int = Field(gt=0)
    held_out: int = Field(default=120, gt=0)
    scrambled: float = Field(default=0.4, ge=0, lt=1, description="share of words in random order")
    seed: int = 77
    encoder: EncoderConfig = EncoderConfig()
    judge: JudgePart
    precision: Precision = "bf16-mixed"

    @classmethod
    def load(cls, path: Path) -> JudgeRecipe:
        """Read a recipe; raises `RecipeError` naming the file and the key that is wrong."""
        recipe = checked(path, cls)
        return recipe.model_copy(update={"scenario": path.parent / recipe.scenario})


class Judge:
    """A trained judge, ready to read."""

    def __init__(self, card: JudgeCard, encoder: Encoder) -> None:
        self.card, self.encoder = card, encoder.eval()

    @torch.no_grad()
    def transcribe(self, samples: Floats) -> str:
        """What the voice says: lower-case words; "" for silence. samples: float32 [N], 16 kHz."""
        padded = np.zeros(-(-(len(samples) + _samples(BEFORE + AFTER)) // FRAME) * FRAME)
        padded[_samples(BEFORE) : _samples(BEFORE) + len(samples)] = samples
        mel = torch_log_mel(torch.from_numpy(padded.astype(np.float32))[None])
        vectors, _ = self.encoder(mel)
        return greedy(self.encoder.characters(vectors)[0])

    def save(self, folder: Path) -> None:
        """Write `judge.safetensors` and `judge.json`, each in one move, the card last."""
        folder.mkdir(parents=True, exist_ok=True)
        weights, card = folder / WEIGHTS, folder / CARD
        tensors = {name: value.contiguous() for name, value in self.encoder.state_dict().items()}
        save_file(tensors, f"{weights}.part")
        Path(f"{card}.part").write_text(self.card.model_dump_json(indent=2), encoding="utf-8")
        os.replace(f"{weights}.part", weights)
        os.replace(f"{card}.part", card)

    @classmethod
    def load(cls, folder: Path) -> Judge:
        """Read what `save` wrote; raises `BundleError` when it is missing or does not fit."""
        card, path = read_card(folder), folder / WEIGHTS
        if card.characters != CHARACTERS:
            raise BundleError(f"{folder}: this judge writes other characters; train it again")
        encoder = Encoder(card.encoder, len(CHARACTERS) + 1)
        try:
            encoder.load_state_dict(load_file(path))
        except Exception as error:  # safetensors and torch raise several kinds
            reason = str(error).splitlines()[0]
            raise BundleError(f"{path}: not this judge's weights: {reason}") from error
        return cls(card, encoder)


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


class LightLine:
    """The agent's voice with little done to it: -9 to +6 dB, and hiss 25 to 50 dB below."""

    def __call__(
        self, samples: Sequence[Floats], length: int, level: float, rng: np.random.Generator
    ) -> Tensor:
        """samples: B arrays [<= length]; returns log-mel [B, length / 160, 80]."""
        padded = np.zeros((len(samples), length), dtype=np.float32)
        for row, x in enumerate(samples):
            padded[row, : len(x)] = x
            if level <= 0:
                continue
            below = 10 ** (-rng.uniform(25, 50) / 20)
            loud = np.sqrt(loudest_block(x) / min(len(x), 2_048)) if len(x) else 0.0
            hiss = rng.standard_normal(length, dtype=np.float32)
            padded[row] += hiss * np.float32(loud * below * level)
            padded[row] *= np.float32(10 ** (rng.uniform(-9, 6) * level / 20))
        return torch_log_mel(torch.from_numpy(padded))


# -- what it is trained on ----------------------------------------------------------------


@dataclass(frozen=True)
class Sentence:
    """One sentence to be said, and whether its words stand in their own order."""

    text: str
    kind: Kind


def is_held_out(text: str) -> bool:
    """Whether a sentence, by its words, belongs to those that the judge is measured on."""
    return zlib.crc32(normalise(text).encode()) % _BUCKETS == 0


def sentences(
    scenario: Scenario,
    count: int,
    *,
    held_out: bool,
    scrambled: float,
    seed: int,
    hears: Hears = "agent",
) -> list[Sentence]:
    """Up to `count` different sentences of one side, and words in random order among them.

    No sentence is both held out and not. Raises CorpusError when the scenario has none.
    """
    rng = random.Random(f"{seed} judge {held_out}")
    drawn = agent_sentences(scenario, rng) if hears == "agent" else caller_sentences(scenario, rng)
    found: dict[str, None] = {}
    wanted = max(1, round(count * (1 - scrambled)))
    for _ in range(wanted * _DRAWS):
        text = next(drawn)
        if is_held_out(text) == held_out:
            found.setdefault(text)
        if len(found) == wanted:
            break
    if not found:
        raise CorpusError(f"the scenario's {hears} say too little to train and measure a judge")
    words = sorted({word for text in found for word in normalise(text).split()})
    lengths = [len(normalise(text).split()) for text in found]
    mixed = round(len(found) * scrambled / (1 - scrambled))
    shuffled: dict[str, None] = {}
    for _ in range(mixed * _DRAWS):
        if len(shuffled) == mixed:
            break
        text = " ".join(rng.choice(words) for _ in range(rng.choice(lengths)))
        if is_held_out(text) == held_out:
            shuffled.setdefault(text)
    lines = [Sentence(text, "sentence") for text in found]
    lines += [Sentence(text, "scrambled") for text in shuffled]
    rng.shuffle(lines)
    return lines


def speak(
    lines: Sequence[Sentence],
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
    hears: Hears = "agent",
) -> None:
    """A corpus of one turn a line, or what is missing of it: the agent's, or unseen callers'."""
    entries: list[Entry] = []
    with Voices() as voices:
        for index, line in enumerate(lines):
            entry = written(folder, index)
            if entry is None:
                turn = Turn(speaker=_SIDE[hears], text=line.text, intent=line.kind, gap=0.1)
                rng = random.Random(index)
                if hears == "agent":  # in all the ways in which it may speak
                    style, speed = rng.choice(STYLES), rng.choice(SPEEDS)
                    speech = voices.agent.speak(line.text, rng, style, speed)
                    name = voices.agent.name
                else:
                    voice = voices.caller("test", rng)
                    speech, name = voice.speak(line.text, rng), voice.name
                conversation = mix([Spoken(turn, speech, {"voice": name})], 0.1)
                entry = write_conversation(folder, index, conversation)
            entries.append(entry)
            if progress:
                progress(index + 1, len(lines))
    write_index(folder, entries)


# -- from nothing to a judge --------------------------------------------------------------


def train_judge(path: Path, work: Path, tell: Callable[[str], None]) -> Path:
    """The folder of the judge that a recipe makes; goes on where an earlier run was stopped.

    Raises RecipeError, CorpusError, ScenarioError and VoiceError.
    """
    recipe = JudgeRecipe.load(path)
    folder = work / recipe.name
    made = folder / "judge"
    if (made / CARD).exists():
        tell(_sentence(Judge.load(made).card))
        return made
    _agree(recipe, folder)
    scenario = load_scenario(recipe.scenario)
    for split in ("train", "valid"):
        _speech(recipe, scenario, folder, split)
    train, valid = Flat(folder / "flat" / "train"), Flat(folder / "flat" / "valid")
    encoder = Encoder(recipe.encoder, len(CHARACTERS) + 1)
    task = HearingTask(
        encoder,
        train,
        valid,
        [],
        real_share=0.0,
        batch_seconds=recipe.judge.batch_seconds,
        seed=recipe.seed,
        line=_line(recipe, train),
        speaker=_SIDE[recipe.hears],
        spread=_SPREAD[recipe.hears],
    )
    _normalise_mel(encoder, task)
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision_here(recipe.precision))
    fabric.launch()
    trained = fit(fabric, task, recipe.judge, folder / "training")
    saved: dict[str, dict[str, Tensor]] = torch.load(trained, weights_only=True)
    task.network.load_state_dict(saved["network"])
    card = JudgeCard(
        hears=recipe.hears,
        encoder=recipe.encoder,
        characters=CHARACTERS,
        voice=_voice(train, _SIDE[recipe.hears]),
        scenario=scenario.name,
        seed=recipe.seed,
        minutes=round(sum(s.seconds for s in task.synthetic) / 60, 1),
    )
    judge = measured(Judge(card, encoder), valid)
    judge.save(made)
    tell(_sentence(judge.card))
    return made


def measured(judge: Judge, held_out: Flat) -> Judge:
    """The judge with its error rates on held-out speech written in its card."""
    errors = {"sentence": [0, 0], "scrambled": [0, 0], "words": [0, 0]}
    count = 0
    for samples, text, kind in turns(held_out, _SIDE[judge.card.hears]):
        heard = judge.transcribe(samples)
        errors[kind][0] += distance(heard, text)
        errors[kind][1] += len(text)
        if kind == "sentence":
            errors["words"][0] += distance(heard.split(), text.split())
            errors["words"][1] += len(text.split())
        count += 1
    rates = {kind: e / n if n else None for kind, (e, n) in errors.items()}
    figures = {
        "held_out": count,
        "cer": rates["sentence"],
        "cer_scrambled": rates["scrambled"],
        "wer": rates["words"],
    }
    return Judge(judge.card.model_copy(update=figures), judge.encoder)


def turns(flat: Flat, speaker: Speaker = "agent") -> Iterator[tuple[Floats, str, str]]:
    """(samples, words, kind) of every turn of one side in a judge's prepared corpus."""
    side = flat.agent if speaker == "agent" else flat.caller
    for item in flat.items:
        for turn in item.turns(speaker):
            first = _samples(turn.start)
            sound = side(item.offset, item.frames)[first : _samples(turn.end)]
            yield sound, normalise(str(turn.data["text"])), str(turn.data["intent"])


def _speech(recipe: JudgeRecipe, scenario: Scenario, folder: Path, split: str) -> None:
    held_out = split == "valid"
    lines = sentences(
        scenario,
        recipe.held_out if held_out else recipe.sentences,
        held_out=held_out,
        scrambled=recipe.scrambled,
        seed=recipe.seed,
        hears=recipe.hears,
    )
    corpus = folder / "corpus" / split
    with Progress() as bar:
        task = bar.add_task(f"speak {split}", total=len(lines))
        speak(
            lines,
            corpus,
            lambda done, total: bar.update(task, completed=done, total=total),
            recipe.hears,
        )
    prepare(Corpus.open(corpus), folder / "flat" / split)


def _normalise_mel(encoder: Encoder, task: HearingTask) -> None:
    mel = torch.cat([task.batch(i, 1_000_000, 0.5).mel.flatten(0, 1) for i in range(4)])
    encoder.mean.copy_(mel.mean(0))
    encoder.scale.copy_(mel.std(0).clamp(min=1.0))


def _line(recipe: JudgeRecipe, flat: Flat) -> Line:
    """What its voices go through: hardly anything, or all that callers' do."""
    if recipe.hears == "agent":
        return LightLine()
    return LineMel([samples for samples, _, _ in itertools.islice(turns(flat, "caller"), 200)])


def _voice(flat: Flat, speaker: Speaker) -> str:
    found = {str(t.data["voice"]).split("+")[0] for i in flat.items for t in i.turns(speaker)}
    return ", ".join(sorted(found))


def _sentence(card: JudgeCard) -> str:
    other = card.cer_scrambled
    return (
        f"The judge's own character error rate on {card.held_out} held-out sentences of "
        f"{card.voice}: {card.cer or 0.0:.2%}"
        + ("" if other is None else f", and {other:.2%} on words in random order")
    )


def _agree(recipe: JudgeRecipe, folder: Path) -> None:
    """Refuse to go on in a folder that another recipe has begun."""
    try:
        digest = hashlib.sha256(recipe.scenario.read_bytes()).hexdigest()
    except OSError as error:
        raise RecipeError(f"{recipe.scenario}: cannot be read ({error.strerror})") from error
    told = recipe.model_copy(update={"scenario": Path(recipe.scenario.name)})
    plan = f"{told.model_dump_json(indent=2)}\n{digest}\n"
    path = folder / "plan.txt"
    if path.exists():
        if path.read_text(encoding="utf-8") != plan:
            raise RecipeError(
                f"{folder} was begun with another recipe or scenario; "
                "remove it, or name another place with --work"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(plan, encoding="utf-8")
