"""A recipe: one YAML file that says how a bundle is made from nothing.

Paths inside a recipe are relative to the recipe's own folder; paths of real speech are
relative to the data folder that the user names, and are left out, said plainly, without one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from antiphon.codec.precision import Precision
from antiphon.errors import RecipeError
from antiphon.model.config import BackboneConfig, EncoderConfig, MemoryConfig
from antiphon.training.duplex import LossConfig
from antiphon.training.loop import LoopConfig
from antiphon.training.streams import Timing
from antiphon.training.tune_config import TuneConfig

Checked = TypeVar("Checked", bound=BaseModel)
_Trained = TypeVar("_Trained")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CorpusPart(_Part):
    """Which conversations are made."""

    conversations: int = Field(gt=0)
    validation: int = 150
    seed: int = 1
    voices: Literal["train", "mixed", "natural"] = "train"  # antiphon.corpus.voices.GROUPS
    real: tuple[str, ...] = ()  # manifests whose clips stand in for out-of-domain callers
    real_share: float = 0.5
    talk: tuple[str, ...] = ()  # text files whose sentences other out-of-domain callers say
    talk_share: float = 0.5


class HearingPart(LoopConfig):
    """The encoder's warm-up."""

    batch_seconds: float = 80.0
    real: tuple[str, ...] = ()  # manifests with text
    real_share: float = 0.2


class MemoryPart(LoopConfig):
    """The memory of words, on conversations that nobody speaks."""

    network: MemoryConfig = MemoryConfig()  # a bundle that has one keeps its sizes
    conversations: int = Field(48, gt=0)  # in a batch
    misheard: float = Field(0.05, ge=0, le=1)  # of the caller's pieces come in wrong


class DuplexPart(LoopConfig):
    """All streams at once."""

    batch_seconds: float = 80.0
    longest: int = 320  # frames of a crop
    losses: LossConfig = LossConfig()
    freeze_encoder: bool = False
    only: tuple[str, ...] = ()  # the parts of the network that are trained; (): all of them


class LoraPart(_Part):
    """Low-rank fine-tuning (arXiv 2106.09685) instead of full weights."""

    rank: int = 16
    alpha: int = 32


class Recipe(_Part):
    """From a scenario to a bundle."""

    name: str
    scenario: Path
    codec: Path  # the codec's recipe, or a folder of trained weights
    start: Path | None = None  # a bundle to fine-tune from
    keep: float = Field(0.0, ge=0, lt=1)  # of `start`: share of its weights in the bundle's mean
    keep_ears: float | None = Field(None, ge=0, lt=1)  # likewise, of the ears alone
    lora: LoraPart | None = None
    pieces: int = 700
    timing: Timing = Timing()
    encoder: EncoderConfig = EncoderConfig()
    backbone: BackboneConfig = BackboneConfig()
    corpus: CorpusPart | None = None  # None: only a bundle's memory of words is trained
    hearing: HearingPart | None = None
    memory: MemoryPart | None = None
    duplex: DuplexPart | None = Field(None, validate_default=True)
    tune: TuneConfig | None = None  # antiphon tune, once all is trained
    noise: tuple[str, ...] = ()  # recordings of noise below the data folder
    development: str | None = None  # manifest of real commands to validate on
    processes: int = 1
    precision: Precision = "bf16-mixed"  # 32 bits on a CPU that is slow at it

    @property
    def losses(self) -> LossConfig:
        """The losses of the duplex stage."""
        return self.duplex.losses if self.duplex else LossConfig()

    @field_validator("hearing", "duplex")
    @classmethod
    def _has_what_it_trains_on(cls, part: _Trained, info: ValidationInfo) -> _Trained:
        given = info.data
        if part is not None and "corpus" in given and given["corpus"] is None:
            raise ValueError("is trained on a corpus, and the recipe has no `corpus`")
        alone = info.field_name == "duplex" and part is None
        if alone and not (given.get("start") and given.get("memory")):
            raise ValueError("is missing; only a recipe with `start` and `memory` does without")
        return part

    @field_validator("keep", "keep_ears")
    @classmethod
    def _keeps_what_it_starts_from(cls, keep: float | None, info: ValidationInfo) -> float | None:
        if keep and info.data.get("start") is None:
            raise ValueError("is a share of the bundle that `start` names, and none is named")
        return keep


def _mapping(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of keys; this holds none")
    return cast("dict[str, Any]", raw)


def is_codec_recipe(path: Path) -> bool:
    """Whether a recipe makes a codec alone: it names no scenario.

    Raises:
        RecipeError: the file cannot be read or is no mapping.
    """
    return "scenario" not in _mapping(path)


def is_judge_recipe(path: Path) -> bool:
    """Whether a recipe makes a judge of the agent's speech: it has a `judge` key.

    Raises:
        RecipeError: the file cannot be read or is no mapping.
    """
    return "judge" in _mapping(path)


def checked(path: Path, kind: type[Checked]) -> Checked:
    """A recipe file's keys as `kind`.

    Raises:
        RecipeError: naming the file and the key that is wrong.
    """
    raw = _mapping(path)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        # A key that does not exist explains the one that is missing.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        key = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"{path}: key `{key}`: {first['msg']}") from error


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        RecipeError: naming the file and the key that is wrong.
    """
    recipe = checked(path, Recipe)
    here = path.parent
    update = {"scenario": here / recipe.scenario, "codec": here / recipe.codec}
    if recipe.start is not None:
        update["start"] = here / recipe.start
    return recipe.model_copy(update=update)
