"""Publishes one payment in both versions, for as long as somebody wants the first one."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from hooklane.producer import EventPublisher, NewEvent

SERVERS = os.environ.get("HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", "localhost:9092")


@dataclass(frozen=True)
class Payment:
    invoice: str
    value: Decimal
    currency: str
    method: str
    paid_at: datetime


def events(payment: Payment) -> list[NewEvent]:
    """The same fact for both kinds of receivers, under the same key."""
    events = [
        NewEvent(
            type="invoice.paid.v2",
            key=payment.invoice,
            data={
                "invoice": payment.invoice,
                "amount": {"value": str(payment.value), "currency": payment.currency},
                "method": payment.method,
                "paid_at": payment.paid_at,
            },
        )
    ]
    if payment.currency == "EUR":  # all that version 1 can say
        events.append(
            NewEvent(
                type="invoice.paid.v1",
                key=payment.invoice,
                data={
                    "invoice": payment.invoice,
                    "amount": float(payment.value),
                    "paid_at": payment.paid_at,
                },
            )
        )
    return events


if __name__ == "__main__":
    paid_at = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
    payment = Payment("i-4711", Decimal("120.50"), "EUR", "card", paid_at)
    with EventPublisher({"bootstrap.servers": SERVERS}, source="/billing") as publisher:
        for event in events(payment):
            publisher.publish("billing.events", event)
