"""The registry's client on real sockets: what is asked, what is missing, what is no answer."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from hooklane.runtime.errors import SettingsError
from hooklane.runtime.schema_registry import RegistryError, RegistrySchemas, SchemaRegistry
from hooklane.runtime.settings_sections import SchemaRegistrySettings
from hooklane.schemas.registry_schemas import KnownSchemas, MissingSchema, RegisteredSchema
from tests.support.fanout_facts import HandClock
from tests.support.receiver_tls import Authority

Answers = dict[str, tuple[int, Any]]
NOT_FOUND = {"error_code": 40403, "message": "Schema not found"}


class Served:
    """A registry with these answers by path; notes what it was asked and with which credentials."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str | None]] = []
        self.url = ""


@contextmanager
def serving(answers: Answers, tls: ssl.SSLContext | None = None) -> Iterator[Served]:
    served = Served(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append((self.path, self.headers.get("authorization")))
            status, body = served.answers.get(self.path, (404, {"error_code": 404}))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    served.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def asked(
    url: str, schema_id: int = 7, settings: SchemaRegistrySettings | None = None
) -> RegisteredSchema | MissingSchema:
    registry = SchemaRegistry(settings or SchemaRegistrySettings(), url)
    try:
        return await registry.schema(schema_id)
    finally:
        await registry.close()


async def test_a_schema_is_found_below_the_path_of_the_url() -> None:
    """The id is asked for where the URL says, with or without a slash at its end."""
    with serving({"/apis/ccompat/v7/schemas/ids/7": (200, {"schema": '"string"'})}) as served:
        for end in ("", "/"):
            found = await asked(f"{served.url}/apis/ccompat/v7{end}")
            assert found == RegisteredSchema("AVRO", '"string"')


async def test_references_come_each_after_what_it_uses() -> None:
    """Also those of references, each once, whatever characters a subject has."""

    def version(text: str, *references: tuple[str, int]) -> tuple[int, Any]:
        found = [{"name": "n", "subject": name, "version": one} for name, one in references]
        return 200, {"schema": text, "references": found}

    answers = {
        "/schemas/ids/7": version("whole", ("line", 2), ("money/eu", 1)),
        "/subjects/line/versions/2?deleted=true": version("line", ("money/eu", 1)),
        "/subjects/money%2Feu/versions/1?deleted=true": version("money"),
    }
    with serving(answers) as served:
        assert await asked(served.url) == RegisteredSchema("AVRO", "whole", ("money", "line"))
        assert len(served.asked) == 3


async def test_references_in_a_circle_end() -> None:
    """A registry that is wrong about itself keeps nobody asking for ever."""
    me = {"schema": "a", "references": [{"name": "n", "subject": "a", "version": 1}]}
    answers: Answers = {
        "/schemas/ids/7": (200, me),
        "/subjects/a/versions/1?deleted=true": (200, me),
    }
    with serving(answers) as served:
        assert isinstance(await asked(served.url), MissingSchema)


async def test_what_the_registry_does_not_have_is_said() -> None:
    """By the registry's own words for it: of a schema, and of a version that one refers to."""
    refers = {"schema": "a", "references": [{"name": "n", "subject": "b", "version": 3}]}
    answers: Answers = {
        "/schemas/ids/7": (404, NOT_FOUND),
        "/schemas/ids/8": (200, refers),
        "/subjects/b/versions/3?deleted=true": (404, {"error_code": 40402}),
    }
    with serving(answers) as served:
        assert await asked(served.url, 7) == MissingSchema("schema 7")
        assert await asked(served.url, 8) == MissingSchema("version 3 of b")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, {}), "answers 401: check HOOKLANE_SCHEMA_REGISTRY__USERNAME"),
        ((403, {}), "answers 403: check HOOKLANE_SCHEMA_REGISTRY__USERNAME"),
        ((404, b"<html>"), "answers 404: check that HOOKLANE_SCHEMA_REGISTRY__URL"),
        ((500, {"error_code": 40403}), "answers 500"),
        ((302, {}), "answers 302"),
        ((200, b"<html>"), "does not answer as a schema registry does"),
        ((200, []), "does not answer as a schema registry does"),
        ((200, {}), "does not answer as a schema registry does"),
        ((200, {"schema": "a", "references": [1]}), "does not answer as a schema registry does"),
    ],
)
async def test_what_is_no_answer_about_the_schema_is_asked_again(
    answer: tuple[int, Any], said: str
) -> None:
    """Nothing but the registry's own words makes a record a bad one."""
    with serving({"/schemas/ids/7": answer}) as served, pytest.raises(RegistryError, match=said):
        await asked(served.url)


async def test_a_registry_that_is_not_there_is_named_without_its_password() -> None:
    """The error says which registry does not answer; what is secret in its URL stays out."""
    with serving({}) as served:
        gone = served.url
    with pytest.raises(RegistryError) as found:
        await asked(gone.replace("http://", "http://me:hush@"))
    assert str(found.value).startswith(f"{gone} does not answer: ")
    assert "hush" not in str(found.value)


@pytest.mark.parametrize("place", ["url", "settings"])
async def test_credentials_go_along(place: str) -> None:
    """Basic authentication, by the URL or by the settings of their own."""
    settings = SchemaRegistrySettings(username="me", password=SecretStr("hush"))
    with serving({"/schemas/ids/7": (200, {"schema": "a"})}) as served:
        if place == "url":
            await asked(served.url.replace("http://", "http://me:hush@"))
        else:
            await asked(served.url, settings=settings)
        assert served.asked == [("/schemas/ids/7", "Basic bWU6aHVzaA==")]


async def test_only_the_authority_of_the_ca_file_is_trusted(tmp_path: Path) -> None:
    """A registry whose certificate somebody else has signed does not answer."""
    authority = Authority()
    file = tmp_path / "ca.pem"
    tls = authority.issue("127.0.0.1").server(tmp_path)
    with serving({"/schemas/ids/7": (200, {"schema": "a"})}, tls) as served:
        file.write_bytes(authority.pem)
        settings = SchemaRegistrySettings(ca_file=file)
        assert await asked(served.url, settings=settings) == RegisteredSchema("AVRO", "a")
        file.write_bytes(Authority("Somebody Else").pem)
        with pytest.raises(RegistryError, match=r"does not answer: .*certificate"):
            await asked(served.url, settings=SchemaRegistrySettings(ca_file=file))


def test_a_ca_file_that_cannot_be_used_is_a_wrong_setting(tmp_path: Path) -> None:
    """The error names the setting and the file."""
    for file in (tmp_path / "none.pem", tmp_path / "bad.pem"):
        if file.stem == "bad":
            file.write_text("nothing")
        with pytest.raises(SettingsError, match=r"SCHEMA_REGISTRY__CA_FILE: .*pem cannot be used"):
            SchemaRegistry(SchemaRegistrySettings(ca_file=file), "https://registry")


async def test_what_was_fetched_is_known() -> None:
    """A schema that was found, and one that there is not, need not be asked for again."""
    with serving(
        {"/schemas/ids/7": (200, {"schema": '"string"'}), "/schemas/ids/8": (404, NOT_FOUND)}
    ) as served:
        registry = SchemaRegistry(SchemaRegistrySettings(), served.url)
        known = KnownSchemas(HandClock().monotonic)
        schemas = RegistrySchemas(registry, known)
        assert [await schemas.fetch(7), await schemas.fetch(8)] == [True, False]
        await registry.close()
    assert known.get(7) is not None
    assert known.get(8) is not None
    assert known.get(9) is None
