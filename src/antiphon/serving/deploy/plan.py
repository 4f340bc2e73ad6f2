"""The plan: which versions there are, their shares of the calls, and when one is taken back.

Pure values and what can be done with them. Every plan carries the reason for which it was made.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from antiphon.errors import AntiphonError
from antiphon.serving.deploy.figures import FIGURES

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,39}$")]
CASCADE = "cascade"
"""In a bundle's place: the cascade for the server's own scenario. It can only be a shadow."""
_EXACT = 1e-6


class PlanError(AntiphonError):
    """A plan of versions is wrong, or cannot be changed like this."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Version(_Frozen):
    """A bundle under a name of its own."""

    name: Name
    bundle: str = Field(min_length=1, max_length=4096)
    """A bundle's name or folder; of a shadow also "cascade"."""
    share: float = Field(ge=0, le=1)
    """Of the calls: that it answers, or that a shadow hears besides."""
    shadow: bool = False
    """It hears the caller of calls that others answer; what it says is recorded and never heard."""
    since: datetime
    """Calls that were over before this do not count for or against it."""
    rolled_back: str | None = None
    """Why it answers nobody; None while it is in service."""


class Thresholds(_Frozen):
    """When a version is taken back by itself."""

    automatic: bool = True
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """A version that is no worse than the baseline is taken back with a probability of at most one
    minus this, however long it runs and however often it is looked at."""
    least_calls: int = Field(default=5, ge=1)
    """Calls of the version before which nothing is concluded."""
    figures: tuple[str, ...] = tuple(FIGURES)
    """Those of `figures.FIGURES` that count."""
    look_seconds: float = Field(default=30.0, gt=0)
    """How often a server looks."""

    @model_validator(mode="after")
    def _known(self) -> Thresholds:
        unknown = [name for name in self.figures if name not in FIGURES]
        if unknown or not self.figures:
            raise ValueError(f"figures: {unknown or 'none'}; there are {', '.join(FIGURES)}")
        return self


class Plan(_Frozen):
    """All versions of one line."""

    format: int = Field(default=1, ge=1, le=1)
    revision: int = Field(default=1, ge=1)
    """Grows by one with every change."""
    reason: str = Field(min_length=1, max_length=500)
    """Of the last change; it stands in the audit log."""
    baseline: Name
    """The version that others are held against, and that takes their calls."""
    versions: tuple[Version, ...] = Field(min_length=1)
    thresholds: Thresholds = Thresholds()
    shadow_slots: int = Field(default=1, ge=1, le=64)
    """Calls at once that each shadow hears; others it lets pass."""

    @model_validator(mode="after")
    def _whole(self) -> Plan:
        names = [version.name for version in self.versions]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two versions are named {twice[0]!r}")
        base = next((v for v in self.versions if v.name == self.baseline), None)
        if base is None or base.shadow or base.rolled_back is not None:
            raise ValueError(f"the baseline {self.baseline!r} is not among the versions in service")
        total = sum(version.share for version in self.answering)
        if abs(total - 1) > _EXACT:
            raise ValueError(f"the shares of the versions that answer come to {total:g}, not 1")
        wrong = _answering_cascade(self.versions)
        if wrong is not None:
            raise ValueError(wrong)
        if any(version.share for version in self.versions if version.rolled_back is not None):
            raise ValueError("a version that was rolled back has a share; it must be 0")
        return self

    @property
    def answering(self) -> tuple[Version, ...]:
        """The versions that callers hear, whatever their share."""
        return tuple(version for version in self.versions if not version.shadow)

    @property
    def shadows(self) -> tuple[Version, ...]:
        """The versions that are only recorded, and have a share."""
        return tuple(version for version in self.versions if version.shadow and version.share)

    @property
    def base(self) -> Version:
        """The baseline."""
        return self.version(self.baseline)

    def version(self, name: str) -> Version:
        """The version of this name. Raises PlanError."""
        for version in self.versions:
            if version.name == name:
                return version
        names = ", ".join(version.name for version in self.versions)
        raise PlanError(f"the plan has no version {name[:60]!r}; it has {names}")


def first(name: str, bundle: str, reason: str, *, at: datetime | None = None) -> Plan:
    """A plan of one version that answers every call."""
    version = Version(name=name, bundle=bundle, share=1, since=at or _now())
    _check((version,))
    return Plan(reason=reason, baseline=name, versions=(version,))


def with_version(
    plan: Plan,
    name: str,
    reason: str,
    *,
    bundle: str | None = None,
    share: float | None = None,
    shadow: bool | None = None,
    at: datetime | None = None,
) -> Plan:
    """The plan with a new version, or with an old one changed; the baseline's share gives way.

    A version counts anew when its bundle changes and when it comes back into service.
    Raises PlanError.
    """
    now = at or _now()
    old = next((version for version in plan.versions if version.name == name), None)
    if name == plan.baseline:
        if share is not None or shadow is not None:
            raise PlanError(
                f"{name} is the baseline: it has what the others leave it; change their shares"
            )
        made = plan.base.model_copy(update={"bundle": bundle or plan.base.bundle, "since": now})
        return _next(plan, reason, _others_anew(plan, now, made), plan.baseline)
    if old is None:
        if bundle is None or share is None:
            raise PlanError(f"{name} is new: it needs a bundle and a share")
        made = Version(name=name, bundle=bundle, share=share, shadow=bool(shadow), since=now)
    else:
        anew = (
            (bundle is not None and bundle != old.bundle)
            or old.rolled_back is not None
            or (shadow is not None and shadow != old.shadow)
        )
        made = old.model_copy(
            update={
                "bundle": bundle or old.bundle,
                "share": old.share if share is None else share,
                "shadow": old.shadow if shadow is None else shadow,
                "since": now if anew else old.since,
                "rolled_back": None,
            }
        )
    versions = [*(v for v in plan.versions if v.name not in (name, plan.baseline)), made]
    left = 1 - sum(version.share for version in versions if not version.shadow)
    if left < -_EXACT:
        raise PlanError(
            f"the shares of the versions beside {plan.baseline} come to {1 - left:g}; together "
            "they may have 1 at most"
        )
    base = plan.base.model_copy(update={"share": max(0.0, round(left, 9))})
    return _next(plan, reason, (base, *versions), plan.baseline)


def promoted(plan: Plan, name: str, reason: str, *, at: datetime | None = None) -> Plan:
    """The version becomes the baseline and answers every call; the others answer none."""
    now = at or _now()
    chosen = plan.version(name)
    if name == plan.baseline and chosen.share == 1:
        raise PlanError(f"{name} is the baseline and answers every call")
    made = chosen.model_copy(
        update={"share": 1.0, "shadow": False, "rolled_back": None, "since": now}
    )
    others = tuple(
        version if version.shadow else version.model_copy(update={"share": 0.0})
        for version in plan.versions
        if version.name != name
    )
    fresh = tuple(version.model_copy(update={"since": now}) for version in others)
    return _next(plan, reason, (made, *fresh), name)


def rolled_back(plan: Plan, name: str, reason: str) -> Plan:
    """The version answers and hears nobody; its share goes to the baseline."""
    gone = plan.version(name)
    if name == plan.baseline:
        raise PlanError(
            f"{name} is the baseline, and nothing is behind it; promote another version instead"
        )
    if gone.rolled_back is not None:
        raise PlanError(f"{name} was rolled back before: {gone.rolled_back}")
    freed = 0.0 if gone.shadow else gone.share
    versions = tuple(
        version.model_copy(update={"share": 0.0, "rolled_back": reason})
        if version.name == name
        else version.model_copy(update={"share": min(1.0, round(version.share + freed, 9))})
        if version.name == plan.baseline
        else version
        for version in plan.versions
    )
    return _next(plan, reason, versions, plan.baseline)


def _others_anew(plan: Plan, now: datetime, base: Version) -> tuple[Version, ...]:
    """Against another baseline everything is counted anew."""
    others = (v for v in plan.versions if v.name != plan.baseline)
    return (base, *(version.model_copy(update={"since": now}) for version in others))


def _next(plan: Plan, reason: str, versions: tuple[Version, ...], baseline: str) -> Plan:
    _check(versions)
    return Plan(
        revision=plan.revision + 1,
        reason=reason,
        baseline=baseline,
        versions=versions,
        thresholds=plan.thresholds,
        shadow_slots=plan.shadow_slots,
    )


def _check(versions: tuple[Version, ...]) -> None:
    wrong = _answering_cascade(versions)
    if wrong is not None:
        raise PlanError(wrong)


def _answering_cascade(versions: tuple[Version, ...]) -> str | None:
    """What is wrong with the cascade's part."""
    for version in versions:
        if version.bundle == CASCADE and not version.shadow:
            return (
                f"{version.name}: the cascade can only be a shadow; it answers callers through "
                "the guard (antiphon serve --guard)"
            )
    return None


def _now() -> datetime:
    return datetime.now(UTC)
