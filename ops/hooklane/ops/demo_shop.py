"""The small shop of the demonstration: what happens there, and who wants to know of what."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hooklane.producer import NewEvent

TOPIC: Final = "shop.events"
SOURCE: Final = "/shop"
CUSTOMERS: Final = 24
ORDERS: Final = 120

PLACED: Final = "order.placed"
CAPTURED: Final = "payment.captured"
SHIPPED: Final = "shipment.sent"

_STAGES: Final = ((PLACED, 0), (CAPTURED, 3), (SHIPPED, 6))
"""What happens to an order, and how many orders later."""


def customer(number: int) -> str:
    return f"customer-{number:02}"


def days_work(orders: int = ORDERS) -> Iterator[NewEvent]:
    """Three events an order, those of different customers among each other, in the shop's order."""
    for moment in range(orders + _STAGES[-1][1]):
        for what, later in _STAGES:
            order = moment - later
            if 0 <= order < orders:
                yield _event(what, order)


def _event(what: str, order: int) -> NewEvent:
    key = customer(order * 7 % CUSTOMERS)
    return NewEvent(
        type=what,
        # An id that the business has anyway makes a repeat recognisable.
        id=f"order-{order:03}-{what}",
        key=key,
        subject=f"order-{order:03}",
        data={"order": order, "customer": key, "amount": 10 + order * 37 % 290},
    )


@dataclass(frozen=True, slots=True)
class Trouble:
    """503 from `begin_s` to `end_s` after the first event, to the requests of one key or to all."""

    begin_s: float
    end_s: float
    key: str | None = None

    def hits(self, key: str | None, at_s: float) -> bool:
        return self.begin_s <= at_s < self.end_s and self.key in {None, key}


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A receiver of the shop: the event types it wants, and what ails it."""

    name: str
    types: tuple[str, ...]
    trouble: Trouble | None
    says: str

    def wants(self, type_: str) -> bool:
        return type_ in self.types


SUBSCRIBERS: Final = (
    Subscriber("analytics", (PLACED, CAPTURED, SHIPPED), None, "healthy"),
    Subscriber(
        "warehouse", (PLACED, SHIPPED), Trouble(2.0, 6.0), "down for 4 s: answers 503 to everything"
    ),
    Subscriber(
        "billing",
        (PLACED, CAPTURED),
        Trouble(1.0, 6.0, customer(7)),
        f"fails for {customer(7)} only, for 5 s",
    ),
)
