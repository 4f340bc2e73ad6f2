"""Judging an agent by its own ears and mouth: stimuli through the streaming step, to figures.

In: a bundle and recordings with what they ask for. Out: frozen reports, every figure with its n.
Knows nothing of training; a figure is of the bundle as a user would run it.
"""

from __future__ import annotations
