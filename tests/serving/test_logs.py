from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from antiphon.serving.logs import LogConfig, configure, observer, of_call
from tests.serving.store.acting import info, whole_call

LOG = logging.getLogger("antiphon.test")


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Where a test logs to; the root logger is as before afterwards."""
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    stream = io.StringIO()
    yield stream
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def test_a_call_is_told_with_its_id_on_every_line(out: io.StringIO) -> None:
    configure(LogConfig(json_lines=True), out)
    call_id = whole_call(observer(LogConfig()), info(metadata={"caller": "ann"}))
    written = [json.loads(line) for line in out.getvalue().splitlines()]
    # The watchdog of a server that has just ended may have something to say as well.
    lines = [line for line in written if line["logger"] == "antiphon.calls"]
    assert [line["message"] for line in lines] == [
        "the call begins",
        "a turn is finished",
        "a turn is finished",
        "the call is over",
    ]
    assert {line["call"] for line in lines} == {call_id}
    assert lines[0]["bundle"] == "tiny"
    assert lines[2]["gap_ms"] == 340
    assert lines[2]["tools"] == ["place_order"]
    assert lines[3] | {"time": ""} == {
        "time": "",
        "level": "info",
        "logger": "antiphon.calls",
        "message": "the call is over",
        "call": call_id,
        "reason": "client",
        "seconds": 2.0,
    }
    for word in ("latte", "ann"):
        assert word not in out.getvalue()


def test_words_are_logged_only_where_they_are_asked_for(out: io.StringIO) -> None:
    config = LogConfig(words=True)
    configure(config, out)
    whole_call(observer(config))
    assert 'text="a latte please"' in out.getvalue()


def test_whatever_is_logged_inside_a_call_names_it(out: io.StringIO) -> None:
    configure(LogConfig(json_lines=True), out)

    async def work(call_id: str) -> None:
        with of_call(call_id):
            LOG.info("begin")
            await asyncio.sleep(0)
            await asyncio.create_task(inner())

    async def inner() -> None:
        LOG.info("inner")

    async def both() -> None:
        await asyncio.gather(work("call_1"), work("call_2"))
        LOG.info("after")

    asyncio.run(both())
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    told = {(line["message"], line.get("call")) for line in lines}
    assert told == {
        (what, call) for what in ("begin", "inner") for call in ("call_1", "call_2")
    } | {("after", None)}


def test_what_comes_from_outside_cannot_forge_a_line(out: io.StringIO) -> None:
    configure(LogConfig(), out)
    LOG.info("hello %s", "x\n12:00:00.000 error    antiphon  all is lost", extra={"who": "a b\nc"})
    assert len(out.getvalue().splitlines()) == 1
    assert "\\n12:00" in out.getvalue()


def test_an_error_keeps_its_traceback(out: io.StringIO) -> None:
    configure(LogConfig(json_lines=True), out)
    try:
        raise ValueError("broken")
    except ValueError:
        LOG.exception("it fails")
    line = json.loads(out.getvalue())
    assert line["level"] == "error"
    assert "ValueError: broken" in line["error"]
    configure(LogConfig(), out)  # again: one handler, not two
    out.truncate(0)
    LOG.info("once")
    assert out.getvalue().count("once") == 1


def test_levels_are_the_houses_alone(out: io.StringIO) -> None:
    configure(LogConfig(level="error"), out)
    LOG.info("no")
    logging.getLogger("somebody.else").info("no")
    logging.getLogger("uvicorn.access").info("GET /calls?caller=ann")
    assert out.getvalue() == ""
