"""Personal data becomes a typed placeholder; what a café says stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.corpus.scenario import Scenario
from antiphon.guard.config import RedactRules
from antiphon.guard.redact import Redactor
from antiphon.guard.spoken import emails, is_card, luhn, runs

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

CASES = [
    ("my card is 4242 4242 4242 4242, please", "my card is [card], please"),
    ("it's 4242-4242-4242-4242.", "it's [card]."),
    (
        "four two four two, four two four two, four two four two, four two four two",
        "[card]",
    ),
    ("call me at +49 30 901820", "call me at [phone]"),
    ("my phone number is five five five, one two three four", "my phone number is [phone]"),
    ("write to jo.smith@mail.co.uk now", "write to [email] now"),
    ("it's jo dot smith at mail dot com, thanks", "it's [email], thanks"),
    ("j o h n 4 2 at mail dot co dot uk", "[email]"),
    ("bring it to 221 baker street please", "bring it to [address] please"),
    ("twelve high street", "[address]"),
    ("my member number is four two one seven", "my member number is [number]"),
    ('digits "1050778", which', 'digits "[number]", which'),
]


@pytest.mark.parametrize(("text", "clean"), CASES, ids=[text for text, _ in CASES])
def test_what_is_personal_is_taken_out(text: str, clean: str) -> None:
    assert Redactor().text(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "a large latte is four fifty",
        "we are open from seven to six on weekdays, and from eight to four on weekends",
        "two lattes and three coffees for table twenty two",
        "meet me at the corner dot",
        "on 2026-11-20 at 17:30",
        "a sixteen ounce double shot mocha",
    ],
)
def test_what_is_not_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_a_slot_of_digits_is_somebodys_where_the_scenario_says_so(bar: Scenario) -> None:
    redact = Redactor(RedactRules(slots={"number": "loyalty"}), bar)
    assert redact.text("got it , four two one seven .") == "got it , [loyalty] ."
    assert redact.value({"number": "4217", "items": [{"drink": "latte"}]}) == {
        "number": "[loyalty]",
        "items": [{"drink": "latte"}],
    }


def test_words_keep_their_places() -> None:
    words = ["call", "0", "3", "0", "9", "0", "1", "8", "2", "0", "now"]
    assert Redactor().words(words) == ["call", "[phone]", *[""] * 8, "now"]


def test_only_chosen_kinds_go() -> None:
    redact = Redactor(RedactRules(kinds=("email",)))
    assert redact.text("4242424242424242 or a@b.de") == "4242424242424242 or [email]"


@given(st.lists(st.integers(0, 9), min_size=12, max_size=18))
def test_every_card_is_found_however_it_is_written(digits: list[int]) -> None:
    text = "".join(map(str, digits))
    check = next(str(d) for d in range(10) if luhn(text + str(d)))
    card = text + check
    if not is_card(card):
        return  # one digit again and again
    spoken = " ".join(WORDS[int(d)] for d in card)
    for said in (card, spoken, f"um {spoken} yes", " ".join(card)):
        assert "[card]" in Redactor().text(said)
        assert card not in Redactor().text(said)


@given(st.text(max_size=200))
def test_any_text_can_be_redacted(text: str) -> None:
    redact = Redactor()
    once = redact.text(text)
    assert redact.text(once) == once or "[" in text
    assert len(redact.words(text.split())) == len(text.split())


def test_runs_of_digits_as_people_say_them() -> None:
    def digits(text: str) -> list[str]:
        return [run.digits for run in runs(text.split())]

    assert digits("four two oh double five") == ["42055"]
    assert digits("forty two, twenty uh twelve") == ["422012"]
    assert digits("triple seven and one") == ["7771"]
    assert digits("seven hundred") == ["700"]
    assert digits("a latte and a mocha") == []


def test_emails_as_people_say_them() -> None:
    assert emails(["my", "email", "is", "jo", "at", "mail", "dot", "com"]) == [(3, 8)]
    assert emails(["i", "am", "at", "home", "dot"]) == []
