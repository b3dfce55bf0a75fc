"""Commands as an operator types them, run in the test's own process against one site."""

import json
from typing import Any

import pytest

from hooklane.ops.main import run
from tests.support.site import Site


class Operator:
    """`operator("lanes", "list")` gives stdout; `err` is what the last command said on stderr."""

    def __init__(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name, value in site.environment().items():
            if name.startswith("HOOKLANE_"):
                monkeypatch.setenv(name, value)
        self._capsys = capsys
        self.err = ""

    def __call__(self, *arguments: str, exits: int = 0) -> str:
        self._capsys.readouterr()
        code = run(list(arguments))
        out, self.err = self._capsys.readouterr()
        assert code == exits, (out, self.err)
        return out

    def json(self, *arguments: str) -> Any:
        """The same with `--output json`, parsed."""
        return json.loads(self(*arguments, "--output", "json"))
