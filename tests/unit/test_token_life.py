"""An access token's life: fetched once, renewed before its end, left alone when none is given."""

import pytest

from hooklane.delivery.auth.token_life import TokenLife


def with_token(lifetime_s: float | None, at: float = 0.0) -> TokenLife:
    life = TokenLife()
    life.got(b"t", lifetime_s, at)
    return life


@pytest.mark.parametrize(
    ("at", "usable", "wants"),
    [
        (0.0, True, False),
        (79.9, True, False),
        (80.0, True, True),
        (94.9, True, True),
        (95.0, False, True),
    ],
)
def test_stations_of_a_token(at: float, usable: bool, wants: bool) -> None:
    """Of 100 s it is renewed from 80 s on, used until 95 s, and not after."""
    life = with_token(100.0)
    assert (life.usable(at) is not None, life.wants_fetch(at)) == (usable, wants)


def test_none_to_begin_with() -> None:
    """Without a token there is nothing to use, and one is wanted."""
    assert TokenLife().usable(0.0) is None
    assert TokenLife().wants_fetch(0.0)


def test_lifetime_that_nobody_told() -> None:
    """A token without a lifetime is kept for some minutes; a 401 ends it earlier."""
    life = with_token(None)
    assert life.usable(290.0) == b"t"
    assert life.usable(300.0) is None


@pytest.mark.parametrize("lifetime_s", [0.0, -5.0, 0.5])
def test_token_that_ends_at_once(lifetime_s: float) -> None:
    """It is not asked for again in a circle."""
    life = with_token(lifetime_s)
    assert life.usable(0.6) is None
    assert not life.wants_fetch(0.9)
    assert life.wants_fetch(1.0)


def test_pauses_after_failures_double_up_to_a_minute() -> None:
    """A server that gives no token is asked ever more rarely, and anew after it gave one."""
    life, now, pauses = TokenLife(), 0.0, []
    for _ in range(8):
        life.failed(now)
        pause = next(s for s in range(1, 100) if life.wants_fetch(now + s))
        pauses.append(pause)
        now += pause
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    life.got(b"t", 100.0, now)
    life.failed(now + 80)
    assert life.wants_fetch(now + 81)


def test_failure_beside_a_good_token_changes_nothing_for_it() -> None:
    """While the old token lasts, a failed renewal is nobody's problem."""
    life = with_token(100.0)
    life.failed(80.0)
    assert life.usable(90.0) == b"t"


def test_rejected_once_and_not_again_at_once() -> None:
    """A 401 throws the token away; that its successor is rejected as well changes nothing."""
    life = with_token(100.0)
    assert life.rejected(b"t", 1.0)
    assert life.usable(1.0) is None
    life.got(b"u", 100.0, 1.5)
    assert not life.rejected(b"u", 2.0)
    assert life.usable(2.0) == b"u"
    assert life.rejected(b"u", 11.0)


def test_rejected_after_it_was_replaced() -> None:
    """A late 401 for an earlier token is answered with the one that is here."""
    life = with_token(100.0)
    life.got(b"u", 100.0, 1.0)
    assert life.rejected(b"t", 2.0)
    assert life.usable(2.0) == b"u"
