from __future__ import annotations

import pytest

from antiphon.errors import AntiphonError, CorpusError
from antiphon.evaluation.suites.plan import SUITES, plan, reads, suites_of
from tests.evaluation.suites.acted import stimulus

SET = [
    stimulus("task/order/000"),
    stimulus("duplex/turn/000"),
    stimulus("tone/pair/000"),
    stimulus("risk/silence/000"),
    stimulus("task/order/000@snr10", "snr10"),
]


def names(*suites: str, **options: int) -> list[str]:
    return [job.sound for job in plan(SET, suites_of(",".join(suites)), **options)]


def test_suites_are_named_in_the_reports_order() -> None:
    assert suites_of("all") == SUITES
    assert suites_of("risk, task") == ("task", "risk")


@pytest.mark.parametrize("text", ["", "speed", "task,speed"])
def test_an_unknown_suite_is_one_sentence(text: str) -> None:
    with pytest.raises(AntiphonError, match="name all, or some of task"):
        suites_of(text)


def test_every_suite_gets_the_trials_that_it_reads_and_no_trial_is_held_twice() -> None:
    assert names("task") == ["trials/task/order/000.0.flac"]
    assert len(names("latency")) == 2
    assert len(names("latency", "task", "duplex")) == 2
    assert len(names("robustness")) == 2
    assert len(names("all")) == 5


def test_only_clean_tasks_are_tried_with_several_seeds() -> None:
    assert names("all", seeds=3, seed=5)[:3] == [
        f"trials/task/order/000.{seed}.flac" for seed in (5, 6, 7)
    ]
    assert len(names("all", seeds=3)) == 7


def test_only_robustness_looks_at_other_conditions() -> None:
    jobs = plan(SET, SUITES)
    assert [reads("task", job) for job in jobs] == [True, False, False, False, False]
    assert [reads("robustness", job) for job in jobs] == [True, False, False, False, True]


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "", "C:/x", "a\\b"])
def test_an_id_cannot_leave_the_folder(name: str) -> None:
    bad = SET[0].model_copy(update={"id": name})
    with pytest.raises(CorpusError, match="no path inside a folder"):
        plan([bad], SUITES)


def test_an_id_stands_once() -> None:
    with pytest.raises(CorpusError, match="names must differ"):
        plan([SET[0], SET[0]], SUITES)
