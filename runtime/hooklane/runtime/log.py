"""Structured logs on stderr: lines for a console, or one JSON object a line.

    known = start_logging(settings, "fanout")
    log = structlog.get_logger()
    log.warning("bad subscription document", subscription="billing", reason="...")

stdout is left to what commands print. `logging` goes the same way, librdkafka's messages too: its
clients log to `hooklane.kafka`. Fields for all lines of a task are bound by
`structlog.contextvars.bound_contextvars(partition=3)`. The words of the design name the fields:
subscription, lane, sequence, topic, partition, offset.
"""

import logging
import sys
from typing import IO, Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from hooklane.runtime.redaction import KnownSecrets, redacted
from hooklane.runtime.settings import Settings
from hooklane.runtime.settings_sections import LogFormat, LogSettings
from hooklane.runtime.settings_shown import secret_values

_QUIET = ("httpx", "httpcore", "uvicorn", "uvicorn.error", "asyncio")
"""Libraries that say at `info` what happens a thousand times a second, or is our own line."""

_FIRST = ("timestamp", "level", "service", "event", "logger")


def start_logging(settings: Settings, service: str) -> KnownSecrets:
    """Log as a service does; what the settings hold in secrets is kept out from the first line.

    The secrets that come back are for `Secrets`, which adds what subscriptions refer to.
    """
    known = KnownSecrets()
    for secret in secret_values(settings):
        known.add(secret)
    configure_logging(settings.log, service=service, secrets=known)
    return known


def configure_logging(
    settings: LogSettings,
    *,
    service: str,
    secrets: KnownSecrets,
    stream: IO[str] | None = None,
) -> None:
    """Send all logs of the process to `stream` (stderr). May be called again."""
    out = sys.stderr if stream is None else stream
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared = _shared(service, secrets)
    renderer = _renderer(settings.format, out)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),  # type: ignore[arg-type]  # any text stream will do
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *shared,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)


def _shared(service: str, secrets: KnownSecrets) -> list[Processor]:
    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        first = {name: event.pop(name) for name in _FIRST if name in event}
        first.update(event)
        return {name: redacted(value, secrets, name) for name, value in first.items()}

    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        add_service,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # To text here, and so before the redaction: a traceback can hold a secret as well.
        structlog.processors.format_exc_info,
        redact,
    ]


def _logger_name(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["logger"] = event["_record"].name
    return event


def _renderer(form: LogFormat, out: IO[str]) -> Processor:
    if form is LogFormat.JSON:
        return structlog.processors.JSONRenderer(serializer=_json)
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def _json(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event).decode()
