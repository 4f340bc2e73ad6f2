from __future__ import annotations

from antiphon.evaluation.metrics.schemas import schema_error, valid_calls
from antiphon.evaluation.metrics.task import verdict
from tests.evaluation.metrics.made import call, shop, trial


def test_calls_are_held_against_the_schemas() -> None:
    tools = shop().tools
    assert schema_error(call("card", digits="1234"), tools) == ""
    assert "no tool" in schema_error(call("pay"), tools)
    assert "breaks the schema" in schema_error(call("card", digits="12"), tools)
    assert "breaks the schema" in schema_error(call("place_order", items=[{"tea": "cola"}]), tools)
    assert "breaks the schema" in schema_error(call("cancel_order", now=True), tools)


def test_a_call_that_breaks_its_schema_changes_nothing_and_harms_nothing() -> None:
    odd = call("place_order", items=["a green tea", 3])
    good = call("place_order", items=[{"tea": "green tea"}])
    made = trial("order", suite="task", told=[odd, good], order=[{"tea": "green tea"}])
    assert valid_calls(made, shop()) == [good]
    assert verdict(made, shop()).ok
