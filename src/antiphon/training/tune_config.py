"""What `antiphon tune` may be told: the `tune` section of a recipe."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from antiphon.training.loop import LoopConfig
from antiphon.training.schedule import OptimiserConfig


class RewardConfig(BaseModel):
    """Weights of what is judged in a sampled exchange; each term lies between -1 and 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: float = 1.0  # exactly the calls that the caller's turn asks for, none where none is
    gap: float = 1.0  # answered soon after the caller's end, and not before it
    agree: float = 0.5  # what it says is what it called
    stop: float = 1.0  # it stops when the caller breaks in, and not for a backchannel
    tone: float = 0.5  # its words are those meant for the caller's tone
    grounded: float = 0.5  # it says and calls nothing that nobody named

    full_gap: float = 0.35  # s after the caller's end up to which an answer is prompt
    no_gap: float = 1.2  # s at which a late answer earns nothing
    full_stop: float = 0.4  # s from the caller's onset to the agent's end that is prompt
    no_stop: float = 1.2  # s at which stopping earns nothing


class TuneConfig(LoopConfig):
    """A group-relative policy gradient on sampled exchanges."""

    steps: int = Field(default=60, gt=0)
    optimiser: OptimiserConfig = OptimiserConfig(
        learning_rate=2e-5, warmup=5, weight_decay=0.0, muon=False
    )
    log_every: int = 5
    save_every: int = 5
    scenes: int = Field(default=4, gt=0)  # exchanges of a step
    group: int = Field(default=8, gt=1)  # samples of each
    temperature: float = Field(default=0.7, gt=0)  # of text and calls while sampling
    code_temperature: float = Field(default=0.4, ge=0)
    kl: float = Field(default=0.05, ge=0)  # a nat of an exchange away from the start costs so much
    anchor: float = Field(default=0.5, ge=0)  # weight of supervised training beside it
    anchor_seconds: float = 20.0
    longest: int = Field(default=320, gt=0)  # frames of an exchange with what came before
    line: float = Field(default=0.5, ge=0, le=1)  # strength of the line's augmentation
    breaks: float = Field(default=0.3, ge=0, le=1)  # share of exchanges: the caller breaks in
    holds: float = Field(default=0.15, ge=0, le=1)  # share: the caller only murmurs along
    rewards: RewardConfig = RewardConfig()

    held_out: int = Field(default=64, gt=0)  # exchanges of the report
    speech_tolerance: float = 0.02  # rise of the codes' loss, as a share, that is accepted
    risk_tolerance: float = 0.02  # rise of the share of risky exchanges that is accepted
