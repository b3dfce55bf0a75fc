"""A GraphQL service that publishes: the mutation `pay` gives the event's id when Kafka has it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from strawberry.asgi import GraphQL

from hooklane.producer import AsyncEventPublisher, NewEvent

KAFKA = os.environ.get("KAFKA", "localhost:9092")
TOPIC = os.environ.get("TOPIC", "orders.events")


@strawberry.type
class Query:
    @strawberry.field
    def service(self) -> str:
        return "orders"


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def pay(self, info: strawberry.Info, order: str, amount: int) -> str:
        """What Kafka did not take is an entry in the answer's `errors`."""
        request: Request = info.context["request"]
        publisher: AsyncEventPublisher = request.app.state.publisher
        event = NewEvent(type="order.paid", key=order, data={"order": order, "amount": amount})
        await publisher.publish(TOPIC, event)
        return event.id


@asynccontextmanager
async def publishing(app: Starlette) -> AsyncIterator[None]:
    """One publisher for the whole service, closed when all that it took is in Kafka."""
    async with AsyncEventPublisher({"bootstrap.servers": KAFKA}, source="/orders") as publisher:
        app.state.publisher = publisher
        yield


app = Starlette(lifespan=publishing)
app.mount("/graphql", GraphQL(strawberry.Schema(Query, Mutation)))
