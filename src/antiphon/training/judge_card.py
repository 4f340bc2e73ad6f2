"""What is written beside a judge's weights; needs no torch, so that evaluation can read it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from antiphon.errors import BundleError
from antiphon.model.config import EncoderConfig

CARD, WEIGHTS, GRAPH = "judge.json", "judge.safetensors", "judge.onnx"
CHUNK = 200  # frames of log-mel, 10 ms each, that the graph takes at once
BEFORE, AFTER = 0.2, 0.6  # s of silence around what is read, as in training
Hears = Literal["agent", "callers"]


class JudgeCard(BaseModel):
    """What a judge is and how well it reads the voices it was made for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    hears: Hears = "agent"
    encoder: EncoderConfig
    characters: str
    voice: str
    scenario: str
    seed: int
    minutes: float = Field(description="of speech that it was trained on")
    held_out: int = Field(default=0, description="sentences that the rates below were measured on")
    cer: float | None = Field(
        default=None, description="character error rate of held-out sentences"
    )
    cer_scrambled: float | None = Field(
        default=None, description="of held-out words in random order"
    )
    wer: float | None = Field(default=None, description="word error rate of held-out sentences")


def read_card(folder: Path) -> JudgeCard:
    """The card of the judge in a folder.

    Raises:
        BundleError: there is none, or it is not readable.
    """
    path = folder / CARD
    try:
        return JudgeCard.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(
            f"{path}: no judge here ({error.strerror}); make one: antiphon train recipes/judge.yaml"
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise BundleError(f"{path}: not a judge's card: {reason}") from error
