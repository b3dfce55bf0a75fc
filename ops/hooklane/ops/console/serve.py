"""Runs the console: who may come in, what is followed, and the server, until it is told to end."""

import asyncio
import secrets
from ipaddress import IPv6Address, ip_address
from typing import Final

import structlog

from hooklane.ops.console.access import Access, ProxyRule, check_reach
from hooklane.ops.console.app import console_app
from hooklane.ops.console.follow import AttemptFollower
from hooklane.ops.console.minutes import Minutes
from hooklane.ops.console.office import Office
from hooklane.ops.console.origins import Origins
from hooklane.ops.console.recent import RecentAttempts
from hooklane.ops.console.render import Renderer
from hooklane.ops.console.services import ServiceWatch
from hooklane.ops.console.sessions import FormTokens, Sessions, signing_key
from hooklane.ops.listen_server import bound
from hooklane.ops.output import notice
from hooklane.runtime.http_server import serving
from hooklane.runtime.settings import Settings
from hooklane.runtime.shutdown import shutdown_signals

log = structlog.get_logger()

_LAST_WORDS_S: Final = 5
_OPTIONS: Final = "HOOKLANE_CONSOLE__HOST or HOOKLANE_CONSOLE__PORT"


def open_office(settings: Settings, token: str | None) -> Office:
    """Everything of a console but its server. `token`: what lets people in, None where only the
    proxy does."""
    console = settings.console
    key = signing_key(token)
    proxy = None
    if console.user_header is not None:
        proxy = ProxyRule(console.user_header, console.proxies)
    recent = RecentAttempts(console.attempts)
    minutes = Minutes(round(console.history.seconds) // 60)
    tokens = FormTokens(key)
    return Office(
        settings,
        Access(token, proxy, Sessions(key)),
        Origins(console.public_url),
        tokens,
        Renderer(tokens, read_only=console.read_only),
        recent,
        minutes,
        AttemptFollower(settings, recent, minutes),
        ServiceWatch(console.services),
    )


async def run_console(settings: Settings) -> None:
    """Until SIGTERM or SIGINT.

    Raises:
        SettingsError: others could come in without being asked who they are.
        UsageError: the address cannot be had.
    """
    console = settings.console
    check_reach(console)
    listening = bound(console.host, console.port, _OPTIONS)
    port: int = listening.getsockname()[1]
    office = open_office(settings, _token(settings))
    office.follower.start()
    with shutdown_signals() as shutdown:
        async with serving(console_app(office), [listening], _LAST_WORDS_S) as server:
            log.info("the console is served", address=console.host, port=port)
            notice(f"The console is at {console.public_url or _address(console.host, port)}/")
            asked = asyncio.create_task(shutdown.wait())
            watch = asyncio.create_task(office.services.run())
            await asyncio.wait({asked, watch, server}, return_when=asyncio.FIRST_COMPLETED)
            for task in (asked, watch):
                task.cancel()
            await _end_redrives(office)


def _token(settings: Settings) -> str | None:
    """The one of the settings; one of this start where nothing else would let anybody in."""
    given, header = settings.console.token, settings.console.user_header
    if given is not None:
        return given.get_secret_value()
    if header is not None:
        return None
    made = secrets.token_urlsafe(24)
    notice(f"The token of this start is {made} (HOOKLANE_CONSOLE__TOKEN sets one that lasts).")
    return made


def _address(host: str, port: int) -> str:
    try:
        is_six = isinstance(ip_address(host), IPv6Address)
    except ValueError:
        is_six = False
    return f"http://{f'[{host}]' if is_six else host}:{port}"


async def _end_redrives(office: Office) -> None:
    """What is being written ends with its batch, and the audit is told; within some seconds."""
    running = office.redrives.stop_all()
    for _ in range(_LAST_WORDS_S * 10):
        if all(one.is_over for one in running):
            return
        await asyncio.sleep(0.1)
