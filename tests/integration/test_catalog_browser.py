"""The catalog's pages in a real Chromium, served as files by any web server would be."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from hooklane.ops.catalog_files import write
from tests.support.catalog_facts import the_catalog
from tests.support.chromium import ChromiumUnavailableError
from tests.support.console_pages import Tab, chromium

PAGES = {
    "index": "/index.html",
    "receiving": "/receiving.html",
    "deprecated": "/types/invoice.paid.v1.html",
    "avro": "/types/order.shipped.html",
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a built catalog."""
    write(the_catalog(), tmp_path / "catalog")
    handler = partial(Quiet, directory=str(tmp_path / "catalog"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def tab(served: str, tmp_path: Path) -> Iterator[Tab]:
    try:
        with chromium() as browser:
            # What the pages do without scripts is all that they do; axe brings its own.
            context = browser.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True)
            yield Tab(context.new_page(), served, tmp_path, lambda: "")
    except ChromiumUnavailableError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def test_the_pages_are_read_by_everybody(tab: Tab) -> None:
    """No finding of axe in either colour scheme, none wider than a phone, nothing from elsewhere;
    the links lead from the index to a version, to what replaces it, and back."""
    found: dict[str, object] = {}
    for name, path in PAGES.items():
        tab.go(path)
        wrong = [*tab.violations(), *tab.picture(name)]
        if wrong:
            found[name] = wrong
    assert found == {}
    tab.go("/index.html")
    tab.page.get_by_role("link", name="invoice.paid.v1").click()
    assert "Deprecated" in tab.page.get_by_role("note").inner_text()
    tab.page.get_by_role("note").get_by_role("link").click()
    assert tab.path == "/types/invoice.paid.v2.html"
    tab.page.get_by_text("JSON Schema of the data").click()
    assert '"$defs"' in tab.page.locator("details[open] pre").inner_text()
    tab.page.get_by_role("link", name="Headers, answers, and how to verify").click()
    assert tab.path == "/receiving.html"
    assert (tab.foreign, tab.complaints) == ([], [])


def test_the_policy_lets_the_style_through(served: str, tmp_path: Path) -> None:
    """With the policy in force and without scripts the page is styled, and Chromium complains of
    nothing: the hash in the policy is that of the style."""
    with chromium() as browser:
        context = browser.new_context(java_script_enabled=False)
        tab = Tab(context.new_page(), served, tmp_path, lambda: "")
        tab.go("/types/invoice.paid.v1.html")
        notice = tab.page.get_by_role("note")
        assert "Use invoice.paid.v2 instead." in notice.inner_text()
        box = notice.bounding_box()
        assert box is not None
        # The style's width of a text, which the whole width of the window would be without it.
        assert box["width"] < 900
        assert (tab.foreign, tab.complaints) == ([], [])
