"""What a caller's line sounds like in training: augmentation and log-mel of a batch.

Every figure grows with `strength`: light at first, heavy from a third of the stage on
(from the start, heavy augmentation stalls a new encoder; docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from antiphon.audio.augment import CallerLine, add_echo, spec_augment
from antiphon.audio.mel import filterbanks, torch_log_mel, warp_grid

Floats = npt.NDArray[np.float32]

_LIGHT = 0.3  # share of the calls that come over a good line: a headset, a browser, a quiet room
_HARM = 0.15  # ... and how much of the augmentation they get
_ECHO = 0.35  # share of the calls in which the agent hears itself
_ECHO_LOSS = (4.0, 36.0)  # dB under its own level


def strength(progress: float) -> float:
    """Augmentation strength at a share of a stage: .15 rising to 1 at a third."""
    return min(1.0, 0.15 + 0.85 * progress / 0.33)


class LineMel:
    """Callers' samples of a batch to augmented log-mel."""

    def __init__(self, talk: Sequence[Floats] = (), noises: Sequence[Floats] = ()) -> None:
        """talk: utterances that become babble; noises: recordings of noise."""
        self.line = CallerLine(1.0, tuple(talk), tuple(noises))
        self.banks = torch.from_numpy(filterbanks(warp_grid()))

    def __call__(
        self,
        samples: Sequence[Floats],
        length: int,
        level: float,
        rng: np.random.Generator,
        agent: Sequence[Floats] | None = None,
        spectral_masks: bool = True,
    ) -> Tensor:
        """samples: B arrays [<= length]; returns log-mel [B, length / 160, 80].

        agent: what the agent says meanwhile, B arrays of the same lengths; it comes back as an
        echo in some of them.
        """
        lines = self.line.at(level), self.line.at(_HARM * level)
        padded = np.zeros((len(samples), length), dtype=np.float32)
        for row, x in enumerate(samples):
            if agent is not None and rng.random() < _ECHO * level:
                x = add_echo(x, agent[row], rng, loss_db=_ECHO_LOSS)
            padded[row, : len(x)] = x
            padded[row] = lines[rng.random() < _LIGHT](padded[row], rng)
        middle = len(self.banks) // 2
        picks = np.clip(np.round(middle + rng.normal(size=len(samples)) * 4.5 * level), 0, 24)
        banks = self.banks[torch.from_numpy(picks.astype(np.int64))]
        mel = torch_log_mel(torch.from_numpy(padded), banks)
        if spectral_masks and level > 0.3:
            masked = [spec_augment(row.numpy(), rng, level) for row in mel]
            mel = torch.from_numpy(np.stack(masked))
        return mel
