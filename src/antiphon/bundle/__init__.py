"""A trained agent as a folder: the ONNX step, its tokenizer, its scenario, its card.

In: a folder on disk. Out: a `Bundle` whose every file is known to be whole and unaltered.
Knows nothing of running a graph (that is `runtime`) nor of training one.
"""

from __future__ import annotations

from antiphon.bundle.manifest import (
    FORMAT,
    Bundle,
    BundleManifest,
    Delays,
    StateSpec,
    Temperatures,
    find,
    load,
    places,
    seal,
)

__all__ = [
    "FORMAT",
    "Bundle",
    "BundleManifest",
    "Delays",
    "StateSpec",
    "Temperatures",
    "find",
    "load",
    "places",
    "seal",
]
