"""Antiphon: end-to-end speech models that hear a caller and answer in speech.

`import antiphon` loads neither torch nor onnxruntime; the names below load what they need.
"""

from __future__ import annotations

__version__ = "0.1.0"
