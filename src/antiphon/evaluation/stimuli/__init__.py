"""Stimuli: callers' scripts and sounds with exact truth, made of a scenario and a seed.

In: a scenario, voices kept from training, a seed; or manifests of real recordings. Out: a folder
of clips and scripts (`script.Stimulus`) that is the same, byte for byte, for the same seed.
Knows nothing of systems, metrics or reports.
"""

from __future__ import annotations

from antiphon.evaluation.stimuli.build import SUITES, build, stressed
from antiphon.evaluation.stimuli.checks import check
from antiphon.evaluation.stimuli.collection import SetFacts, Size, StimulusSet
from antiphon.evaluation.stimuli.recordings import from_folder, from_manifest
from antiphon.evaluation.stimuli.single import SpokenOrder, orders

__all__ = [
    "SUITES",
    "SetFacts",
    "Size",
    "SpokenOrder",
    "StimulusSet",
    "build",
    "check",
    "from_folder",
    "from_manifest",
    "orders",
    "stressed",
]
