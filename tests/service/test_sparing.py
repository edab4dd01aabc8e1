"""Equal lines are written once in a while, and none is lost in the count."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from service.logs import MAX_LINE_BYTES, JsonLines, TextLines, choose
from service.sparing import SparingHandler
from tests.service.real_server import await_that


class Said(io.StringIO):
    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def log(said: Said) -> Iterator[logging.Logger]:
    """A logger of its own whose window ends with the test."""
    logger = logging.Logger("test")
    handler = SparingHandler(said, window_seconds=1000)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    yield logger
    handler.close()


def close(log: logging.Logger) -> None:
    log.handlers[0].close()


def fail(value: int) -> None:
    raise ValueError(value)


def test_storm_of_one_error_is_a_line_at_once_and_the_count_at_the_end(log: logging.Logger, said: Said) -> None:
    for number in range(1000):
        try:
            fail(number)
        except ValueError:
            log.exception("request %d failed", number, extra={"request_id": f"r{number}"})
    (first,) = said.lines
    assert (first["message"], first["request_id"], first["error"]["message"]) == ("request 0 failed", "r0", "0")
    close(log)
    _, last = said.lines
    assert (last["message"], last["request_id"], last["repeated"]) == ("request 999 failed", "r999", 998)
    assert last["error"]["type"] == "ValueError"
    assert "in fail" in last["error"]["traceback"]


def test_count_is_said_when_the_window_ends(said: Said) -> None:
    log = logging.Logger("test")
    log.addHandler(SparingHandler(said, window_seconds=0.05))
    log.handlers[0].setFormatter(JsonLines())
    for _ in range(5):
        log.warning("again")
    await_that(lambda: len(said.lines) == 2)
    assert said.lines[1]["repeated"] == 3
    log.warning("again")
    close(log)
    assert sum(1 + line.get("repeated", 0) for line in said.lines) == 6


def test_causes_are_told_apart_by_words_place_and_name(log: logging.Logger, said: Said) -> None:
    log.warning("%s went", "a")
    log.warning("%s came", "a")
    for action in (fail, int):
        try:
            action("x")
        except ValueError:
            log.exception("failed")
    log.error("%s", "one", extra={"cause": 1})
    log.error("%s", "two", extra={"cause": 2})
    assert [line["message"] for line in said.lines] == ["a went", "a came", "failed", "failed", "one", "two"]


def test_what_is_said_with_ever_new_words_is_held_back_too(log: logging.Logger, said: Said) -> None:
    for number in range(2000):
        log.warning(f"number {number}")
    assert len(said.lines) == 501


def test_line_fits_into_a_pipe_and_keeps_the_innermost_calls(log: logging.Logger, said: Said) -> None:
    def dig(depth: int) -> None:
        if depth:
            dig(depth - 1)
        raise ValueError("ü" * 5000)

    try:
        dig(60)
    except ValueError:
        log.exception("é" * 5000)
    try:
        dig(0)
    except ValueError:
        log.exception("short")
    for line in said.getvalue().splitlines():
        assert len(line) < MAX_LINE_BYTES
        assert json.loads(line)["error"]["type"] == "ValueError"


@pytest.mark.parametrize("letter", ["x", "é", "\ud800", "\n", "𝄞"])
def test_line_that_is_cut_keeps_all_that_fits(log: logging.Logger, said: Said, letter: str) -> None:
    log.error(letter * 20_000)
    try:
        raise ValueError(letter * 20_000)
    except ValueError:
        log.exception("with a traceback")
    for line in said.getvalue().splitlines(keepends=True):
        assert MAX_LINE_BYTES - 12 <= len(line) <= MAX_LINE_BYTES  # one more letter has 12 bytes at most
    assert said.lines[0]["message"].startswith(letter * 200)
    assert said.lines[1]["error"]["message"].startswith(letter * 200)


def test_record_that_cannot_be_told_apart_does_not_fail_whoever_logs(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log.error("one", extra={"cause": ["no", "key", "of", "a", "dictionary"]})
    assert "unhashable" in capsys.readouterr().err


def test_words_that_do_not_suit_their_arguments_are_a_line_still(log: logging.Logger, said: Said) -> None:
    log.warning("%d of %d", "one")
    assert said.lines[0]["message"] == "%d of %d"


def test_text_says_the_same_for_a_person() -> None:
    record = logging.LogRecord("service.exchange", logging.ERROR, "", 1, "%s failed", ("/predict",), None)
    record.request_id, record.repeated = "r1", 1998
    assert (
        TextLines()
        .format(record)
        .endswith(
            "Z error service.exchange"
            f"[{record.process}]: /predict failed (request r1) (1,998 more like it were left out)"
        )
    )
    voice = logging.LogRecord("flyweight", logging.WARNING, "", 1, "%s", ("anyone may ask",), None)
    assert TextLines().format(voice) == "flyweight: warning: anyone may ask"


def test_format_follows_the_terminal_unless_it_is_set(said: Said) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert [choose(name, said) for name in ("auto", "text", "json")] == ["json", "text", "json"]
    assert [choose(name, Terminal()) for name in ("auto", "text", "json")] == ["text", "text", "json"]


def test_warnings_are_told_apart_by_what_they_say(log: logging.Logger, said: Said) -> None:
    log.name = "py.warnings"
    for words in ("old", "odd", "old"):
        log.warning("%s", warnings.formatwarning(words, UserWarning, "a.py", 1))
    assert len(said.lines) == 2
