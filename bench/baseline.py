"""The loop that one writes by hand: confluent-kafka, aiohttp, uvloop, 64 requests in flight.

    python -m bench.baseline SERVERS TOPIC GROUP URL BATCH

No signature, no order, no retry, no ledger, no metrics: what Hooklane is measured against. BATCH
is how many records it takes from the consumer at once: 1 is what most such loops do (`poll`), 500
is the best that can be done. It prints `ready` once its partitions are assigned.
"""
# mypy: disable-error-code="import-not-found"

import asyncio
import sys

import aiohttp
import uvloop
from confluent_kafka import Consumer, Message, TopicPartition

IN_FLIGHT = 64


async def _deliver(
    session: aiohttp.ClientSession, url: str, message: Message, slots: asyncio.Semaphore
) -> None:
    try:
        headers = {"Content-Type": "application/json"}
        async with session.post(url, data=message.value(), headers=headers) as response:
            await response.read()
            response.raise_for_status()
    finally:
        slots.release()


async def main(servers: str, topic: str, group: str, url: str, batch_size: int) -> None:
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic], on_assign=_say_ready)
    loop = asyncio.get_running_loop()
    slots = asyncio.Semaphore(IN_FLIGHT)
    running: set[asyncio.Task[None]] = set()
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector) as session:
        while True:
            batch = await loop.run_in_executor(None, consumer.consume, batch_size, 0.05)
            for message in batch:
                if message.error() is not None:
                    raise RuntimeError(str(message.error()))
                await slots.acquire()
                task = asyncio.create_task(_deliver(session, url, message, slots))
                running.add(task)
                task.add_done_callback(running.discard)


def _say_ready(_consumer: Consumer, _partitions: list[TopicPartition]) -> None:
    print("ready", flush=True)


if __name__ == "__main__":
    _servers, _topic, _group, _url, _size = sys.argv[1:]
    uvloop.run(main(_servers, _topic, _group, _url, int(_size)))
