"""librdkafka's repetitions are thinned out, its news are not."""

import logging

from hooklane.runtime.kafka_clients import Repeats


def line(text: str) -> logging.LogRecord:
    return logging.LogRecord("hooklane.kafka", logging.ERROR, "", 0, text, None, None)


def test_the_same_of_the_same_client_comes_once_in_a_while() -> None:
    """A broker that is away for an hour must not fill the disk with log lines."""
    now = 0.0
    repeats = Repeats(30.0, lambda: now)
    fail = line("FAIL [hooklane#consumer-3] [thrd:x]: connection refused")
    assert [repeats.filter(fail), repeats.filter(fail)] == [True, False]
    now = 30.0
    assert repeats.filter(fail)


def test_other_kinds_and_other_clients_are_heard() -> None:
    """What is thinned out is the repetition only."""
    repeats = Repeats(30.0, lambda: 0.0)
    said = (
        "FAIL [hooklane#consumer-3] x",
        "FAIL [hooklane#producer-4] x",
        "SESSTMOUT [hooklane#consumer-3]",
    )
    assert all(repeats.filter(line(text)) for text in said)
