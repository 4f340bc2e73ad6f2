"""Train a codec: one function from utterances to a folder, that a kill cannot hurt.

Three stretches: the encoder learns without codes, then through the codes, and from
`freeze_at` on its codes stand still and only the decoder goes on. So whatever trains on the codes
can start at `freeze_at`, and any later decoder fits it.
"""

# torch and the measures leave some types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn
from torch.utils.tensorboard.writer import SummaryWriter
from yaml import YAMLError, safe_load

from antiphon.codec.config import PITCH_PER_FRAME, CodecConfig
from antiphon.codec.data import Floats, Recording, batch
from antiphon.codec.losses import SpectralLoss
from antiphon.codec.model import Codec
from antiphon.codec.precision import Precision, precision_here
from antiphon.errors import RecipeError

_CHECKPOINT = "last.pt"
_PITCH_EXAMPLES = 40_000  # contours that the pitch codebooks are fitted to: 53 minutes
Watch = Callable[[Codec], Mapping[str, float]]


class CodecRecipe(BaseModel):
    """All that decides a training run besides its data. Times are steps, lengths 80 ms frames."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    codec: CodecConfig = CodecConfig()
    seed: int = 0
    steps: int = 15_000
    freeze_at: int = 5_000  # from here on encoder and codebooks stand still
    quantise_at: int = 300  # until here latents pass as they are
    rows: int = 6
    frames: int = 20
    agent_share: float = 0.85
    learning_rate: float = 1e-3
    warm_up: int = 100
    decay_from: float = 0.4  # share of the steps after which the rate falls as a cosine
    final_rate: float = 0.02  # of the learning rate
    weight_decay: float = 0.01
    clip: float = 5.0
    average: float = 0.998  # decay of the running mean of the weights
    commitment: float = 0.25
    book_dropout: float = 0.15
    settle: int = 150  # batches that fit the codebooks at their start and their end
    precision: Precision = "bf16-mixed"
    log_every: int = 100
    save_every: int = 500
    watch_every: int = 2_500
    hours: float = 3.0  # of the agent's speech to read from a corpus

    @classmethod
    def load(cls, path: Path) -> CodecRecipe:
        """Read a YAML recipe; raises `RecipeError` naming the file and the key."""
        try:
            return cls.model_validate(safe_load(path.read_text(encoding="utf-8")) or {})
        except OSError as error:
            raise RecipeError(f"{path}: cannot read this recipe ({error.strerror})") from error
        except (YAMLError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "the whole file"
            raise RecipeError(f"{path}: {key}: {first['msg']}") from error

    def rate(self, step: int) -> float:
        """Learning rate at a step: warm-up, constant, cosine."""
        warm = min(1.0, (step + 1) / self.warm_up)
        done = (step / self.steps - self.decay_from) / (1 - self.decay_from)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, done))))
        return self.learning_rate * warm * (self.final_rate + (1 - self.final_rate) * fall)


def train(
    recipe: CodecRecipe,
    agent: Iterable[Floats],
    others: Iterable[Floats],
    folder: Path,
    *,
    accelerator: str = "auto",
    watch: Watch | None = None,
) -> Codec:
    """Train, or go on where an earlier call with this folder was stopped; returns the mean weights.

    agent, others: utterances, float32 [N] each, 16 kHz; others may be empty. `folder` gets
    `last.pt`, TensorBoard files, `frozen/` once the codes stand still and `codec/` at the end.
    `watch` is called now and then with the codec as it would be saved; its figures are logged.
    """
    recordings = [Recording.join(agent)]
    shares = [1.0]
    voices = list(others)
    if voices:
        recordings.append(Recording.join(voices))
        shares = [recipe.agent_share, 1 - recipe.agent_share]
    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision_here(recipe.precision))
    run = _Run(recipe, fabric, folder, recordings, shares)
    fabric.print(
        f"codec: {recordings[0].seconds / 60:.1f} min of the agent, "
        f"{sum(r.seconds for r in recordings[1:]) / 60:.1f} min of others; from step {run.step}"
    )
    while run.step < recipe.steps:
        run.advance()
        if run.step % recipe.save_every == 0 or run.step == recipe.steps:
            run.save()
        if watch is not None and (run.step % recipe.watch_every == 0 or run.step == recipe.steps):
            run.report(watch(run.averaged()), "watch")
    codec = run.averaged()
    codec.save(folder / "codec")
    return codec


class _Run:
    """A training under way: model, mean weights, optimiser and step, and their checkpoint."""

    def __init__(
        self,
        recipe: CodecRecipe,
        fabric: Fabric,
        folder: Path,
        recordings: list[Recording],
        shares: list[float],
    ) -> None:
        self.recipe, self.fabric, self.folder = recipe, fabric, folder
        self.recordings, self.shares = recordings, shares
        self.step = 0
        torch.manual_seed(recipe.seed)
        torch.set_flush_denormal(True)
        self.model = Codec(recipe.codec).to(fabric.device)
        self.mean = copy.deepcopy(self.model).requires_grad_(False)
        self.loss = SpectralLoss().to(fabric.device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=recipe.learning_rate,
            betas=(0.8, 0.98),
            weight_decay=recipe.weight_decay,
            foreach=True,
        )
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / _CHECKPOINT).exists():
            self._resume()
        else:
            self._fit_pitch()
        self.writer = SummaryWriter(str(folder), purge_step=self.step)
        self.sums: dict[str, float] = {}
        self.since = time.monotonic()

    @property
    def frozen(self) -> bool:
        return self.step >= self.recipe.freeze_at

    def advance(self) -> None:
        """One step of the optimiser."""
        recipe = self.recipe
        if self.step == recipe.quantise_at:
            self._start_codes()
        if self.step == recipe.freeze_at:
            self._freeze()
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)
        samples, f0 = self._batch(self.step, recipe.rows, recipe.frames)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate(self.step)
        terms = self._terms(samples, f0)
        total = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad()
        self.fabric.backward(total)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.optimizer.step()
        self._average()
        self.step += 1
        for name, value in {**terms, "gradient": norm}.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())
        if self.step % recipe.log_every == 0:
            took = time.monotonic() - self.since
            figures = {name: value / recipe.log_every for name, value in self.sums.items()}
            speed = {"rate": recipe.rate(self.step - 1), "steps_per_s": recipe.log_every / took}
            self.report({**figures, **speed}, "train")
            self.sums, self.since = {}, time.monotonic()

    def report(self, figures: Mapping[str, float], group: str) -> None:
        """A line on the terminal and a point in each TensorBoard curve."""
        for name, value in figures.items():
            self.writer.add_scalar(f"{group}/{name}", value, self.step)
        line = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        self.fabric.print(f"{group} {self.step}/{self.recipe.steps}  {line}", flush=True)

    def averaged(self) -> Codec:
        """The codec as it would be saved now."""
        self._copy_buffers()
        return self.mean.eval()

    def save(self) -> None:
        """Write the checkpoint in one move."""
        self._copy_buffers()
        state = {
            "step": self.step,
            "recipe": self.recipe.model_dump(mode="json"),
            "model": self.model.state_dict(),
            "mean": self.mean.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        path = self.folder / _CHECKPOINT
        torch.save(state, f"{path}.tmp")
        os.replace(f"{path}.tmp", path)

    def _resume(self) -> None:
        path = self.folder / _CHECKPOINT
        try:
            state: dict[str, Any] = torch.load(path, map_location=self.fabric.device)
            if CodecRecipe.model_validate(state["recipe"]).codec != self.recipe.codec:
                raise RecipeError(
                    f"{path}: made by a recipe with another codec; choose a new folder"
                )
            self.model.load_state_dict(state["model"])
            self.mean.load_state_dict(state["mean"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = int(state["step"])
        except RecipeError:
            raise
        except Exception as error:
            raise RecipeError(f"{path}: not a codec checkpoint; choose a new folder") from error
        if self.step > self.recipe.freeze_at:
            self._hold_still()

    def _batch(self, index: int, rows: int, frames: int) -> tuple[Tensor, Tensor]:
        # Drawn from (seed, index) alone, so that a resumed run sees what an unbroken one would.
        rng = np.random.default_rng([self.recipe.seed, index])
        samples, f0 = batch(self.recordings, self.shares, rng, rows, frames)
        device = self.fabric.device
        return torch.from_numpy(samples).to(device), torch.from_numpy(f0).to(device)

    def _terms(self, samples: Tensor, f0: Tensor) -> dict[str, Tensor]:
        model, recipe = self.model, self.recipe
        terms: dict[str, Tensor] = {}
        with self.fabric.autocast():
            latents, _ = model.encoder(samples, f0)
        if self.frozen:
            timbre = model.decoder.timbre
            latents = timbre.decode(timbre.encode(latents))
        elif self.step >= recipe.quantise_at:
            latents, commitment, _ = model.decoder.timbre.learn(latents, recipe.book_dropout)
            terms["commitment"] = recipe.commitment * commitment
        decoder = model.decoder
        heard = decoder.pitch.decode(decoder.pitch.encode(f0))
        state = decoder.initial_state(len(samples))
        with self.fabric.autocast():
            parameters, _ = decoder.trunk(latents, heard, state)
        noise = torch.randn_like(samples)
        decoded, _ = decoder.sound(parameters, heard, noise, state, decoder.fast)
        delay = recipe.codec.delay
        return {**self.loss(decoded[:, delay:], samples[:, :-delay]), **terms}

    @torch.no_grad()
    def _average(self) -> None:
        # Short at first, so that the random start is soon forgotten.
        decay = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.mean.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    @torch.no_grad()
    def _copy_buffers(self) -> None:
        for mean, value in zip(self.mean.buffers(), self.model.buffers(), strict=True):
            mean.copy_(value)

    @torch.no_grad()
    def _latents(self, count: int, first: int) -> list[Tensor]:
        """Latents of `count` batches that training does not see, [M, D] each."""
        out: list[Tensor] = []
        for index in range(count):
            rows, frames = self.recipe.rows, 2 * self.recipe.frames
            samples, f0 = self._batch(10**9 + first + index, rows, frames)
            with self.fabric.autocast():
                latents, _ = self.model.encoder(samples, f0)
            out.append(latents.float().flatten(0, 1))
        return out

    def _fit_pitch(self) -> None:
        f0 = [torch.from_numpy(r.f0[shift:]) for r in self.recordings for shift in (0, 4)]
        contours = [v[: len(v) // PITCH_PER_FRAME * PITCH_PER_FRAME] for v in f0]
        examples = torch.cat(contours).reshape(-1, PITCH_PER_FRAME)
        # On the CPU: indices are drawn there, and it takes seconds.
        fitted = copy.deepcopy(self.model.decoder.pitch).cpu()
        fitted.fit(examples[torch.randperm(len(examples))[:_PITCH_EXAMPLES]])
        self.model.decoder.pitch.load_state_dict(fitted.state_dict())

    def _start_codes(self) -> None:
        self.model.encoder.eval()
        self.model.decoder.timbre.fit(torch.cat(self._latents(self.recipe.settle, 0)))
        self.model.encoder.train()

    @torch.no_grad()
    def _freeze(self) -> None:
        """Take the mean encoder as the encoder for good, and let the codebooks settle on it."""
        self._fit_pitch()  # again: a resumed run may have been given more speech
        encoder, timbre = self.model.encoder, self.model.decoder.timbre
        for value, mean in zip(encoder.parameters(), self.mean.encoder.parameters(), strict=True):
            value.copy_(mean)
        self._latents(
            self.recipe.settle, 10_000
        )  # in training mode: the normalisation settles first
        encoder.eval()
        for latents in self._latents(self.recipe.settle, 20_000):
            timbre.learn(latents[None], 0.0)
        self._hold_still()
        codec = self.averaged()
        codec.save(self.folder / "frozen")
        self.fabric.print(f"codec: codes stand still; encoder saved in {self.folder / 'frozen'}")

    def _hold_still(self) -> None:
        self.model.encoder.eval().requires_grad_(False)
        for parameter in self.model.encoder.parameters():
            parameter.grad = None
