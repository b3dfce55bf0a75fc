"""`hooklane verify` as it is typed."""

import json
from pathlib import Path

import pytest

from hooklane.ops.main import run
from hooklane.ops.verify_input import headers_from
from hooklane.runtime.errors import UsageError
from tests.unit.test_signing_verify import BODY, OTHER, SECRET, signed

AT = "2023-11-14T22:13:20Z"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A secrets folder, and the request in files."""
    lines = [f"{name}: {value}" for name, value in signed(SECRET).items()]
    (tmp_path / "headers").write_text("POST /hook HTTP/1.1\n" + "\n".join(lines))
    (tmp_path / "body").write_bytes(BODY)
    (tmp_path / "good").write_bytes(SECRET + b"\n")
    monkeypatch.setenv("HOOKLANE_SECRETS__DIR", str(tmp_path))
    monkeypatch.delenv("HOOKLANE_VERIFY_SECRET", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


REQUEST = ("verify", "--headers", "headers", "--body", "body", "--at", AT, "-o", "json")


def test_by_a_reference_and_by_the_variable(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Genuine, and not: the exit code says it, the row why; the secret is nowhere."""
    assert files.is_dir()
    assert run([*REQUEST, "--secret", "file:good"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "genuine": True,
        "cause": "genuine",
        "said": "the signature is right",
        "todo": None,
        "scheme": "standard",
        "secret": 1,
        "webhook_id": "msg_1",
        "age_s": 0.0,
    }
    monkeypatch.setenv("HOOKLANE_VERIFY_SECRET", OTHER.decode())
    assert run(list(REQUEST)) == 1
    out = capsys.readouterr().out
    assert json.loads(out)["cause"] == "wrong-secret"
    assert OTHER.decode() not in out
    assert run([*REQUEST[:5], "--secret", "file:good"]) == 1
    assert "clock-skew" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "No secret is given"),
        (("--secret", SECRET.decode()), "put the secret itself into HOOKLANE_VERIFY_SECRET"),
        (("--secret", "file:good", "--tolerance", "x"), "--tolerance: 'x' is not a delay"),
        (("--secret", "file:good", "--headers", "nowhere"), "cannot be read"),
        (("--secret", "file:good", "--at", "x"), "--at 'x' is no time"),
    ],
)
def test_bad_usage(
    files: Path, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one sentence, which never repeats a secret."""
    assert files.is_dir()
    assert run([*REQUEST, *options]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert SECRET.decode() not in err


def test_no_headers_at_all(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is read from a terminal."""
    assert files.is_dir()
    assert run(["verify", "--secret", "file:good"]) == 2
    assert "No headers are given" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "Webhook-Id: msg_1\nX-A:b: c \n\n",
        "POST /x HTTP/1.1\r\nwebhook-id: msg_1\r\nx-a: b: c\r\n",
        "> POST /x HTTP/1.1\n> Webhook-Id: msg_1\n> X-A: b: c\n>\n",
        '{"Webhook-Id": "msg_1", "X-A": ["z", "b: c"]}',
    ],
)
def test_headers_as_people_have_them(text: str) -> None:
    """From a log, a capture, curl, or a framework's JSON."""
    assert headers_from(text) == {"webhook-id": "msg_1", "x-a": "b: c"}


def test_what_is_no_header() -> None:
    """A line without a colon, and JSON that ends too early; single ones come last."""
    assert headers_from("a: 1", ["A: 2"]) == {"a": "2"}
    for text in ("nonsense here", '{"a": '):
        with pytest.raises(UsageError):
            headers_from(text)
