from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.errors import AntiphonError
from antiphon.evaluation.gallery import as_told, chosen, gallery
from antiphon.evaluation.report import write
from tests.evaluation.metrics.made import call, event, tone, words
from tests.evaluation.metrics.made import trial as made
from tests.evaluation.report.made import report


def test_an_answer_has_its_latency_its_words_and_its_calls() -> None:
    trial = made(
        agent=[(2.5, 4.0)],
        events=[event("turn", 1.0, 2.0), event("turn", 6.0, 7.0)],
        told=[*words("a green tea", 2.5, 4.0), call("place_order", 2.6), tone(1.5, "annoyed")],
    )
    told = as_told(trial)
    gaps = [(e.start, e.end) for e in told.events if e.kind == "gap"]
    assert len(gaps) == 1  # nobody answered the second turn
    assert gaps[0] == pytest.approx((2.0, 2.5), abs=0.02)
    assert [w.text for w in told.words if w.speaker == "agent"] == ["a", "green", "tea"]
    assert all(a.end <= b.start for a, b in zip(told.words, told.words[1:], strict=False))
    kinds = [e.kind for e in told.events]
    assert kinds.count("call") == 1
    assert [e.data["label"] for e in told.events if e.kind == "tone"] == ["hears annoyed"]


def test_one_call_of_each_kind_is_drawn_and_told(tmp_path: Path) -> None:
    whole = report(tmp_path / "report")
    write(whole, tmp_path / "report")
    kind = whole.cases[0].kind
    pictures = gallery(tmp_path / "report", tmp_path / "out", (kind, "no such kind"))
    assert [path.name for path in pictures] == [f"01-{kind}.png"]
    assert pictures[0].stat().st_size > 5_000
    page = (tmp_path / "out" / "README.md").read_text()
    assert pictures[0].name in page
    why = [v.why for v in chosen(whole, (kind,))[0].verdicts if v.why]
    assert all(sentence in page for sentence in why)


def test_a_report_without_such_calls_is_one_sentence(tmp_path: Path) -> None:
    write(report(tmp_path), tmp_path)
    with pytest.raises(AntiphonError, match="no call of monologue"):
        gallery(tmp_path, tmp_path / "out", ("monologue",))
