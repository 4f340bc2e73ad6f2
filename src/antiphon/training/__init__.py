"""Training: a recipe in, a bundle's weights out, each stage resumable.

Takes corpora from disk and networks from `codec` and `model`; knows nothing of serving.
"""

from __future__ import annotations
