"""Payload templates: text with places for an event's data and attributes."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Protocol

LARGEST_OUTPUT: Final = 256 * 1024
"""Bytes that a template may make."""


class TemplateError(ValueError):
    """A template that cannot be read, or that fails for an event, in one sentence."""


class Template(Protocol):
    """A template that has been read."""

    def render(self, variables: Mapping[str, object]) -> str:
        """Its output for one event, at most `LARGEST_OUTPUT` bytes of UTF-8.

        Raises:
            TemplateError: something is missing or wrong in these variables, or it would be too
                large or take too long.
        """


@lru_cache(maxsize=1000)
def read_template(source: str) -> Template:
    """Read a template, once for each source: who judged a document has read it already.

    Raises:
        TemplateError: it cannot be read.
    """
    # Liquid takes a tenth of a second to import, and few installations have a template.
    from hooklane.schemas.template_liquid import LiquidTemplate  # noqa: PLC0415

    return LiquidTemplate(source)
