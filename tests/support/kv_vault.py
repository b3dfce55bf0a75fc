"""A vault for tests: the key-value API (version 2) of HashiCorp's, as far as reading goes."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass
class KvVault:
    """Serves between `with` and its end. `asked`: the paths that were read."""

    token: str
    secrets: Mapping[str, Mapping[str, str]]
    asked: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        vault = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = vault.answer(self.path, self.headers.get("X-Vault-Token"))
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Not on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str, token: str | None) -> tuple[int, bytes]:
        self.asked.append(path)
        if token != self.token:
            return 403, b'{"errors":["permission denied"]}'
        found = self.secrets.get(path.removeprefix("/v1/secret/data/"))
        if found is None:
            return 404, b'{"errors":[]}'
        return 200, json.dumps({"data": {"data": found, "metadata": {"version": 1}}}).encode()
