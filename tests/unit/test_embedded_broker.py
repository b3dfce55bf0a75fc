"""The broker inside librdkafka as `hooklane demo` and `dev` hold it."""

import asyncio
import threading

from confluent_kafka.admin import AdminClient

from hooklane.ops.embedded_broker import embedded_broker


def test_it_outlasts_what_a_cancelled_task_left_in_a_thread() -> None:
    """A question that is still asked when all else has ended gets its answer: nothing waits."""
    assert asyncio.run(_asked_to_the_end()) == ["asked", "left"]


async def _asked_to_the_end() -> list[str]:
    done: list[str] = []
    going = threading.Event()

    async with embedded_broker() as address:

        def ask() -> None:
            going.wait()
            AdminClient({"bootstrap.servers": address}).list_topics(timeout=10.0)
            done.append("asked")

        asking = asyncio.create_task(asyncio.to_thread(ask))
        await asyncio.sleep(0)
        asking.cancel()
        asyncio.get_running_loop().call_later(0.1, going.set)
    done.append("left")
    return done
