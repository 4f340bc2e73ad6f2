from __future__ import annotations

from antiphon.corpus.floor import Floor

TURNS = ["a latte, with milk", "a latte, with sugar", "a latte", "one mocha, with milk please"]


def test_it_is_the_share_of_turns_that_stop_there() -> None:
    floor = Floor.of(TURNS * 100)
    assert abs(floor.finished("a latte") - 1 / 3) < 0.01
    assert abs(floor.finished("can i get a latte") - 1 / 3) < 0.01
    assert abs(floor.finished("a coffee with milk") - 1 / 2) < 0.01
    assert floor.finished("with milk, please.") > 0.99
    assert floor.finished("a latte with") < 0.01


def test_nothing_is_known_of_words_that_nobody_said() -> None:
    assert Floor.of(TURNS).finished("good evening") == 0.5
    assert Floor.of([]).finished("") == 0.5
