"""The demonstration's shop: its events, its receivers and their troubles."""

from collections import Counter

from hooklane.ops.demo_shop import (
    CAPTURED,
    CUSTOMERS,
    ORDERS,
    PLACED,
    SHIPPED,
    SUBSCRIBERS,
    Trouble,
    customer,
    days_work,
)


def test_each_order_is_placed_paid_and_sent_in_that_order() -> None:
    """An order's three events have its customer's key and come one after the other."""
    by_order: dict[str | None, list[tuple[object, str]]] = {}
    for event in days_work():
        by_order.setdefault(event.subject, []).append((event.key, event.type))
    assert len(by_order) == ORDERS
    for events in by_order.values():
        assert [what for _, what in events] == [PLACED, CAPTURED, SHIPPED]
        assert len({key for key, _ in events}) == 1


def test_every_customer_has_orders_and_every_event_its_own_id() -> None:
    """All keys are in use, evenly, and no id comes twice."""
    events = list(days_work())
    keys = Counter(event.key for event in events)
    assert set(keys) == {customer(number) for number in range(CUSTOMERS)}
    assert set(keys.values()) == {3 * ORDERS // CUSTOMERS}
    assert len({event.id for event in events}) == len(events)


def test_each_event_has_a_receiver_and_one_receiver_is_healthy() -> None:
    """The healthy one gets everything; each of the others fails for a while."""
    healthy = [one for one in SUBSCRIBERS if one.trouble is None]
    assert len(healthy) == 1
    assert all(healthy[0].wants(what) for what in (PLACED, CAPTURED, SHIPPED))


def test_a_trouble_hits_its_key_in_its_time() -> None:
    """Without a key it hits all."""
    of_one = Trouble(1.0, 2.0, "k")
    hits = [of_one.hits("k", at) for at in (0.9, 1.0, 1.9, 2.0)]
    assert (hits, of_one.hits("other", 1.5)) == ([False, True, True, False], False)
    assert Trouble(1.0, 2.0).hits("other", 1.5)
