"""A REST service that publishes: `POST /orders` says yes when Kafka has the event."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Request
from pydantic import BaseModel

from hooklane.producer import AsyncEventPublisher, NewEvent, PublishError

KAFKA = os.environ.get("KAFKA", "localhost:9092")
TOPIC = os.environ.get("TOPIC", "orders.events")


class Order(BaseModel):
    order: str
    amount: int


@asynccontextmanager
async def publishing(app: FastAPI) -> AsyncIterator[None]:
    """One publisher for the whole service, closed when all that it took is in Kafka."""
    async with AsyncEventPublisher({"bootstrap.servers": KAFKA}, source="/orders") as publisher:
        app.state.publisher = publisher
        yield


app = FastAPI(lifespan=publishing)


@app.post("/orders", status_code=202)
async def pay(
    order: Order, request: Request, idempotency_key: Annotated[str | None, Header()] = None
) -> dict[str, str]:
    """A caller that is not sure tries again under the same key: receivers see the same event id."""
    event = NewEvent(type="order.paid", key=order.order, data=order)
    if idempotency_key is not None:
        event = NewEvent(type="order.paid", key=order.order, data=order, id=idempotency_key)
    publisher: AsyncEventPublisher = request.app.state.publisher
    try:
        await publisher.publish(TOPIC, event)
    except PublishError as error:
        raise HTTPException(503, str(error), {"Retry-After": "5"}) from error
    return {"event": event.id}
