"""Metric-aligned tuning: more of what is judged, by a policy gradient on sampled exchanges.

Of every exchange a group of futures is sampled; what one was worth above the group's mean, in
units of the group's spread, makes its decisions likelier (REINFORCE, Williams 1992; relative to a
group instead of a learnt value: GRPO, Shao et al. 2024, arXiv 2402.03300). Each term of the reward
moves only decisions that could have caused it. Two things hold the network where it was: the
Kullback-Leibler divergence from the network it started as, and supervised training on the corpus
beside it. Its ears and its voice (encoder and depth head) are frozen.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from lightning.fabric import Fabric
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from antiphon.corpus.disk import put
from antiphon.corpus.tokenizer import Tokenizer
from antiphon.errors import RecipeError
from antiphon.model.duplex import Duplex, Own
from antiphon.training.duplex import DuplexBatch, DuplexObjective, DuplexTask, Example, LossConfig
from antiphon.training.lines import LineMel
from antiphon.training.loop import Metrics, fit
from antiphon.training.pipeline import Workshop, build_duplex, caller_line, trained
from antiphon.training.prepare import Flat
from antiphon.training.rollout import Rollout
from antiphon.training.start import TOKENIZER
from antiphon.training.streams import Timing
from antiphon.training.tune_config import RewardConfig, TuneConfig
from antiphon.training.tune_report import Report, chosen, examples_of, report, worse
from antiphon.training.tune_reward import TERMS, Judge, Judged
from antiphon.training.tune_rollout import Decided, Heat, Rolled, decided, heard_of, roll
from antiphon.training.tune_scenes import Kind, Scene, backchannels, draw, scenes

FOLDER, PREFIX = "tune", "anchor.duplex."
_FROZEN = ("encoder", "depth", "memory")
_LEAST_SPREAD = 0.1  # of a group's rewards: a smaller one says little


class TuneBatch(NamedTuple):
    """Sampled exchanges, R rows of T frames, and conversations of the corpus beside them."""

    vectors: Tensor  # [R, 2 T, C]: what the encoder heard
    own: Own
    rolled: Rolled
    advantage: Tensor  # float [R, T]
    before: Decided  # as the starting network decides
    anchor: DuplexBatch
    figures: Metrics


class TuneObjective(nn.Module):
    """Policy gradient, divergence from the start, and the supervised losses."""

    def __init__(
        self, duplex: Duplex, losses: LossConfig, timing: Timing, config: TuneConfig
    ) -> None:
        super().__init__()
        self.anchor = DuplexObjective(duplex, losses)
        self.config, self.timing = config, timing
        for name, part in duplex.named_children():
            if name in _FROZEN:
                part.requires_grad_(False)

    def train(self, mode: bool = True) -> TuneObjective:
        """Dropout stays off: what was sampled is as likely as it was then."""
        return super().train(False)

    def forward(self, batch: TuneBatch) -> dict[str, Tensor]:
        """The terms of `loss`, unweighted, and `loss`."""
        duplex, rolled = self.anchor.duplex, batch.rolled
        mind = duplex.mind(batch.vectors, batch.own)
        now = decided(duplex.heads(mind), rolled, self.timing, self.config.temperature)
        chosen = _chosen(now.text, rolled.text) + _chosen(now.call, rolled.call)
        rows = len(chosen)
        policy = -(batch.advantage * chosen * rolled.free).sum() / rows
        away = _divergence(now.text, batch.before.text) + _divergence(now.call, batch.before.call)
        kl = (away * rolled.free).sum() / rows
        anchor = self.anchor(batch.anchor)
        loss = policy + self.config.kl * kl + self.config.anchor * anchor["loss"]
        return {"loss": loss, "policy": policy, "kl": kl, "codes": anchor["codes"]}


def _chosen(logs: Tensor, ids: Tensor) -> Tensor:
    """The log-probabilities [R, T] of what was chosen, of [R, T, V]."""
    return logs.gather(-1, ids[..., None])[..., 0]


def _divergence(now: Tensor, before: Tensor) -> Tensor:
    """KL(now || before) [R, T] of log-probabilities [R, T, V], in nats."""
    return (now.exp() * (now - before)).sum(-1)


def advantages(
    judged: Sequence[Judged], group: int, weights: RewardConfig, frames: int
) -> npt.NDArray[np.float32]:
    """[R, frames]: how much better than its group's mean each row is, in the group's spread.

    A term counts up to the last frame that can have moved it.
    """
    values = np.zeros((len(judged), len(TERMS)))
    until = np.full((len(judged), len(TERMS)), -1)
    for row, each in enumerate(judged):
        for column, name in enumerate(TERMS):
            if name in each.terms:
                values[row, column] = getattr(weights, name) * each.terms[name].value
                until[row, column] = each.terms[name].until
    groups = values.reshape(-1, group, len(TERMS))
    spread = np.maximum(groups.sum(-1).std(1), _LEAST_SPREAD)[:, None, None]
    over = ((groups - groups.mean(1, keepdims=True)) / spread).reshape(values.shape)
    counts = np.arange(frames)[None, :, None] <= until[:, None, :]
    return (over[:, None, :] * counts).sum(-1).astype(np.float32)


class TuneTask:
    """Sampled exchanges as batches: a function of (seed, step, rank) and the network so far."""

    def __init__(
        self,
        duplex: Duplex,
        corpus: DuplexTask,
        found: Sequence[Scene],
        judge: Judge,
        config: TuneConfig,
        line: LineMel,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        timing = judge.timing
        if not found:
            raise RecipeError("the corpus has no exchange to tune on; raise `longest`")
        self.network: nn.Module = TuneObjective(duplex, corpus.losses, timing, config)
        self.duplex, self.corpus, self.found, self.judge = duplex, corpus, found, judge
        self.timing, self.config, self.line = timing, config, line
        self.start = copy.deepcopy(duplex).eval().requires_grad_(False)
        self.progress = progress

    def batch(self, step: int, rank: int, progress: float) -> TuneBatch:
        """Draw scenes, sample their futures, judge them."""
        config = self.config
        self.duplex.eval()
        rng = np.random.default_rng([config.seed, 7, step, rank])
        shares: dict[Kind, float] = {"break": config.breaks, "hold": config.holds}
        drawn = draw(self.found, config.scenes, shares, rng)
        vectors = heard_of(self.duplex, drawn, self.corpus.flat, self.line, config.line, rng)
        heat = Heat(config.temperature, config.code_temperature)
        rolled = roll(
            self.duplex,
            drawn,
            vectors,
            self.corpus.flat,
            self.judge.calls,
            self.timing,
            heat,
            group=config.group,
            seed=int(rng.integers(2**31)),
        )
        text, call = rolled.lists()
        judged = self.judge.rows(drawn, text, call, config.group)
        frames = rolled.text.shape[1]
        advantage = torch.from_numpy(advantages(judged, config.group, config.rewards, frames))
        device = rolled.text.device
        vectors, own = vectors.repeat_interleave(config.group, 0), rolled.own()
        with torch.no_grad():
            start = self.start.to(device)
            before = decided(
                start.heads(start.mind(vectors, own)), rolled, self.timing, config.temperature
            )
        figures = {"reward": float(np.mean([j.total(config.rewards) for j in judged]))}
        for name in TERMS:
            values = [j.terms[name].value for j in judged if name in j.terms]
            if values:
                figures[name] = float(np.mean(values))
        anchor = self.corpus.batch(step, rank, 0.1)
        if self.progress is not None:
            self.progress(step + 1, config.steps)
        return TuneBatch(vectors, own, rolled, advantage.to(device), before, anchor, figures)

    def loss(self, network: nn.Module, batch: TuneBatch) -> tuple[Tensor, Metrics]:
        """The loss, and what the samples were worth."""
        terms: dict[str, Tensor] = network(batch)
        figures = {key: float(value.detach()) for key, value in terms.items() if key != "loss"}
        return terms["loss"], {**figures, **batch.figures}

    def validate(self, network: nn.Module) -> Metrics:
        """Nothing: the reports before and after are the validation."""
        return {}


class Outcome(BaseModel):
    """What tuning did."""

    model_config = ConfigDict(frozen=True)

    before: Report
    after: Report

    def refusal(self, config: TuneConfig) -> str | None:
        """Why the tuned network is not to be used, as a sentence; None: it may be."""
        found = worse(self.before, self.after, config)
        return f"the tuned network is not exported: {'; '.join(found)}" if found else None


class Tuning:
    """A recipe's tuning, below `<work>/<name>/tune`; it can be killed and run again.

    start: a bundle to tune instead of the run's own weights; it must share the run's tokenizer.
    """

    def __init__(self, shop: Workshop, config: TuneConfig, start: Path | None = None) -> None:
        if start is not None:
            recipe = shop.recipe.model_copy(update={"start": start, "lora": None})
            shop = Workshop(recipe, shop.work, shop.data, shop.workers)
            _same_tokenizer(shop, start)
        self.shop, self.config, self.folder = shop, config, shop.folder / FOLDER
        self.tokenizer = Tokenizer.load(shop.tokenizer_path)
        self.duplex = _beginning(shop, self.tokenizer, start is not None)

    def run(self, tell: Callable[[str], None]) -> Outcome:
        """Report, tune, report; `duplex` is the tuned network then."""
        shop, config = self.shop, self.config
        self._agree()
        train, valid = shop.flat("train"), shop.flat("valid")
        judge = Judge(
            shop.scenario,
            self.tokenizer,
            shop.calls,
            shop.recipe.timing,
            config.rewards,
            backchannels([*train.items, *valid.items]),
        )
        line = caller_line(shop, train)
        corpus = DuplexTask(
            self.duplex,
            train,
            self.tokenizer,
            shop.calls,
            shop.recipe.timing,
            shop.recipe.losses,
            rollout=Rollout({}, self.tokenizer, shop.calls),
            batch_seconds=config.anchor_seconds,
            longest=config.longest,
            seed=config.seed,
            line=line,
        )
        held_out = examples_of(valid, self.tokenizer, shop.calls, shop.recipe.timing)
        before = self._report("before", valid, held_out, judge)
        found = scenes(corpus.examples, config.longest)
        with Progress(console=Console(stderr=True)) as bar:
            shown = bar.add_task("tune", total=config.steps)
            task = TuneTask(
                self.duplex,
                corpus,
                found,
                judge,
                config,
                line,
                lambda done, total: bar.update(shown, completed=done, total=total),
            )
            tell(f"Tuning on {len(found)} exchanges")
            accelerator = "gpu" if torch.cuda.is_available() else "cpu"
            fabric = Fabric(accelerator=accelerator, devices=1, precision="32-true")
            fabric.launch()
            # A tuning shorter than its usual interval still has a line, and curves, to show.
            often = config.model_copy(update={"log_every": min(config.log_every, config.steps)})
            final = fit(fabric, task, often, self.folder)
        saved = torch.load(final, map_location="cpu", weights_only=True)["network"]
        self.duplex.load_state_dict(
            {k.removeprefix(PREFIX): v for k, v in saved.items() if k.startswith(PREFIX)}
        )
        return Outcome(before=before, after=self._report("after", valid, held_out, judge))

    def _report(self, name: str, valid: Flat, held_out: Sequence[Example], judge: Judge) -> Report:
        """The report of a name, or the one that an earlier run has left."""
        path = self.folder / f"{name}.json"
        if path.exists():
            return Report.model_validate_json(path.read_text())
        found = chosen(scenes(held_out, self.config.longest), self.config)
        with Progress(console=Console(stderr=True)) as bar:
            shown = bar.add_task(f"report {name}", total=len(found))
            made = report(
                self.duplex,
                found,
                held_out,
                valid,
                judge,
                self.shop.recipe.losses,
                self.config,
                lambda done, total: bar.update(shown, completed=done, total=total),
            )
        put(path, made.model_dump_json(indent=2).encode())
        return made

    def _agree(self) -> None:
        """Refuse to go on with a tuning that was begun otherwise."""
        own = json.loads(self.config.model_dump_json())
        own["start"] = digest(self.duplex)
        path = self.folder / "settings.json"
        if path.exists():
            there = json.loads(path.read_text())
            differing = [key for key in own if there.get(key) != own[key]]
            if differing:
                raise RecipeError(
                    f"{self.folder} holds a tuning with another `{differing[0]}`; "
                    "remove the folder to begin again"
                )
            return
        put(path, json.dumps(own, indent=2).encode())


def _beginning(shop: Workshop, tokenizer: Tokenizer, bundle: bool) -> Duplex:
    """The network that is tuned: the run's, or else the bundle that its recipe starts from."""
    stage = shop.folder / "duplex"
    ran = (stage / "final.pt").exists() or (stage / "last.pt").exists()
    if shop.recipe.start is not None and (bundle or not ran):
        plain = shop.recipe.model_copy(update={"lora": None})
        return build_duplex(Workshop(plain, shop.work, shop.data), shop.codec(), tokenizer)
    return trained(shop)


def _same_tokenizer(shop: Workshop, bundle: Path) -> None:
    for path in (bundle / TOKENIZER, shop.tokenizer_path):
        if not path.exists():
            raise RecipeError(f"{path} is not there; tuning needs a bundle and a prepared run")
    if (bundle / TOKENIZER).read_bytes() != shop.tokenizer_path.read_bytes():
        raise RecipeError(
            f"{bundle} writes in other pieces than {shop.folder} was prepared for; "
            "tune the run that it was made from"
        )


def digest(duplex: Duplex) -> str:
    """A name for a network's weights."""
    found = hashlib.sha256()
    for name, value in sorted(duplex.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]
