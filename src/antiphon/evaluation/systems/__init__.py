"""Systems under test: our bundles, servers with a realtime protocol, the cascade, baselines.

In: a word that names one. Out: a `protocol.System`. Knows nothing of stimuli or figures.
"""

from __future__ import annotations

from pathlib import Path

from antiphon.corpus.scenario import Scenario
from antiphon.errors import AntiphonError
from antiphon.evaluation.protocol import System
from antiphon.evaluation.systems.baselines import BASELINES

CASCADE = "cascade"
GUARDED = "+guard"
ADDRESSES = ("ws://", "wss://")


def open_system(spec: str, scenario: Scenario | None = None) -> System:
    """The system that `spec` names.

    spec: a baseline ("silent", "talking", "vad700", "echo"), "cascade", the address of a server
    ("ws://host:port/path?model=x", "wss://..."), or a bundle's name or folder, "+guard" behind it
    for the bundle and its guard ("cafe+guard").
    scenario: what the cascade and a server are set up with; a bundle has its own.
    Raises AntiphonError where there is no such system, or it lacks what it needs.
    """
    if spec in BASELINES:
        return BASELINES[spec]
    if spec == CASCADE:
        if scenario is None:
            raise AntiphonError("the cascade is made of a scenario: name one")
        from antiphon.cascade import Cascade
        from antiphon.evaluation.systems.cascade import CascadeSystem

        return CascadeSystem(Cascade(scenario))
    if spec.startswith(ADDRESSES):
        from antiphon.evaluation.systems.realtime import RealtimeSystem

        return RealtimeSystem(spec, scenario)
    if "://" in spec:
        raise AntiphonError(f"{spec!r}: a server is named by its ws:// or wss:// address")
    return _bundle(spec)


def _bundle(spec: str) -> System:
    from antiphon.bundle import find
    from antiphon.evaluation.systems.agent import AgentSystem
    from antiphon.runtime.agent import Agent

    bare = spec.removesuffix(GUARDED)
    folder = find(bare)
    if not folder.is_dir():
        named = ", ".join([*BASELINES, CASCADE])
        raise AntiphonError(
            f"{bare}: there is no bundle here; a system is {named}, a server's ws:// address, "
            "or a bundle's name or folder"
        )
    agent = Agent.load(folder)
    # Two folders may hold bundles of one name: reports tell them apart by their path.
    plain = len(Path(bare).parts) == 1 and not Path(bare).is_dir()
    name = agent.bundle.manifest.name if plain else bare
    if bare == spec:
        return AgentSystem(agent, name)
    from antiphon.evaluation.systems.guarded import GuardedSystem

    return GuardedSystem(agent, name + GUARDED)
