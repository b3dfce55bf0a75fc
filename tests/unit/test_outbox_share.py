"""Which buckets a relay may have, beside others."""

from hypothesis import given
from hypothesis import strategies as st

from hooklane.producer.outbox.share import Enrolled, Standing, candidates, surplus

RELAYS = st.sets(st.integers(1, 10_000), min_size=1, max_size=12)
BUCKETS = st.integers(1, 40)


@given(RELAYS, BUCKETS)
def test_shares_are_fair_and_whole(relays: set[int], buckets: int) -> None:
    """Each relay works out its own share, and together they are all buckets, none one more than
    another by more than one."""
    enrolled = {Enrolled(one, buckets) for one in relays}
    shares = [Standing(one, enrolled, foreign=False).share() for one in enrolled]
    assert sum(shares) == buckets
    assert max(shares) - min(shares) <= 1


def test_who_is_not_listed_yet_counts_itself() -> None:
    """A relay that does not see its own lock yet does not take everything for its own."""
    other = Enrolled(1, 4)
    assert Standing(Enrolled(2, 4), {other}, foreign=False).share() == 2


def test_of_two_numbers_of_buckets_the_smaller_goes_on() -> None:
    """Only one of them may take buckets, and neither while the other holds some."""
    four, six = Enrolled(1, 4), Enrolled(2, 6)
    both = {four, six}
    assert Standing(four, both, foreign=False).may_have_any()
    assert not Standing(six, both, foreign=False).may_have_any()
    assert not Standing(four, both, foreign=True).may_have_any()
    assert Standing(six, {six}, foreign=False).may_have_any()


@given(st.sets(st.integers(0, 9)), st.integers(0, 99_999))
def test_candidates_are_what_is_not_owned(owned: set[int], session: int) -> None:
    """Each bucket that is not owned once, from a place of the session's own."""
    found = candidates(owned, 10, session)
    assert sorted(found) == sorted(set(range(10)) - owned)


def test_the_highest_are_given_back() -> None:
    """What is above the share, and nothing where it is kept to."""
    assert surplus((5, 1, 3), 1) == [3, 5]
    assert surplus((5, 1), 2) == []
