"""Ids of schemas from a Schema Registry, for Confluent's wire format.

Three requests of its REST API are all that a publisher needs, by httpx (extra `registry`).
Confluent's own client would bring authlib, cachetools, attrs and another HTTP library into each
publishing service. Who has it anyway hands `schema_id` over in a class of their own: `SchemaIds`.
"""

import json
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import quote

from hooklane.producer.errors import ConfigurationError, RegistryError
from hooklane.schemas.event_types import EventType

if TYPE_CHECKING:
    import httpx

Subject: TypeAlias = Callable[[str, EventType], str]
"""From the topic and the type to the subject."""

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_QUIET_S = 1.0
"""A registry that did not answer is not asked again so soon: others wait for the same answer."""


def record_name_of(event_type: EventType) -> str:
    """The full name of the type's record."""
    name, space = event_type.schema["name"], event_type.schema.get("namespace")
    return f"{space}.{name}" if space and "." not in str(name) else str(name)


def topic_name(topic: str, event_type: EventType) -> str:  # noqa: ARG001 - a `Subject`
    """Confluent's TopicNameStrategy, the default of its clients: one type a topic."""
    return f"{topic}-value"


def record_name(topic: str, event_type: EventType) -> str:  # noqa: ARG001 - a `Subject`
    """Confluent's RecordNameStrategy: the type alone, whatever the topic."""
    return record_name_of(event_type)


def topic_record_name(topic: str, event_type: EventType) -> str:
    """Confluent's TopicRecordNameStrategy: several types in a topic."""
    return f"{topic}-{record_name_of(event_type)}"


class SchemaIds(Protocol):
    """Where ids come from."""

    def known(self, topic: str, event_type: EventType) -> int | None:
        """The id, if it can be told without waiting."""

    def schema_id(self, topic: str, event_type: EventType) -> int:
        """The id; may block.

        Raises:
            RegistryError: it cannot be told.
        """


class SchemaRegistry:
    """A registry with Confluent's API. An id, once known, is kept; thread-safe.

    `subject` names the subject. With `auto_register` a schema that is not there is registered;
    without, that is an error. `auth` is a name and a password; whatever else a registry wants
    (tokens, certificates) is a `client` of httpx's.
    """

    def __init__(
        self,
        url: str,
        *,
        subject: Subject = topic_name,
        auto_register: bool = False,
        auth: tuple[str, str] | None = None,
        client: "httpx.Client | None" = None,
        timeout_s: float = 10.0,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"{url!r} is no http:// or https:// address of a registry")
        self._url = url.rstrip("/")
        self._subject = subject
        self._auto_register = auto_register
        try:
            # Here, since most publishers have no registry and it takes 50 ms.
            import httpx  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "a schema registry is asked by httpx: pip install 'hooklane[registry]'"
            ) from error
        self._unanswered = httpx.HTTPError
        self._client = httpx.Client() if client is None else client
        self._asking: dict[str, Any] = {"timeout": timeout_s}
        if auth is not None:
            self._asking["auth"] = auth
        self._ids: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()
        self._away: tuple[float, str] = (float("-inf"), "")

    def known(self, topic: str, event_type: EventType) -> int | None:
        """The id, if it has been asked for before."""
        return self._ids.get((topic, event_type.name))

    def schema_id(self, topic: str, event_type: EventType) -> int:
        """The id of the type's schema in the topic's subject.

        Raises:
            RegistryError: it is not registered, or the registry does not say.
        """
        with self._lock:
            known = self._ids.get((topic, event_type.name))
            if known is None:
                known = self._ask(self._subject(topic, event_type), event_type)
                self._ids[topic, event_type.name] = known
        return known

    def _ask(self, subject: str, event_type: EventType) -> int:
        body = {"schema": json.dumps(event_type.schema)}
        path = f"/subjects/{quote(subject, safe='')}"
        found = self._post(path, body)
        if found.status_code == HTTPStatus.NOT_FOUND:
            if not self._auto_register:
                raise RegistryError(
                    f"the schema of {event_type.name} is not registered under the subject "
                    f"{subject}: register it, or give the registry auto_register=True"
                )
            found = self._post(f"{path}/versions", body)
        return self._id_of(found, subject)

    def _post(self, path: str, body: dict[str, str]) -> "httpx.Response":
        since, trouble = self._away
        if time.monotonic() - since < _QUIET_S:
            raise RegistryError(trouble)
        try:
            return self._client.post(
                self._url + path,
                content=json.dumps(body),
                headers={"content-type": _MEDIA_TYPE, "accept": _MEDIA_TYPE},
                **self._asking,
            )
        except self._unanswered as error:
            kind = type(error).__name__
            trouble = f"the schema registry {self._url} does not answer: {error} ({kind})"
            self._away = (time.monotonic(), trouble)
            raise RegistryError(trouble) from error

    def _id_of(self, response: "httpx.Response", subject: str) -> int:
        try:
            said = response.json()
        except ValueError:
            said = None
        if response.is_success and isinstance(said, dict) and isinstance(said.get("id"), int):
            return int(said["id"])
        reason = said.get("message") if isinstance(said, dict) else response.text[:200]
        raise RegistryError(
            f"the schema registry {self._url} gives no id for the subject {subject}: "
            f"{response.status_code} {reason}"
        )
