from __future__ import annotations

from antiphon.evaluation.metrics.schemas import faults, valid_calls
from antiphon.evaluation.metrics.task import verdict
from tests.evaluation.metrics.made import call, shop, trial


def test_every_call_of_a_trial_is_held_against_its_schema() -> None:
    told = [call("card", digits="1234"), call("pay"), call("card", digits="12")]
    good, unknown, short = faults(trial("card", suite="task", told=told), shop())
    assert good == ""
    assert unknown == "It called pay, which is no tool."
    assert short.startswith("Its call of card breaks the schema: ")


def test_a_call_that_breaks_its_schema_changes_nothing_and_harms_nothing() -> None:
    odd = call("place_order", items=["a green tea", 3])
    good = call("place_order", items=[{"tea": "green tea"}])
    made = trial("order", suite="task", told=[odd, good], order=[{"tea": "green tea"}])
    assert valid_calls(made, shop()) == [good]
    assert verdict(made, shop()).ok
