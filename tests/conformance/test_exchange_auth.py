"""What documents ask for beyond a plain request, carried out by each engine on real sockets."""

import asyncio
import json
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest

from hooklane.delivery.exchange import FaultKind, Response
from hooklane.delivery.ways import Ways
from tests.conformance.driver import until
from tests.support.engines import Vault, asked, begun, way
from tests.support.fanout_facts import HandClock
from tests.support.receiver import Answer, Hook, Receiver, receiver

VAULT = Vault(token=b"t0k3n", client=b"cl1ent s&cret")


@pytest.fixture
def ways(make_ways: Callable[..., Ways]) -> Ways:
    return make_ways(VAULT)


class TokenServer:
    """Gives tokens t1, t2 and so on, or what it is told."""

    def __init__(self) -> None:
        self.asked: list[Hook] = []
        self.answer: Answer | None = None
        self.lifetime_s: object = 3600
        self.delay_s = 0.0

    def __call__(self, hook: Hook) -> Answer:
        self.asked.append(hook)
        if self.answer is not None:
            return self.answer
        token = {
            "access_token": f"t{len(self.asked)}",
            "token_type": "bearer",
            "expires_in": self.lifetime_s,
        }
        return Answer(body=json.dumps(token).encode(), delay_s=self.delay_s)


def oauth(server: Receiver, **fields: object) -> dict[str, object]:
    client = {"client_id": "me & you", "client_secret": "file:client", **fields}
    return {"oauth2": {"token_url": server.url("/token"), **client}}


def by_token(*good: str) -> Callable[[Hook], Answer]:
    """A receiver that takes these tokens only."""
    wanted = {f"Bearer {token}" for token in good}
    return lambda hook: Answer(200 if hook.headers.get("authorization") in wanted else 401)


async def status(ways: Ways, to: Receiver, auth: dict[str, object], timeout_s: float = 5.0) -> int:
    ends = begun(ways, asked(way(auth=auth), to.url(), timeout_s))
    return (await ends.response()).status


async def test_bearer_on_the_wire(ways: Ways) -> None:
    """The header arrives with the others, and its echo does not come back."""

    def echo(hook: Hook) -> Answer:
        return Answer(body=hook.headers["authorization"].encode())

    async with receiver(echo) as to:
        ends = begun(ways, asked(way(auth={"bearer": {"token": "file:token"}}), to.url()))
        answer = await ends.response()
        assert to.hooks[0].headers["authorization"] == "Bearer t0k3n"
    assert answer.body == b"Bearer [redacted]"


async def test_token_is_asked_for_once(ways: Ways) -> None:
    """RFC 6749: client credentials in a form, the client's name and secret form-encoded in the
    header; the token is kept for the next requests, and many at once cause one question."""
    server = TokenServer()
    server.delay_s = 0.05
    async with receiver(server) as tokens, receiver(by_token("t1")) as to:
        auth = oauth(tokens, scopes=["a", "b"], audience="https://x")
        found = await asyncio.gather(*(status(ways, to, auth) for _ in range(20)))
        found.append(await status(ways, to, auth))
    assert found == [200] * 21
    (question,) = server.asked
    assert question.headers["authorization"] == "Basic bWUrJTI2K3lvdTpjbDFlbnQrcyUyNmNyZXQ="
    assert parse_qs(question.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["a b"],
        "audience": ["https://x"],
    }


async def test_token_is_renewed_once_after_a_401(ways: Ways) -> None:
    """A token that the receiver takes no more is replaced within the same attempt; the requests
    that met it together cause one question."""
    server = TokenServer()
    async with receiver(server) as tokens:
        auth = oauth(tokens)
        async with receiver(by_token("t1")) as to:
            assert await status(ways, to, auth) == 200
        async with receiver(by_token("t2")) as to:
            found = await asyncio.gather(*(status(ways, to, auth) for _ in range(10)))
        assert found == [200] * 10
    assert len(server.asked) == 2


async def test_receiver_that_takes_no_token(ways: Ways) -> None:
    """A receiver that answers 401 to everything is told so after one more token, and the server of
    tokens is left alone by the attempts that follow."""
    server = TokenServer()
    async with receiver(server) as tokens, receiver(by_token()) as to:
        auth = oauth(tokens)
        assert [await status(ways, to, auth) for _ in range(4)] == [401] * 4
        assert [hook.headers["authorization"] for hook in to.hooks] == [
            "Bearer t1",
            *["Bearer t2"] * 4,
        ]
    assert len(server.asked) == 2


def bearer(to: Receiver) -> str:
    """The token of the newest request."""
    return to.hooks[-1].headers["authorization"].removeprefix("Bearer ")


async def test_token_near_its_end_is_used_while_the_next_one_comes(
    ways: Ways, clock: HandClock
) -> None:
    """Past 80 % of its life a token is renewed beside the requests, which do not wait; past its
    end it is not sent any more."""
    server = TokenServer()
    async with receiver(server) as tokens, receiver(by_token("t1", "t2", "t3")) as to:
        auth = oauth(tokens)
        for at in (0.0, 2870.0, 2890.0):
            clock.now = 100.0 + at
            assert await status(ways, to, auth) == 200
        await until(lambda: len(server.asked) == 2)
        # The server has answered; when the answer is read is the event loop's affair.
        async with asyncio.timeout(10):
            while bearer(to) != "t2":
                assert await status(ways, to, auth) == 200
        clock.now += 3600.0
        assert await status(ways, to, auth) == 200
    used = [hook.headers["authorization"].removeprefix("Bearer ") for hook in to.hooks]
    assert used[:3] == ["t1", "t1", "t1"]
    assert list(dict.fromkeys(used)) == ["t1", "t2", "t3"]
    assert used[-1] == "t3"
    assert len(server.asked) == 3


SAYS = {
    "refuses": (
        Answer(401, b'{"error": "invalid_client", "error_description": "cl1ent s&cret"}'),
        "it answered 401, invalid_client",
    ),
    "odd code": (Answer(400, b'{"error": "cl1ent s&cret"}'), "it answered 400"),
    "no JSON": (Answer(502, b"<html>cl1ent s&cret</html>"), "without a JSON object"),
    "a list": (Answer(200, b"[]"), "without a JSON object"),
    "no token": (Answer(200, b'{"expires_in": 3}'), "no `access_token`"),
    "odd token": (Answer(200, b'{"access_token": "a\\r\\nb"}'), "no `access_token`"),
    "odd type": (Answer(200, b'{"access_token": "a", "token_type": "mac"}'), "type Bearer"),
}


@pytest.mark.parametrize("name", SAYS)
async def test_server_that_gives_no_token(ways: Ways, name: str) -> None:
    """No token, no request: a fault of the setup that names the server and not the secret; within
    the pause that follows nobody asks again."""
    server = TokenServer()
    server.answer, words = SAYS[name]
    async with receiver(server) as tokens, receiver() as to:
        for _ in range(2):
            fault = await begun(ways, asked(way(auth=oauth(tokens)), to.url())).fault()
            assert fault.kind is FaultKind.SETUP
            assert words in fault.detail
            assert fault.detail.startswith("no access token from 127.0.0.1: ")
            assert "cl1ent" not in fault.detail
        assert (len(server.asked), to.hooks) == (1, [])


async def test_server_of_tokens_that_hangs(ways: Ways) -> None:
    """The attempt's own time bounds the wait for a token, and the fault says what was missing."""
    server = TokenServer()
    server.delay_s = 30.0
    async with receiver(server) as tokens, receiver() as to:
        fault = await begun(ways, asked(way(auth=oauth(tokens)), to.url(), 0.2)).fault()
        assert (fault.kind, fault.detail) == (FaultKind.SETUP, "no access token within 0.2 s")


@pytest.mark.parametrize("url", ["http://169.254.169.254/token", "http://127.0.0.1:22/token"])
async def test_token_url_is_guarded(ways: Ways, url: str) -> None:
    """A token URL that leads to a blocked address is refused for good, as a webhook's would be."""
    auth = {"oauth2": {"token_url": url, "client_id": "c", "client_secret": "file:client"}}
    async with receiver() as to:
        fault = await begun(ways, asked(way(auth=auth), to.url())).fault()
        assert fault.kind is FaultKind.BLOCKED_ADDRESS
        assert to.hooks == []


async def test_cancel_while_a_token_comes(ways: Ways) -> None:
    """An attempt that is cut off tells nothing, and the others get the token they wait for."""
    server = TokenServer()
    server.delay_s = 0.1
    async with receiver(server) as tokens, receiver(by_token("t1")) as to:
        first = begun(ways, asked(way(auth=oauth(tokens)), to.url()))
        second = begun(ways, asked(way(auth=oauth(tokens)), to.url()))
        await until(lambda: len(server.asked) == 1)
        assert first.running is not None
        first.running.cancel()
        result = await second.response()
        assert (result.status, len(to.hooks), first.told.done()) == (200, 1, False)


async def test_timeout_with_a_token_is_a_timeout(ways: Ways) -> None:
    """With a token in hand the receiver's silence is the total timeout, as without one."""
    server = TokenServer()
    async with receiver(server) as tokens, receiver(lambda _: Answer(delay_s=30.0)) as to:
        fault = await begun(ways, asked(way(auth=oauth(tokens)), to.url(), 0.4)).fault()
        assert (fault.kind, fault.detail) == (
            FaultKind.TIMEOUT,
            "no complete response within 0.4 s",
        )


async def test_echo_of_a_token(ways: Ways) -> None:
    """An access token that a receiver sends back does not come into the attempt's record."""

    def echo(hook: Hook) -> Answer:
        return Answer(body=b"you said " + hook.headers["authorization"].encode())

    server = TokenServer()
    server.answer = Answer(200, b'{"access_token": "s3cr3t-t0k3n"}')
    async with receiver(server) as tokens, receiver(echo) as to:
        answer = await begun(ways, asked(way(auth=oauth(tokens)), to.url())).result()
        assert isinstance(answer, Response)
        assert answer.body == b"you said Bearer [redacted]"
