"""Somebody who has logged in to a console, without a browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from tests.support.processes import ServiceProcess

_HIDDEN: Final = re.compile(r'type="hidden" name="(\w+)" value="([^"]*)"')


@contextmanager
def logged_in(console: ServiceProcess, token: str) -> Iterator[httpx.Client]:
    """As ada, by the token. The console is ready."""
    base = f"http://127.0.0.1:{console.port()}"
    with httpx.Client(base_url=base, headers={"origin": base}, timeout=20.0) as client:
        hidden = _HIDDEN.findall(page(client, "/login"))
        answer = client.post("/login", data={**dict(hidden), "name": "ada", "token": token})
        assert answer.status_code == 303, answer.text
        yield client


def page(client: httpx.Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text
