"""The plan, the shares, and the verdict: values and pure functions."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml

from antiphon.serving.deploy.control import Control, read, write
from antiphon.serving.deploy.figures import FIGURES
from antiphon.serving.deploy.plan import (
    Plan,
    PlanError,
    first,
    promoted,
    rolled_back,
    with_version,
)
from antiphon.serving.deploy.shares import assign, hears
from antiphon.serving.deploy.verdict import Verdict, judge
from antiphon.serving.store import Store, StoreConfig

START, LATER = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)
IDS = [f"call_{number:05d}" for number in range(4000)]


def two(share: float = 0.2) -> Plan:
    plan = first("stable", "cafe", "begin", at=START)
    return with_version(plan, "next", "try", bundle="new", share=share, at=LATER)


# -- the plan ---------------------------------------------------------------------------


def test_a_version_takes_its_share_from_the_baseline() -> None:
    plan = two()
    assert {v.name: v.share for v in plan.versions} == {"stable": 0.8, "next": 0.2}
    more = with_version(plan, "next", "more", share=0.5, at=START)
    assert more.version("next").since == LATER  # it is the same bundle: its calls still count
    other = with_version(plan, "next", "newer", bundle="newest", at=START)
    assert other.version("next").since == START
    assert more.revision == plan.revision + 1
    with pytest.raises(PlanError, match=r"come to 1\.3"):
        with_version(more, "third", "too much", bundle="x", share=0.8)
    with pytest.raises(PlanError, match="is the baseline"):
        with_version(plan, "stable", "less", share=0.1)
    with pytest.raises(PlanError, match="needs a bundle and a share"):
        with_version(plan, "third", "what")


def test_a_version_is_promoted_or_taken_back() -> None:
    plan = promoted(two(), "next", "good", at=LATER)
    assert (plan.baseline, plan.base.share, plan.version("stable").share) == ("next", 1.0, 0.0)
    back = rolled_back(two(), "next", "bad")
    assert back.base.share == 1
    assert back.version("next").rolled_back == "bad"
    with pytest.raises(PlanError, match="rolled back before: bad"):
        rolled_back(back, "next", "again")
    with pytest.raises(PlanError, match="promote another"):
        rolled_back(two(), "stable", "bad")
    with pytest.raises(PlanError, match="no version 'x'"):
        promoted(two(), "x", "why")
    assert with_version(back, "next", "fixed", share=0.1).version("next").rolled_back is None


def test_a_file_is_read_as_it_was_written_and_mistakes_name_their_place(tmp_path: Path) -> None:
    for name in ("deploy.yaml", "deploy.json"):
        path = tmp_path / name
        assert read(path) is None
        write(path, two())
        assert read(path) == two()
    path = tmp_path / "deploy.yaml"
    fields = yaml.safe_load(path.read_text())
    for change, wanted in (
        ({"baseline": "x"}, "baseline 'x' is not among"),
        ({"reason": ""}, "reason: "),
        ({"versions": []}, "versions: "),
        ({"thresholds": {"figures": ["luck"]}}, "luck"),
        ({"versions": [{**fields["versions"][0], "share": 0.5}]}, "come to 0.5, not 1"),
        ({"what": 1}, "what: "),
    ):
        path.write_text(json.dumps(fields | change))
        with pytest.raises(PlanError, match=wanted):
            read(path)
    for text in ("[1]", "a: [", "\x00"):
        path.write_text(text)
        with pytest.raises(PlanError, match=r"deploy\.yaml"):
            read(path)


def test_every_change_is_in_the_audit_log_with_its_reason(tmp_path: Path) -> None:
    with Store.open(StoreConfig(folder=tmp_path / "store")) as store:
        control = Control(store)
        control.change(lambda _: two(), action="deploy.set", actor="operator")
        plan = control.read()
        assert plan is not None

        def back(now: Plan | None) -> Plan:
            assert now is not None
            return rolled_back(now, "next", "it promised a free cake")

        control.change(back, action="deploy.rolled_back", actor="operator")
        newest = control.history()[0]
        assert (newest["action"], newest["reason"]) == (
            "deploy.rolled_back",
            "it promised a free cake",
        )
        assert newest["before"]["versions"]["next"]["share"] == 0.2
        assert list(store.verify()) == []
        with pytest.raises(PlanError):
            control.change(back, action="deploy.rolled_back", actor="operator")
        assert len(control.history()) == 2


# -- the shares ---------------------------------------------------------------------------


def test_calls_are_shared_out_by_their_ids() -> None:
    plan = with_version(two(0.2), "third", "why", bundle="x", share=0.05)
    names = Counter(assign(plan, call).name for call in IDS)
    assert names["next"] / len(IDS) == pytest.approx(0.2, abs=0.02)
    assert names["third"] / len(IDS) == pytest.approx(0.05, abs=0.01)
    assert [assign(plan, call) for call in IDS[:50]] == [assign(plan, call) for call in IDS[:50]]
    back = rolled_back(plan, "next", "bad")
    assert "next" not in {assign(back, call).name for call in IDS}
    # A greater share of the only canary adds calls and takes none away.
    small, big = two(0.05), two(0.3)
    mine = {call for call in IDS if assign(small, call).name == "next"}
    assert mine < {call for call in IDS if assign(big, call).name == "next"}
    assert {assign(two(1.0), call).name for call in IDS} == {"next"}
    assert {assign(two(0.0), call).name for call in IDS} == {"stable"}


def test_shadows_hear_their_share_and_answer_nobody() -> None:
    plan = with_version(two(), "ghost", "why", bundle="x", share=0.5, shadow=True)
    assert plan.base.share == 0.8
    heard = [call for call in IDS if hears(plan, call)]
    assert len(heard) / len(IDS) == pytest.approx(0.5, abs=0.03)
    assert "ghost" not in {assign(plan, call).name for call in IDS}
    # Who hears a call has nothing to do with who answers it.
    both = [call for call in heard if assign(plan, call).name == "next"]
    assert len(both) / len(heard) == pytest.approx(0.2, abs=0.04)


# -- the verdict ----------------------------------------------------------------------------

NAMES = ("undone", "blocked", "repeats")


def simulate(
    rng: np.random.Generator,
    rates: tuple[float, float],
    *,
    calls: int = 200,
    share: float = 0.3,
) -> Verdict:
    """Calls of two versions with these rates of going wrong (candidate, baseline) in a figure;
    the two others go wrong in one call of ten of either."""
    drawn = rng.random(calls) < share
    luck = rng.random((calls, 3))
    told = []
    for mine, (a, b, c) in zip(drawn, luck, strict=True):
        wrong = {"undone": a < rates[0 if mine else 1], "blocked": b < 0.1, "repeats": c < 0.1}
        told.append((bool(mine), wrong))
    return judge(told, NAMES)


def test_a_good_version_is_not_taken_back() -> None:
    """Looked at after every block of 200 calls: fewer than 5 % false alarms in 300 versions."""
    rng = np.random.default_rng(1)
    for rates in ((0.2, 0.2), (0.1, 0.3)):
        alarms = sum(simulate(rng, rates).behind for _ in range(300))
        assert alarms < 0.05 * 300, rates


def test_a_spoiled_version_is_taken_back() -> None:
    rng = np.random.default_rng(2)
    found = [simulate(rng, (0.6, 0.1)) for _ in range(40)]
    assert sum(verdict.behind for verdict in found) >= 39
    verdict = next(verdict for verdict in found if verdict.behind)
    assert verdict.worst == "undone"
    assert "undone in" in verdict.sentence()


def test_the_evidence_of_a_version_that_is_no_worse_has_a_mean_of_one_at_most() -> None:
    """Over every outcome of six calls: exact, for equal rates and for better ones."""
    order = (True, False, True, True, False, False)
    for mine, theirs in ((0.3, 0.3), (0.05, 0.4), (0.7, 0.7)):
        mean = 0.0
        for outcome in range(64):
            wrong = [bool(outcome >> bit & 1) for bit in range(6)]
            chance = 1.0
            for side, bad in zip(order, wrong, strict=True):
                rate = mine if side else theirs
                chance *= rate if bad else 1 - rate
            told = [(side, {"undone": bad}) for side, bad in zip(order, wrong, strict=True)]
            verdict = judge(told, ("undone",))
            mean += chance * verdict.figures["undone"].evidence
        assert mean <= 1 + 1e-9


def test_without_calls_of_both_nothing_is_concluded() -> None:
    bad = dict.fromkeys(FIGURES, True)
    assert not judge([], tuple(FIGURES)).behind
    assert judge([], tuple(FIGURES)).sentence() == "no call yet"
    assert not judge([(True, bad)] * 50, tuple(FIGURES)).behind
    good = dict.fromkeys(FIGURES, False)
    told = [(True, bad), (False, good)] * 8
    assert judge(told, tuple(FIGURES)).behind
    assert not judge(told, tuple(FIGURES), least_calls=9).behind


# -- the cascade ------------------------------------------------------------------------


def test_the_cascade_can_be_a_shadow_and_nothing_else() -> None:
    plan = with_version(two(), "modular", "compare", bundle="cascade", share=0.5, shadow=True)
    assert [version.name for version in plan.shadows] == ["modular"]
    for wrong in (
        lambda: first("modular", "cascade", "begin"),
        lambda: with_version(two(), "modular", "try", bundle="cascade", share=0.1),
        lambda: with_version(plan, "modular", "try", shadow=False),
        lambda: promoted(plan, "modular", "try"),
    ):
        with pytest.raises(PlanError, match="modular: the cascade can only be a shadow"):
            wrong()


def test_a_file_in_which_the_cascade_answers_is_refused(tmp_path: Path) -> None:
    plan = two().model_dump(mode="json")
    plan["versions"][1]["bundle"] = "cascade"
    path = tmp_path / "deploy.json"
    path.write_text(json.dumps(plan))
    with pytest.raises(PlanError, match="next: the cascade can only be a shadow"):
        read(path)
