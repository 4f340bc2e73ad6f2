"""From nothing to trained weights: the stages of a recipe, each skipped once it is done.

    corpus -> prepare -> codec -> encode -> tokenizer -> hearing -> memory -> duplex

and then `antiphon.bundle.export` writes the bundle.

Every stage writes below `<work>/<name>/` and can be killed and run again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning.fabric import Fabric
from rich.progress import Progress

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import read
from antiphon.codec.data import collect
from antiphon.codec.model import Codec
from antiphon.codec.precision import precision_here
from antiphon.codec.train import CodecRecipe
from antiphon.codec.train import train as train_codec
from antiphon.corpus.calls import Call, CallVocabulary
from antiphon.corpus.disk import Corpus
from antiphon.corpus.order import fold
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.corpus.tokenizer import Tokenizer, normalise
from antiphon.errors import RecipeError
from antiphon.model.config import ModelConfig
from antiphon.model.duplex import Duplex
from antiphon.model.encoder import Encoder
from antiphon.training.duplex import DuplexTask
from antiphon.training.encode import encode, measure_callers
from antiphon.training.hearing import HearingTask
from antiphon.training.lines import LineMel
from antiphon.training.loop import fit
from antiphon.training.lora import adapt, merge
from antiphon.training.memory import MemoryTask
from antiphon.training.prepare import Flat, prepare, read_items
from antiphon.training.recipe import DuplexPart, Recipe
from antiphon.training.recordings import load as load_recordings
from antiphon.training.rollout import Case, Rollout, exactly
from antiphon.training.start import TOKENIZER, codec_of, keep_some, sizes_of, start_from
from antiphon.training.streams import CHARACTERS

STAGES = ("corpus", "prepare", "codec", "encode", "tokenizer", "hearing", "memory", "duplex")
SPLITS: tuple[Literal["train", "valid"], ...] = ("train", "valid")
PARALLEL = ("hearing", "memory", "duplex")  # stages that more than one process can share


@dataclass(frozen=True)
class Workshop:
    """A recipe, and where its stages read and write."""

    recipe: Recipe
    work: Path
    data: Path | None = None
    workers: int = 2

    @property
    def folder(self) -> Path:
        """Where this recipe's stages write."""
        return self.work / self.recipe.name

    @cached_property
    def scenario(self) -> Scenario:
        """The recipe's scenario."""
        return load_scenario(self.recipe.scenario)

    @cached_property
    def calls(self) -> CallVocabulary:
        """The scenario's call tokens."""
        return self.scenario.call_vocabulary

    @property
    def tokenizer_path(self) -> Path:
        """The trained tokenizer."""
        return self.folder / "tokenizer.model"

    def flat(self, split: str) -> Flat:
        """A prepared split: `train` or `valid`."""
        return Flat(self.folder / "flat" / split)

    def beside(self, names: Sequence[str]) -> list[Path]:
        """Files below the data folder; none where the user named none."""
        return [self.data / name for name in names] if self.data else []

    def codec(self) -> Codec:
        """The trained codec: a folder in the recipe, or this run's own."""
        if self.recipe.start is not None:
            return codec_of(self.recipe.start)
        given = self.recipe.codec
        if given.is_dir():
            return Codec.load(given)
        done, frozen = self.folder / "codec" / "codec", self.folder / "codec" / "frozen"
        return Codec.load(done if done.exists() else frozen)

    def model_config(self, codec: Codec, tokenizer: Tokenizer) -> ModelConfig:
        """The network's sizes."""
        if self.recipe.start is not None:
            started = sizes_of(self.recipe.start)
            ears = self.recipe.encoder
            if "ctc_rate" in ears.model_fields_set:  # the one size that fine-tuning can change
                ears = started.encoder.model_copy(update={"ctc_rate": ears.ctc_rate})
                started = started.model_copy(update={"encoder": ears})
            if self.recipe.memory is not None and started.memory is None:
                started = started.model_copy(update={"memory": self.recipe.memory.network})
            return started.model_copy(update={"call_vocabulary": len(self.calls)})
        return ModelConfig(
            text_vocabulary=tokenizer.size,
            call_vocabulary=len(self.calls),
            characters=len(CHARACTERS) + 1,
            codebooks=codec.config.codebooks,
            codebook_size=codec.config.codebook_size,
            encoder=self.recipe.encoder,
            backbone=self.recipe.backbone,
            memory=self.recipe.memory.network if self.recipe.memory else None,
        )


def run(shop: Workshop, stages: Sequence[str], tell: Callable[[str], None]) -> None:
    """Run stages in their order."""
    corpus = shop.recipe.corpus
    if shop.data is None and corpus and (corpus.real or corpus.talk or shop.recipe.noise):
        tell("No data folder was named (--data), so this trains without real speech and noise.")
    for stage in STAGES:
        if stage in stages:
            tell(f"Stage {stage}")
            _RUN[stage](shop)


def _corpus(shop: Workshop) -> None:
    from antiphon.corpus.build import build

    part = shop.recipe.corpus
    if part is None:
        return
    counts = {"train": part.conversations, "valid": part.validation}
    for split in SPLITS:
        with Progress() as bar:
            task = bar.add_task(f"build {split}", total=counts[split])
            build(
                shop.recipe.scenario,
                shop.folder / "corpus" / split,
                conversations=counts[split],
                seed=part.seed,
                voices=part.voices,
                split=split,
                workers=shop.workers,
                real=shop.beside(part.real) if split == "train" else [],
                real_share=part.real_share,
                talk=shop.beside(part.talk) if split == "train" else [],
                talk_share=part.talk_share,
                progress=lambda done, total, task=task: bar.update(task, completed=done),
            )


def _prepare(shop: Workshop) -> None:
    if shop.recipe.corpus is None:
        return
    for split in ("train", "valid"):
        corpus = Corpus.open(shop.folder / "corpus" / split)
        with Progress() as bar:
            task = bar.add_task(f"prepare {split}", total=len(corpus))
            prepare(
                corpus,
                shop.folder / "flat" / split,
                lambda done, total, task=task: bar.update(task, completed=done, total=total),
            )


def _codec(shop: Workshop) -> None:
    if (
        shop.recipe.start is not None
        or shop.recipe.codec.is_dir()
        or (shop.folder / "codec" / "codec").exists()
    ):
        return
    flat = shop.flat("train")
    recipe = CodecRecipe.load(shop.recipe.codec)
    agent: list[np.ndarray] = []
    others: list[np.ndarray] = []
    left = recipe.hours * 3600
    for item in flat.items:
        for speaker, into in (("agent", agent), ("caller", others)):
            for turn in item.turns(speaker):
                first = max(0, int((turn.start - 0.1) / 0.08))
                frames = min(item.frames - first, int((turn.end - turn.start + 0.3) / 0.08))
                cut = flat.agent if speaker == "agent" else flat.caller
                into.append(cut(item.offset + first, frames))
                left -= frames * 0.08 if speaker == "agent" else 0
        if left < 0:
            break
    train_codec(recipe, agent, others, shop.folder / "codec")


def train_codec_alone(recipe: Path, corpus: Path, folder: Path) -> None:
    """Train a codec on a corpus that exists."""
    read = CodecRecipe.load(recipe)
    agent, others = collect(corpus, read.hours)
    train_codec(read, agent, others, folder)


def _encode(shop: Workshop) -> None:
    if shop.recipe.corpus is None:
        return
    codec = shop.codec()
    for split in ("train", "valid"):
        with Progress() as bar:
            task = bar.add_task(f"encode {split}", total=None)
            encode(
                shop.folder / "flat" / split,
                codec,
                lambda done, total, task=task: bar.update(task, completed=done, total=total),
                workers=shop.workers,
            )
            task = bar.add_task(f"pitch of callers, {split}", total=None)
            measure_callers(
                shop.folder / "flat" / split,
                lambda done, total, task=task: bar.update(task, completed=done, total=total),
                workers=shop.workers,
            )


def _tokenizer(shop: Workshop) -> None:
    if shop.tokenizer_path.exists():
        return
    if shop.recipe.start is not None:
        shop.folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shop.recipe.start / TOKENIZER, shop.tokenizer_path)
        return
    items = read_items(shop.folder / "flat" / "train")
    texts = [
        str(event.data.get("text", "")) for i in items for event in i.events if event.kind == "turn"
    ]
    tokenizer = Tokenizer.train(texts, shop.recipe.pieces)
    tokenizer.save(shop.tokenizer_path)


def caller_line(shop: Workshop, flat: Flat) -> LineMel:
    """The augmented line: babble from the corpus's own callers, noise from the data folder."""
    talk: list[np.ndarray] = []
    for item in flat.items[:400]:
        for turn in item.turns("caller"):
            first = int(turn.start / 0.08)
            talk.append(flat.caller(item.offset + first, int((turn.end - turn.start) / 0.08) + 1))
    noises = [read(path, rate=SAMPLE_RATE) for path in shop.beside(shop.recipe.noise)]
    return LineMel(talk, noises)


def _fabric(shop: Workshop, several: bool) -> Fabric:
    strategy = "ddp" if several else "auto"
    accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    fabric = Fabric(
        accelerator=accelerator,
        devices=shop.recipe.processes if several else 1,
        strategy=strategy,
        precision=precision_here(shop.recipe.precision),
    )
    fabric.launch()
    return fabric


def _several(shop: Workshop) -> bool:
    return torch.distributed.is_torchelastic_launched() and shop.recipe.processes > 1


def _hearing(shop: Workshop) -> None:
    part = shop.recipe.hearing
    if part is None or (shop.folder / "hearing" / "final.pt").exists():
        return
    flat, valid = shop.flat("train"), shop.flat("valid")
    encoder = _ears(shop)
    line = caller_line(shop, flat)
    task = HearingTask(
        encoder,
        flat,
        valid,
        load_recordings(shop.beside(part.real)),
        real_share=part.real_share,
        batch_seconds=part.batch_seconds,
        seed=part.seed,
        line=line,
    )
    if shop.recipe.start is None:
        _set_mel_scale(encoder, task)
    fit(_fabric(shop, _several(shop)), task, part, shop.folder / "hearing")


def _ears(shop: Workshop) -> Encoder:
    """The ears that the hearing stage trains: new ones, or those of the bundle to start from."""
    recipe = shop.recipe
    if recipe.start is None:
        return Encoder(recipe.encoder, len(CHARACTERS) + 1)
    duplex = Duplex(shop.model_config(shop.codec(), Tokenizer.load(shop.tokenizer_path)))
    start_from(duplex, recipe.start, shop.calls)
    return duplex.encoder


def _set_mel_scale(encoder: Encoder, task: HearingTask) -> None:
    """Mean and scale of log-mel over some augmented batches, as normalisation."""
    mel = torch.cat([task.batch(i, 1_000_000, 0.5).mel.flatten(0, 1) for i in range(4)])
    encoder.mean.copy_(mel.mean(0))
    encoder.scale.copy_(mel.std(0).clamp(min=1.0))


def _memory(shop: Workshop) -> None:
    part = shop.recipe.memory
    if part is None or (shop.folder / "memory" / "final.pt").exists():
        return
    if not any(intent.call for intent in shop.scenario.intents.values()):
        raise RecipeError(
            f"{shop.recipe.scenario}: no intent calls a tool, so a memory of words has nothing to "
            "learn; leave `memory` out of the recipe"
        )
    tokenizer = Tokenizer.load(shop.tokenizer_path)
    memory = build_duplex(shop, shop.codec(), tokenizer).memory
    assert memory is not None  # the recipe asks for one
    task = MemoryTask(
        memory,
        shop.scenario,
        tokenizer,
        shop.recipe.timing,
        conversations=part.conversations,
        misheard=part.misheard,
        seed=part.seed,
    )
    fit(_fabric(shop, _several(shop)), task, part, shop.folder / "memory")


def _duplex(shop: Workshop) -> None:
    part, timing = shop.recipe.duplex, shop.recipe.timing
    if part is None or (shop.folder / "duplex" / "final.pt").exists():
        return
    codec, tokenizer = shop.codec(), Tokenizer.load(shop.tokenizer_path)
    duplex = build_duplex(shop, codec, tokenizer)
    _freeze(duplex, part)
    flat = shop.flat("train")
    task = DuplexTask(
        duplex,
        flat,
        tokenizer,
        shop.calls,
        timing,
        part.losses,
        rollout=Rollout(cases(shop), tokenizer, shop.calls, timing.eagerness, timing.due),
        batch_seconds=part.batch_seconds,
        longest=part.longest,
        seed=part.seed,
        line=caller_line(shop, flat),
    )
    fit(_fabric(shop, _several(shop)), task, part, shop.folder / "duplex")


def _freeze(duplex: Duplex, part: DuplexPart) -> None:
    """Leave as they are what the recipe does not want trained, and what this stage does not."""
    parts = dict(duplex.named_children())
    if duplex.memory is not None:
        duplex.memory.requires_grad_(False)
        del parts["memory"]
    strange = sorted(set(part.only) - set(parts))
    if strange:
        raise RecipeError(
            f"duplex.only: the network has no part {strange[0]!r}; it has {', '.join(parts)}"
        )
    for name, each in parts.items():
        if (part.only and name not in part.only) or (name == "encoder" and part.freeze_encoder):
            each.requires_grad_(False)


def build_duplex(shop: Workshop, codec: Codec, tokenizer: Tokenizer) -> Duplex:
    """The network at the start of the duplex stage.

    New, or as the bundle is that the recipe starts from; with its ears and its memory of words as
    their stages left them, where there were such, and with adapters where the recipe asks for them.
    """
    recipe = shop.recipe
    duplex = Duplex(shop.model_config(codec, tokenizer))
    ears = shop.folder / "hearing" / "final.pt"
    if recipe.start is not None:
        strange = start_from(duplex, recipe.start, shop.calls)
        if strange and duplex.memory is not None and recipe.memory is None:
            raise RecipeError(
                f"{recipe.start}: its memory of words does not know the calls of {recipe.scenario} "
                f"({strange[0]}); a recipe with `memory` teaches it"
            )
    if ears.exists():
        saved = torch.load(ears, map_location="cpu", weights_only=True)["network"]
        duplex.encoder.load_state_dict(_strip(saved, "encoder."))
    words = shop.folder / "memory" / "final.pt"
    if duplex.memory is not None and words.exists():
        saved = torch.load(words, map_location="cpu", weights_only=True)["network"]
        duplex.memory.load_state_dict(_strip(saved, "memory."))
    if recipe.lora is not None:
        adapt(duplex, recipe.lora.rank, recipe.lora.alpha)
    return duplex


def _strip(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def cases(shop: Workshop, most: int = 96) -> dict[str, list[Case]]:
    """Held-out conversations of one exchange, and real commands where the data folder has them."""
    flat = shop.flat("valid")
    found: list[Case] = []
    for item in flat.items:
        turns = list(item.turns("caller"))
        if len(turns) != 1 or len(found) >= most:
            continue
        made = tuple(
            Call(name=e.data["name"], arguments=e.data["arguments"])
            for e in item.events
            if e.kind == "call"
        )
        seconds = min(item.frames * 0.08, turns[0].end + 0.3)
        samples = flat.caller(item.offset, int(seconds / 0.08))
        text = normalise(str(turns[0].data.get("text", "")))
        found.append(Case(samples, text, exactly(made)))
    sets = {"synthetic": found}
    if shop.recipe.development and shop.data:
        sets["real"] = list(_real_cases(shop, shop.data / shop.recipe.development))
    return sets


def _real_cases(shop: Workshop, manifest: Path) -> list[Case]:
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    found: list[Case] = []
    for row in rows:
        samples = read(manifest.parent / row["path"], rate=SAMPLE_RATE)
        found.append(Case(samples, "", _fills(shop.scenario, row["slots"])))
    return found


def _fills(scenario: Scenario, slots: dict[str, str]) -> Callable[[Sequence[Call]], bool]:
    """Whether the order that stands after calls has exactly a manifest's slots."""
    wanted = {name: value.strip() for name, value in slots.items()}

    def right(calls: Sequence[Call]) -> bool:
        order = fold(calls, scenario)
        items: list[dict[str, str]] = order["items"] if order else []
        return len(items) == 1 and scenario.manifest_slots(items[0]) == wanted

    return right


def trained(shop: Workshop) -> Duplex:
    """The network as the duplex stage left it, or as its last checkpoint has it; plain weights.

    Where the recipe keeps some of the bundle that it starts from, the mean of the two.
    """
    recipe = shop.recipe
    codec, tokenizer = shop.codec(), Tokenizer.load(shop.tokenizer_path)
    duplex = build_duplex(shop, codec, tokenizer)
    if recipe.duplex is None:
        if not (shop.folder / "memory" / "final.pt").exists():
            raise RecipeError(f"{shop.folder}: nothing is trained here yet; run the memory stage")
        return duplex
    final, last = shop.folder / "duplex" / "final.pt", shop.folder / "duplex" / "last.pt"
    path = final if final.exists() else last
    if not path.exists():
        raise RecipeError(f"{shop.folder}: nothing is trained here yet; run the duplex stage")
    saved = torch.load(path, map_location="cpu", weights_only=True)
    duplex.load_state_dict(_strip(saved["network"], "duplex."))
    if recipe.lora is not None:
        duplex = merge(duplex)
    if recipe.start is not None and (recipe.keep or recipe.keep_ears):
        keep_some(duplex, recipe.start, shop.calls, recipe.keep, recipe.keep_ears)
    return duplex


_RUN: dict[str, Callable[[Workshop], None]] = {
    "corpus": _corpus,
    "prepare": _prepare,
    "codec": _codec,
    "encode": _encode,
    "tokenizer": _tokenizer,
    "hearing": _hearing,
    "memory": _memory,
    "duplex": _duplex,
}
