"""Asks a Confluent Schema Registry, or one that speaks like it, for schemas by id.

A thin client over httpx, which is there for deliveries: two GET requests are all that is needed,
and confluent-kafka's own client would bring four packages more.
"""

import ssl
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from hooklane.runtime.errors import HooklaneError, SettingsError
from hooklane.runtime.settings_sections import SchemaRegistrySettings
from hooklane.schemas.registry_schemas import KnownSchemas, MissingSchema, RegisteredSchema

_TIMEOUT_S: Final = 5.0
_NOT_FOUND: Final = frozenset((40401, 40402, 40403))
"""The registry's own words for a subject, a version or a schema that it does not have."""
_MOST_REFERENCES: Final = 200


class RegistryError(HooklaneError):
    """The registry does not answer, or not as one does: ask again."""


class _MissingError(Exception):
    pass


class SchemaRegistry:
    """Open from the first question to `close`.

    Raises:
        SettingsError: the CA file cannot be used.
    """

    def __init__(self, settings: SchemaRegistrySettings, url: str) -> None:
        self._base = url.rstrip("/")
        parts = urlsplit(url)
        self._name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._client = httpx.AsyncClient(
            auth=credentials(settings),
            verify=trust(settings),
            timeout=_TIMEOUT_S,
            trust_env=False,
            headers={"accept": "application/vnd.schemaregistry.v1+json, application/json"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def schema(self, schema_id: int) -> RegisteredSchema | MissingSchema:
        """The schema of this id with all that it refers to.

        Raises:
            RegistryError: nobody can say now; the text is one sentence.
        """
        try:
            found = await self._get(f"/schemas/ids/{schema_id}", f"schema {schema_id}")
            references: dict[tuple[str, int], str] = {}
            await self._collect(found, references)
            return RegisteredSchema(
                str(found.get("schemaType") or "AVRO"),
                str(found["schema"]),
                tuple(references.values()),
            )
        except _MissingError as missing:
            return MissingSchema(str(missing))
        except (KeyError, TypeError, ValueError) as error:
            raise RegistryError(
                f"{self._name} does not answer as a schema registry does: {error!r}"
            ) from error

    async def _collect(
        self, schema: dict[str, Any], into: dict[tuple[str, int], str], depth: int = 0
    ) -> None:
        """What the schema uses, each after what it uses itself."""
        for one in schema.get("references") or ():
            subject, version = str(one["subject"]), int(one["version"])
            if (subject, version) in into:
                continue
            if depth + len(into) > _MOST_REFERENCES:
                raise _MissingError(f"end to the references of {subject}, version {version}")
            path = f"/subjects/{quote(subject, safe='')}/versions/{version}?deleted=true"
            found = await self._get(path, f"version {version} of {subject}")
            await self._collect(found, into, depth + 1)
            into[subject, version] = str(found["schema"])

    async def _get(self, path: str, what: str) -> dict[str, Any]:
        try:
            answer = await self._client.get(self._base + path)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = str(error) or type(error).__name__
            raise RegistryError(f"{self._name} does not answer: {reason}") from error
        if answer.status_code == 404 and _error_code(answer) in _NOT_FOUND:
            raise _MissingError(what)
        if answer.status_code in {401, 403}:
            raise RegistryError(
                f"{self._name} answers {answer.status_code}: check "
                "HOOKLANE_SCHEMA_REGISTRY__USERNAME and HOOKLANE_SCHEMA_REGISTRY__PASSWORD"
            )
        if answer.status_code != 200:
            raise RegistryError(
                f"{self._name} answers {answer.status_code}: check that "
                "HOOKLANE_SCHEMA_REGISTRY__URL is where a registry has /schemas/ids"
            )
        body = answer.json()
        if not isinstance(body, dict):
            raise TypeError(f"{path} is no object")
        return body


class RegistrySchemas:
    """What is known of a registry's schemas, and how more of them become known."""

    def __init__(self, registry: SchemaRegistry, known: KnownSchemas) -> None:
        self._registry = registry
        self._known = known

    async def fetch(self, schema_id: int) -> bool:
        """Learn a schema, or that there is none: False.

        Raises:
            RegistryError: the registry does not answer.
        """
        found = await self._registry.schema(schema_id)
        self._known.learn(schema_id, found)
        return isinstance(found, RegisteredSchema)


def _error_code(answer: httpx.Response) -> object:
    try:
        body = answer.json()
    except ValueError:
        return None
    return body.get("error_code") if isinstance(body, dict) else None


def credentials(settings: SchemaRegistrySettings) -> tuple[str, str] | None:
    """For basic authentication, where they are not in the URL."""
    if settings.username is None:
        return None
    password = settings.password
    return settings.username, "" if password is None else password.get_secret_value()


def trust(settings: SchemaRegistrySettings) -> ssl.SSLContext | bool:
    """Who may sign the registry's certificate.

    Raises:
        SettingsError: the CA file cannot be used.
    """
    if settings.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"HOOKLANE_SCHEMA_REGISTRY__CA_FILE: {settings.ca_file} cannot be used: {error}."
        ) from error
