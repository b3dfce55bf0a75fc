"""The list of what an engine promises less."""

from itertools import product

from tests.conformance import (
    test_exchange_faults,
    test_exchange_reuse,
    test_exchange_storm,
    test_exchange_tls,
    test_exchange_wire,
)
from tests.conformance.weaker import READ_AS, TRANSPORT

SUITE = (
    test_exchange_faults,
    test_exchange_reuse,
    test_exchange_storm,
    test_exchange_tls,
    test_exchange_wire,
)
CASES = {
    "test_connection_ends": {
        "-".join(case) for case in product(test_exchange_faults.MOMENTS, ("reset", "closed"))
    },
    "test_answers_that_are_not_http": set(test_exchange_wire.BROKEN),
}


def test_each_entry_is_a_case_of_the_suite() -> None:
    """What is listed as weaker exists, is listed once, and says why."""
    assert len({one.test for one in TRANSPORT}) == len(TRANSPORT)
    for one in TRANSPORT:
        assert any(hasattr(module, one.test) for module in SUITE), one.test
        assert set(one.cases) <= CASES.get(one.test, set()), one.test
        assert one.why
    (listed,) = (one for one in TRANSPORT if one.test == "test_answers_that_are_not_http")
    assert set(listed.cases) == set(READ_AS)
