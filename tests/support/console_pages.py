"""The console in a real browser: what it asks for, what it complains of, and how it looks."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.chromium import ARGUMENTS, ensure_chromium

SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
_WIDTHS: Final = (1280, 390)
_EVERYTHING: Final[dict[str, Any]] = {"resultTypes": ["violations"]}
_COLOURS: Final = {**_EVERYTHING, "runOnly": {"type": "rule", "values": ["color-contrast"]}}
"""What the colour scheme changes."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Raises ChromiumUnavailableError: there is no browser."""
    program = ensure_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """One page of the browser at a console. `foreign` and `complaints` must stay empty."""

    page: Page
    base: str
    pictures: Path
    log: Callable[[], str]
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        host = urlsplit(self.base).netloc
        self.page.on(
            "request",
            lambda one: None if urlsplit(one.url).netloc == host else self.foreign.append(one.url),
        )
        self.page.on(
            "console",
            lambda one: (
                self.complaints.append(one.text) if one.type in {"error", "warning"} else None
            ),
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def go(self, path: str, status: int = 200) -> None:
        answer = self.page.goto(self.base + path)
        assert answer is not None
        said = f"{path}: {answer.status} {self.page.inner_text('body')[:800]}"
        assert answer.status == status, f"{said}\n{self.log()[-4000:]}"

    @property
    def path(self) -> str:
        parts = urlsplit(self.page.url)
        return parts.path

    def text(self) -> str:
        return self.page.inner_text("main")

    def wait_said(self, words: str, seconds: float = 20.0) -> None:
        """Load the page again until it says so."""
        deadline = time.monotonic() + seconds
        while words not in self.text():
            assert time.monotonic() < deadline, f"not {words!r}: {self.text()[-2000:]}"
            self.page.reload()

    def press(self, name: str) -> None:
        """The button of this name; waits for the page behind it."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).click()

    def violations(self) -> Sequence[str]:
        """What axe finds here, in both colour schemes."""
        found: list[str] = []
        self.page.evaluate(AXE_SCRIPT)
        for scheme, options in zip(SCHEMES, (_EVERYTHING, _COLOURS), strict=True):
            self.page.emulate_media(color_scheme=scheme)
            answer: dict[str, Any] = self.page.evaluate("(how) => axe.run(how)", options)
            found += [
                f"{scheme}: {one['id']} {node['target']} {node['failureSummary']}"
                for one in answer["violations"]
                for node in one["nodes"]
            ]
        return found

    def is_wider_than_its_window(self) -> bool:
        width = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(self.page.evaluate(width))

    def picture(self, name: str) -> list[str]:
        """Pictures at a screen's and a phone's width; names the widths at which it is cut off."""
        cut = []
        for width, scheme in zip(_WIDTHS, SCHEMES, strict=True):
            self.page.emulate_media(color_scheme=scheme)
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.screenshot(path=self.pictures / f"{name}-{width}.png", full_page=True)
            if self.is_wider_than_its_window():
                cut.append(f"{name} at {width}")
        self.page.set_viewport_size({"width": _WIDTHS[0], "height": 900})
        return cut
