"""A gRPC service that publishes: `Pay` answers when Kafka has the event."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from hooklane.producer import EventPublisher, NewEvent, PublishError

KAFKA = os.environ.get("KAFKA", "localhost:9092")
TOPIC = os.environ.get("TOPIC", "orders.events")
PORT = os.environ.get("PORT", "50051")


def load() -> tuple[Any, Any]:
    """Messages and service of orders.proto; in earnest, generate them when you build."""
    # grpc looks for the file along the path on which Python looks for modules.
    import sys  # noqa: PLC0415

    sys.path.insert(0, str(Path(__file__).parent))
    messages, services = grpc.protos_and_services("orders.proto")
    return messages, services


MESSAGES, SERVICES = load()
SERVICER: Any = SERVICES.OrdersServicer


class Orders(SERVICER):  # type: ignore[misc]  # made at run time
    def __init__(self, publisher: EventPublisher) -> None:
        self._publisher = publisher

    def Pay(self, payment: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the RPC's name
        data = {"order": payment.order, "amount": payment.amount}
        event = NewEvent(type="order.paid", key=payment.order, data=data)
        if payment.event_id:
            event = NewEvent(type="order.paid", key=payment.order, data=data, id=payment.event_id)
        try:
            self._publisher.publish(TOPIC, event)
        except PublishError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        return MESSAGES.Paid(event_id=event.id)


def main() -> None:
    with EventPublisher({"bootstrap.servers": KAFKA}, source="/orders") as publisher:
        server = grpc.server(ThreadPoolExecutor(max_workers=16))
        SERVICES.add_OrdersServicer_to_server(Orders(publisher), server)
        server.add_insecure_port(f"127.0.0.1:{PORT}")
        server.start()
        server.wait_for_termination()


if __name__ == "__main__":
    main()
