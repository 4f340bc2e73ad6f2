"""The plan on disk, changed by one at a time, with every change in the audit log.

The plan is `deploy.yaml` (or `deploy.json`, where that is there) in the store's folder. Operators
and servers change it through `Control`; a server also takes a file that was edited by hand, and
notes what it read.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from antiphon.serving.deploy.figures import VERSION, Outcome, outcome
from antiphon.serving.deploy.plan import Plan, PlanError, Version, rolled_back
from antiphon.serving.deploy.verdict import Verdict, judge
from antiphon.serving.store import Filter, NoSuchCall, Store

YAML, JSON = "deploy.yaml", "deploy.json"
_LONGEST = 1 << 20  # bytes of a plan
_KEPT = 20_000  # outcomes that are remembered

SERVER = "deploy"
"""Who changes the plan where nobody does."""


class Control:
    """The plan of a store's folder, and what its calls say of it. One thread at a time."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._outcomes: dict[str, Outcome | None] = {}

    # -- the plan -----------------------------------------------------------------

    @property
    def path(self) -> Path:
        """The file that is read: YAML, unless there is one of JSON and none of YAML."""
        first, second = self.store.folder / YAML, self.store.folder / JSON
        return second if second.exists() and not first.exists() else first

    def stamp(self) -> tuple[int, int] | None:
        """What changes when the file does; None without a file."""
        try:
            about = self.path.stat()
        except OSError:
            return None
        return about.st_mtime_ns, about.st_size

    def read(self) -> Plan | None:
        """The plan; None where there is none. Raises PlanError."""
        return read(self.path)

    def change(self, make: Callable[[Plan | None], Plan], *, action: str, actor: str) -> Plan:
        """Replace the plan by what `make` makes of it, and write that into the audit log first.

        action: what the entry is called, "deploy.set" for one. Raises PlanError, StoreError.
        """
        with self._alone():
            before = self.read()
            after = make(before)
            detail = {
                "reason": after.reason,
                "revision": after.revision,
                "before": None if before is None else _brief(before),
                "after": _brief(after),
            }
            self.store.note(action, f"deploy:{after.revision}", actor=actor, detail=detail)
            write(self.path, after)
        return after

    def history(self, count: int = 10) -> list[dict[str, Any]]:
        """The last changes in the audit log, the newest first: time, actor, action, and detail."""
        import sqlalchemy as sa

        from antiphon.serving.store.models import AuditRow

        query = sa.select(AuditRow).where(AuditRow.action.startswith("deploy."))
        query = query.order_by(AuditRow.seq.desc()).limit(count)
        with self.store.database.read() as session:
            return [
                {
                    "time": row.time,
                    "actor": row.actor,
                    "action": row.action,
                    **cast("dict[str, Any]", json.loads(row.detail)),
                }
                for row in session.scalars(query)
            ]

    # -- the calls ----------------------------------------------------------------

    def outcomes(self, plan: Plan) -> list[Outcome]:
        """How the calls since the oldest version's beginning count, in the order of their ends."""
        since = min(version.since for version in plan.versions)
        found: list[Outcome] = []
        for call_id in self.store.ids(Filter(since=since)):
            if call_id not in self._outcomes:
                try:
                    record = self.store.call(call_id)
                except NoSuchCall:
                    continue  # erased meanwhile
                counted = outcome(record)
                if record.call.ended is None:
                    continue
                self._outcomes[call_id] = counted
            known = self._outcomes[call_id]
            if known is not None:
                found.append(known)
        for call_id in list(self._outcomes)[: max(0, len(self._outcomes) - _KEPT)]:
            del self._outcomes[call_id]
        return sorted(found, key=lambda each: (each.ended, each.call))

    def verdicts(self, plan: Plan) -> dict[str, Verdict]:
        """Of every version but the baseline, shadows included."""
        outcomes = self.outcomes(plan)
        return {
            version.name: _verdict(plan, version, outcomes)
            for version in plan.versions
            if version.name != plan.baseline
        }

    def look(self) -> dict[str, Verdict]:
        """Judge every version and take back those that fell behind; gives those verdicts.

        A shadow is judged and never taken back: nobody hears it.
        """
        plan = self.read()
        if plan is None or not plan.thresholds.automatic:
            return {}
        taken: dict[str, Verdict] = {}
        for name, verdict in self.verdicts(plan).items():
            version = plan.version(name)
            out = version.shadow or version.rolled_back is not None or not version.share
            if not verdict.behind or out:
                continue
            reason = verdict.sentence()

            def make(now: Plan | None, version: Version = version, reason: str = reason) -> Plan:
                if now is None or now.version(version.name) != version:
                    raise PlanError(f"{version.name} was changed while it was judged")
                return rolled_back(now, version.name, reason)

            try:
                self.change(make, action="deploy.rolled_back", actor=SERVER)
            except PlanError:
                continue  # it is judged again as it is now
            taken[name] = verdict
        return taken

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Nobody else changes the plan meanwhile."""
        lock = os.open(
            self.store.folder / ".deploy.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def read(path: Path) -> Plan | None:
    """The plan in a file; None where there is no file. Raises PlanError."""
    try:
        content = path.read_bytes()[: _LONGEST + 1]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PlanError(f"{path}: the plan cannot be read: {error.strerror}") from None
    if len(content) > _LONGEST:
        raise PlanError(f"{path}: is too long for a plan")
    try:
        fields = yaml.safe_load(content.decode())  # JSON is YAML
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise PlanError(f"{path}: is no YAML and no JSON: {first}") from None
    if not isinstance(fields, dict):
        raise PlanError(f"{path}: a plan has entries: baseline, versions, reason")
    try:
        return Plan.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise PlanError(f"{path}: {where + ': ' if where else ''}{said}") from None


def write(path: Path, plan: Plan) -> None:
    """Replace the file in one step. Raises PlanError."""
    fields = plan.model_dump(mode="json")
    text = (
        json.dumps(fields, indent=2) + "\n"
        if path.suffix == ".json"
        else yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
    )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise PlanError(f"{path}: the plan cannot be written: {error.strerror}") from None


def digest(plan: Plan) -> str:
    """What tells a plan from any other."""
    return hashlib.sha256(plan.model_dump_json().encode()).hexdigest()[:16]


def _verdict(plan: Plan, version: Version, outcomes: list[Outcome]) -> Verdict:
    thresholds = plan.thresholds
    calls = [
        (each.version == version.name, each.failed)
        for each in outcomes
        if each.started >= version.since
        and (
            (each.version == version.name and each.shadow == version.shadow)
            or (each.version == plan.baseline and not each.shadow)
        )
    ]
    figures = [name for name in thresholds.figures if not (version.shadow and name == "repeats")]
    return judge(
        calls,
        figures or list(thresholds.figures),
        candidate=version.name,
        baseline=plan.baseline,
        confidence=thresholds.confidence,
        least_calls=thresholds.least_calls,
    )


def _brief(plan: Plan) -> dict[str, Any]:
    """A plan as the audit log keeps it: who answers which share."""
    return {
        "baseline": plan.baseline,
        "versions": {
            version.name: {
                "bundle": version.bundle,
                "share": version.share,
                **({"shadow": True} if version.shadow else {}),
                **({"rolled_back": True} if version.rolled_back is not None else {}),
            }
            for version in plan.versions
        },
    }


__all__ = ["JSON", "SERVER", "VERSION", "YAML", "Control", "digest", "read", "write"]
