"""How a run is stopped, and how it keeps to its rate."""

import signal

import pytest

from hooklane.ops.run_options import rate_limit
from hooklane.ops.run_progress import Pacer, Stop, bar, stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(number: signal.Signals) -> None:
    """A batch can end after the first; the second does what it does everywhere."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with stop_on_signals() as stop:
            assert not stop.is_asked()
            signal.raise_signal(number)
            assert stop.is_asked()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_pace_is_waited_for_unless_somebody_wants_to_stop() -> None:
    """One an hour would take long: who asked to stop does not wait for it."""
    pacer, stop = Pacer(rate_limit("1/h"), 500), Stop()
    assert pacer.batch == 1
    pacer.wait(1, stop)
    stop.ask()
    pacer.wait(1, stop)
    assert Pacer(None, 500).batch == 500
    Pacer(None, 500).wait(500, stop)


def test_without_a_terminal_progress_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr: what a script reads from stdout stays clean."""
    with bar("Redriving", 1200) as advance:
        advance(600)
    assert capsys.readouterr() == ("", "Redriving: 1,200.\n")
