"""What a machine multiplies in: a CPU without bfloat16 is many times slower at it than in 32 bits.

It is the lowest layer with torch, so every stage that trains asks here.
"""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["32-true", "bf16-mixed"]


def fast_bfloat16() -> bool:
    """Whether this machine multiplies in bfloat16 at least as fast as in 32 bits."""
    if torch.cuda.is_available():
        return True
    able = torch.cpu.get_capabilities()
    return any(bool(able.get(name)) for name in ("amx_bf16", "avx512_bf16", "bf16", "arm_bf16"))


def precision_here(wanted: Precision) -> Precision:
    """The precision that a recipe wants, or 32 bits where the other would only take longer."""
    return wanted if fast_bfloat16() else "32-true"
