"""The report before and after tuning, on callers never trained on, and what must not get worse.

The agent decides as it does when it runs: the likeliest text and calls, a clean line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from pydantic import BaseModel, ConfigDict

from antiphon.corpus.calls import CallVocabulary
from antiphon.corpus.tokenizer import Tokenizer
from antiphon.model.duplex import Duplex
from antiphon.training.duplex import Crop, DuplexObjective, Example, LossConfig, collate
from antiphon.training.lines import LineMel
from antiphon.training.prepare import Flat
from antiphon.training.streams import Timing, align
from antiphon.training.tune_config import TuneConfig
from antiphon.training.tune_reward import TERMS, Judge, Judged
from antiphon.training.tune_rollout import Heat, heard_of, roll
from antiphon.training.tune_scenes import Kind, Scene

_AT_ONCE = 16  # exchanges held side by side
_SPOKEN = 32  # conversations on which speech is measured
_CLEAN = {"corrupt": 0.0, "deaf": 0.0, "told": 0.0, "misheard": 0.0, "silence": 1.0}


class Report(BaseModel):
    """Figures over exchanges; a share or a median of nothing is None."""

    model_config = ConfigDict(frozen=True)

    exchanges: int
    reward: float  # weighted sum of the terms, a mean over exchanges
    terms: dict[str, float]  # each unweighted, over the exchanges that it applies to
    right: float | None  # share of the orders called exactly
    early: float | None  # share of turns that it took before the caller's end
    answered: float | None  # share of turns that want an answer
    gap_median: float | None  # s, of answers after the caller's end
    gap_p95: float | None
    yielded: float | None  # share of break-ins after which it stopped in time
    held: float | None  # share of murmurs through which it went on
    risk: float  # share of exchanges in which it said or did what nobody asked for
    codes: float  # nats a code: what the corpus's own speech is worth to it
    text: float  # likewise its text; neither is tuned on these conversations


def examples_of(
    flat: Flat, tokenizer: Tokenizer, calls: CallVocabulary, timing: Timing
) -> list[Example]:
    """A prepared split with its streams."""
    return [
        Example(item, align(item.frames, item.words, item.events, tokenizer, calls, timing))
        for item in flat.items
    ]


def chosen(found: Sequence[Scene], config: TuneConfig) -> list[Scene]:
    """The exchanges of a report: each kind in its share, evenly from the whole."""
    shares: dict[Kind, float] = {
        "break": config.breaks,
        "hold": config.holds,
        "reply": max(0.0, 1 - config.breaks - config.holds),
    }
    out: list[Scene] = []
    for kind, share in shares.items():
        pool = [scene for scene in found if scene.kind == kind]
        count = min(len(pool), round(config.held_out * share))
        out += [pool[i * len(pool) // count] for i in range(count)]
    return sorted(out, key=lambda scene: scene.frames)


def report(
    duplex: Duplex,
    held_out: Sequence[Scene],
    examples: Sequence[Example],
    flat: Flat,
    judge: Judge,
    losses: LossConfig,
    config: TuneConfig,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Hold the exchanges, and measure speech on `examples`, both of the split `flat`."""
    duplex.eval()
    line, judged = LineMel(), list[Judged]()
    for start in range(0, len(held_out), _AT_ONCE):
        part = held_out[start : start + _AT_ONCE]
        rng = np.random.default_rng([config.seed, start])
        vectors = heard_of(duplex, part, flat, line, 0.0, rng)
        heat = Heat(0.0, config.code_temperature)
        rolled = roll(
            duplex, part, vectors, flat, judge.calls, judge.timing, heat, seed=config.seed + start
        )
        judged += judge.rows(part, *rolled.lists())
        if progress is not None:
            progress(len(judged), len(held_out))
    codes, text = speech(duplex, examples[:_SPOKEN], flat, losses, config.longest)
    return summary(held_out, judged, config, codes, text)


def summary(
    held_out: Sequence[Scene],
    judged: Sequence[Judged],
    config: TuneConfig,
    codes: float,
    text: float,
) -> Report:
    """The figures of judged exchanges."""
    pairs = list(zip(held_out, judged, strict=True))
    wanted = [j for s, j in pairs if s.kind != "hold" and s.answer is not None]
    gaps = [j.gap for j in wanted if j.gap is not None]
    after = [gap for gap in gaps if gap >= 0]
    in_time = config.rewards.full_stop
    values = {name: [j.terms[name].value for j in judged if name in j.terms] for name in TERMS}
    return Report(
        exchanges=len(judged),
        reward=_mean([j.total(config.rewards) for j in judged]) or 0.0,
        terms={name: float(np.mean(found)) for name, found in values.items() if found},
        right=_mean([j.terms["calls"].value for s, j in pairs if s.calls]),
        early=_mean([gap < 0 for gap in (j.gap for j in judged) if gap is not None]),
        answered=_mean([j.gap is not None for j in wanted]),
        gap_median=float(np.median(after)) if after else None,
        gap_p95=float(np.percentile(after, 95)) if after else None,
        yielded=_mean([j.stop <= in_time for j in judged if j.stop is not None]),
        held=_mean([j.terms["stop"].value for s, j in pairs if s.kind == "hold"]),
        risk=_mean([j.risky for j in judged]) or 0.0,
        codes=codes,
        text=text,
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


@torch.no_grad()
def speech(
    duplex: Duplex, examples: Sequence[Example], flat: Flat, losses: LossConfig, longest: int
) -> tuple[float, float]:
    """Mean losses of the codes and of the text over conversations as they are."""
    clean = losses.model_copy(update=_CLEAN)
    device = next(duplex.parameters()).device
    objective = DuplexObjective(duplex, clean).eval().to(device)
    sums, frames = np.zeros(2), 0
    line, rng = LineMel(), np.random.default_rng(0)
    for example in examples:
        crop = Crop(example, 0, min(example.item.frames, longest))
        batch = collate([crop], flat, duplex.config, clean, line, 0.0, rng)
        terms = objective(move_data_to_device(batch, device))
        sums += np.array([float(terms["codes"]), float(terms["text"])]) * crop.frames
        frames += crop.frames
    codes, text = sums / max(frames, 1)
    return float(codes), float(text)


def worse(before: Report, after: Report, config: TuneConfig) -> list[str]:
    """What got worse by more than is accepted, a clause each; nothing: it may be exported."""
    found: list[str] = []
    rise = after.codes / max(before.codes, 1e-9) - 1
    if not rise <= config.speech_tolerance:  # a loss that is no number refuses too
        found.append(
            f"its speech fell (loss of the codes {before.codes:.3f} before, {after.codes:.3f} "
            f"after: {rise:+.1%}, accepted is {config.speech_tolerance:+.1%})"
        )
    if after.risk > before.risk + config.risk_tolerance:
        found.append(
            f"it says or does more that nobody asked for ({before.risk:.3f} of the exchanges "
            f"before, {after.risk:.3f} after, accepted is {config.risk_tolerance:+.3f})"
        )
    return found
