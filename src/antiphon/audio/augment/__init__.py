"""Augmentation of the caller's channel, on the fly in training.

In: clean float32 samples [N] at 16 kHz and a numpy Generator. Out: the same length, harder to
hear. Only `change_speed` moves words in time. Knows nothing of words, batches or networks.
"""

from __future__ import annotations

from antiphon.audio.augment.caller import CallerLine, caller_line
from antiphon.audio.augment.echo import add_echo
from antiphon.audio.augment.level import loudest_block, mix_at_snr
from antiphon.audio.augment.mask import draw_mask, spec_augment
from antiphon.audio.augment.protocol import Augment
from antiphon.audio.augment.room import room_bank
from antiphon.audio.augment.speed import change_speed

__all__ = [
    "Augment",
    "CallerLine",
    "add_echo",
    "caller_line",
    "change_speed",
    "draw_mask",
    "loudest_block",
    "mix_at_snr",
    "room_bank",
    "spec_augment",
]
