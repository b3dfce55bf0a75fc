"""How a receiver verifies a webhook, in a few lines of each language, from one place."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Final


@dataclass(frozen=True, slots=True)
class Snippet:
    """`page`: the folder in docs/receiving with a complete receiver."""

    language: str
    page: str
    file: str

    @property
    def text(self) -> str:
        place = files("hooklane.ops") / "catalog_templates" / "snippets" / f"{self.file}.txt"
        return place.read_text("utf-8").rstrip("\n")


SNIPPETS: Final = (
    Snippet("Python", "python", "verify.py"),
    Snippet("Node", "node", "verify.mjs"),
    Snippet("Go", "go", "verify.go"),
    Snippet("Java", "java", "Verify.java"),
    Snippet("Shell", "shell", "verify.sh"),
)
