"""The one reading of a URL: what is taken, what is refused, and what it leads to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.delivery.target import InvalidUrl, Target, read_target


def read(url: str) -> Target:
    target = read_target(url)
    assert isinstance(target, Target), target
    return target


@pytest.mark.parametrize(
    ("url", "origin", "path", "authority"),
    [
        ("https://Hooks.Example", ("https", "hooks.example", 443), "/", "hooks.example"),
        ("HTTPS://a.b:443/", ("https", "a.b", 443), "/", "a.b"),
        ("https://a.b:8443?x=1", ("https", "a.b", 8443), "/?x=1", "a.b:8443"),
        ("http://a.b:80/x/../y", ("http", "a.b", 80), "/x/../y", "a.b"),
        ("http://a.b:443/", ("http", "a.b", 443), "/", "a.b:443"),
        ("https://a_b.c-d.e/", ("https", "a_b.c-d.e", 443), "/", "a_b.c-d.e"),
        ("https://a.b./", ("https", "a.b", 443), "/", "a.b"),
        ("https://a.b/p?q=1#frag", ("https", "a.b", 443), "/p?q=1", "a.b"),
        ('https://a.b/%2e%2E/ü|"', ("https", "a.b", 443), "/%2e%2E/%C3%BC%7C%22", "a.b"),
        ("https://bücher.example/", ("https", "xn--bcher-kva.example", 443), "/", None),
        ("https://[2606:4700::0001]/", ("https", "2606:4700::1", 443), "/", "[2606:4700::1]"),
        ("https://0x8.8.8.010:8443/", ("https", "8.8.8.8", 8443), "/", "8.8.8.8:8443"),
        ("https://a.b//evil.example/", ("https", "a.b", 443), "//evil.example/", "a.b"),
    ],
)
def test_good_urls(
    url: str, origin: tuple[str, str, int], path: str, authority: str | None
) -> None:
    """Host, port, request target and `Host` header come from one reading."""
    target = read(url)
    assert target.origin == origin
    assert target.path == path
    assert target.authority == (authority or origin[1])


def test_trailing_dot_stays_in_the_lookup() -> None:
    """A trailing dot keeps search domains away and is no part of the origin."""
    target = read("https://a.b./")
    assert (target.name, target.origin) == ("a.b.", read("https://a.b/").origin)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example/path",
        "//hooks.example/",
        "https:/hooks.example/",
        "https:hooks.example",
        "https://",
        "https:///path",
        "https://?x",
        "https://:443/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "gopher://hooks.example/",
        "javascript://hooks.example/%0a",
        "unix:///run/docker.sock",
        "https://user@hooks.example/",
        "https://user:pass@hooks.example/",
        "https://@hooks.example/",
        "https://hooks.example\\@evil.example/",
        "https:\\\\hooks.example\\",
        "https://hooks.example/a\\b",
        "https://hooks.example/a b",
        " https://hooks.example/",
        "https://hooks.example/\r\nx: y",
        "https://hooks.example/\n",
        "https://hooks.example/\x00",
        "https://hooks\t.example/",
        "https://hooks.example:0/",
        "https://hooks.example:65536/",
        "https://hooks.example:-1/",
        "https://hooks.example:+80/",
        "https://hooks.example:\uff18\uff10/",
        "https://hooks.example:80:80/",
        "https://hooks.example:" + "1" * 5000 + "/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 127 + "example/",
        "https://" + "9" * 5000 + "/",
        "https://hooks..example/",
        "https://-hooks.example/",
        "https://hooks.example-/",
        "https://hooks%2eexample/",
        "https://h\u200bo.example\u2028/",
    ],
)
def test_bad_urls(url: str) -> None:
    """What has no one clear meaning is refused, with a sentence that does not repeat the URL."""
    found = read_target(url)
    assert isinstance(found, InvalidUrl)
    assert "example" not in found.detail
    assert "pass" not in found.detail.replace("password", "")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever stands there is a target or a refusal, never an error."""
    for url in (text, f"https://{text}", f"https://a.b/{text}", f"https://a.b:{text}"):
        found = read_target(url)
        if isinstance(found, Target):
            assert found.path.isascii()
            assert found.path.isprintable()
            assert " " not in found.path
            assert found.authority.isascii()
            assert found.authority.isprintable()


@given(st.from_regex(r"https?://[a-z0-9.:@\[\]%\\x-]{1,20}(/[ -~]{0,10})?", fullmatch=True))
def test_reading_again_changes_nothing(url: str) -> None:
    """What a target says of itself reads to the same target: nothing is left to a second parser."""
    found = read_target(url)
    if isinstance(found, Target):
        again = read(f"{found.origin.scheme}://{found.authority}{found.path}")
        assert (again.origin, again.path) == (found.origin, found.path)
        assert again.literal == found.literal
