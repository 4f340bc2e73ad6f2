"""Opening what trials are held and measured with, in whatever process does it."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.errors import AntiphonError, BundleError
from antiphon.evaluation.protocol import Effect, System
from antiphon.evaluation.script import Stimulus
from antiphon.evaluation.suites.hold import Stage

SCENARIO = "scenario.yaml"  # in a bundle
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Subject:
    """Who is judged, by names alone, so that it can be sent to another process.

    spec: as `systems.open_system` takes it. scenario: the file. judge: a folder; None for the
    judge that comes with Antiphon.
    """

    spec: str
    scenario: Path
    stimuli: Path
    judge: Path | None = None

    def __call__(self) -> Stage:
        """The stage of its trials. Raises AntiphonError."""
        from antiphon.evaluation.stimuli import StimulusSet

        scenario = scenario_at(self.scenario)
        stimuli = StimulusSet.open(self.stimuli)

        def effect(stimulus: Stimulus, seed: int) -> Effect | None:
            if stimulus.condition == "clean":
                return None
            from antiphon.evaluation import conditions

            # Of its own for every stimulus, the same in every run.
            own = zlib.crc32(f"{stimulus.id} {seed}".encode())
            return conditions.effect(stimulus.condition, own, voice=stimuli.voice(stimulus))

        return Stage(self.system(), stimuli.load, scenario.reply_agrees, effect)

    def system(self) -> System:
        """The system itself. Raises AntiphonError."""
        from antiphon.evaluation.systems import open_system

        return open_system(self.spec, scenario_at(self.scenario))

    @property
    def bundle(self) -> Path | None:
        """The folder of a bundle; None for every other system."""
        return bundle_of(self.spec)

    @property
    def identity(self) -> str:
        """What tells one build of the system from another: trials of two must not be mixed."""
        from antiphon.evaluation.systems import GUARDED

        folder = self.bundle
        if folder is None:
            return self.spec
        digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
        return digest + GUARDED if self.spec.endswith(GUARDED) else digest


def bundle_of(spec: str) -> Path | None:
    """The folder of the bundle that `spec` names; None where it names another system.

    Raises BundleError where there is nothing of that name.
    """
    from antiphon.bundle import find
    from antiphon.evaluation.systems import CASCADE, GUARDED
    from antiphon.evaluation.systems.baselines import BASELINES

    bare = spec.removesuffix(GUARDED)
    other = bare in BASELINES or bare == CASCADE or "://" in bare
    if bare != spec and (other or not bare):
        raise BundleError(f"{spec}: only a bundle of ours has a guard, as in cafe{GUARDED}")
    if other:
        return None
    try:
        folder = find(bare)
    except BundleError as error:
        systems = ", ".join([*BASELINES, CASCADE])
        raise BundleError(
            f"{error}. A system is a bundle, {systems}, or a server's ws:// address"
        ) from error
    return folder if (folder / MANIFEST).is_file() else None


def scenario_for(spec: str, given: Path | None) -> Path:
    """The scenario that a system is judged in: the one given, a bundle's own, or the café's.

    Raises BundleError where there is none.
    """
    from antiphon.bundle import find

    if given is not None:
        return given
    folder = bundle_of(spec) or find("cafe")
    return folder / SCENARIO


@lru_cache(maxsize=2)
def scenario_at(path: Path) -> Scenario:
    """The scenario of a file. Raises ScenarioError."""
    return load_scenario(path)


def has(*packages: str) -> bool:
    """Whether these packages are installed."""
    return all(find_spec(name) is not None for name in packages)


def need(package: str, extra: str, what: str) -> None:
    """Raise AntiphonError, saying what to install, where a package is missing."""
    if not has(package):
        raise AntiphonError(
            f"{what} needs {package}, which is not installed; pip install 'antiphon[{extra}]'"
        )
