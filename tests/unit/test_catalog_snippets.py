"""The snippets that the catalog gives to receivers, run against what our own signer signs."""

import json
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hooklane.delivery.signing.message import Message
from hooklane.delivery.signing.standard import StandardSigner
from hooklane.ops.catalog_request import SECRET
from hooklane.ops.catalog_snippets import SNIPPETS

BODY = '{"amount": 12.30, "who": "Ünï"}'.encode()
OTHER = "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXI="
_NODE = """
import {{ verify }} from "./verify.mjs";
const [secret, headers, body] = {given};
verify(secret, headers, Buffer.from(body, "base64"));
"""
_PYTHON = """
from base64 import b64decode
from verify import verify
secret, headers, body = {given}
verify(secret, headers, b64decode(body))
"""


def headers(secrets: tuple[str, ...] = (SECRET,), age_s: int = 0) -> dict[str, str]:
    at = int(time.time()) - age_s
    signer = StandardSigner([one.encode() for one in secrets])
    signed = dict(signer.headers(Message("msg_1", at, BODY)))
    return {"webhook-id": "msg_1", "webhook-timestamp": str(at), **signed}


def by_program(
    command: str, file: str, template: str
) -> Callable[[Path, Mapping[str, str], bytes], bool]:
    def run(folder: Path, sent: Mapping[str, str], body: bytes) -> bool:
        [snippet] = [one for one in SNIPPETS if one.file == file]
        (folder / file).write_text(snippet.text)
        given = json.dumps([SECRET, dict(sent), b64encode(body).decode()])
        program = folder / f"try{Path(file).suffix}"
        program.write_text(template.format(given=given))
        done = subprocess.run(
            [command, program.name], cwd=folder, capture_output=True, timeout=60, check=False
        )
        assert (
            done.returncode == 0 or b"with this secret" in done.stderr or b"too old" in done.stderr
        )
        return done.returncode == 0

    return run


def by_shell(folder: Path, sent: Mapping[str, str], body: bytes) -> bool:
    [snippet] = [one for one in SNIPPETS if one.file == "verify.sh"]
    (folder / "verify.sh").write_text(snippet.text)
    told = [sent[f"webhook-{name}"] for name in ("id", "timestamp", "signature")]
    done = subprocess.run(
        ["sh", "-euc", '. ./verify.sh; verify "$@"', "sh", SECRET, *told],
        cwd=folder,
        input=body,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == b""
    return done.returncode == 0


RUN = {
    "python": by_program(sys.executable, "verify.py", _PYTHON),
    "node": by_program("node", "verify.mjs", _NODE),
    "sh": by_shell,
}


@pytest.mark.parametrize("language", RUN)
def test_a_snippet_tells_what_is_genuine(language: str, tmp_path: Path) -> None:
    """What is signed with its secret, alone or beside another one; nothing else, nothing old."""
    tool = {"node": "node", "sh": "openssl"}.get(language)
    if tool is not None and shutil.which(tool) is None:
        pytest.skip(f"{tool} is not here")
    verify = RUN[language]
    assert verify(tmp_path, headers(), BODY)
    assert verify(tmp_path, headers((OTHER, SECRET)), BODY)
    assert not verify(tmp_path, headers((OTHER,)), BODY)
    assert not verify(tmp_path, headers(), BODY + b" ")
    assert not verify(tmp_path, headers(age_s=301), BODY)
    assert not verify(tmp_path, headers(age_s=-310), BODY)
    assert not verify(tmp_path, {**headers(), "webhook-signature": "v1, v1a,x v1"}, BODY)


def test_each_language_is_there() -> None:
    """Short, and with the name of the folder that has a complete receiver."""
    assert [one.page for one in SNIPPETS] == ["python", "node", "go", "java", "shell"]
    for one in SNIPPETS:
        assert "webhook-signature" in one.text or one.page == "shell"
        assert len(one.text.splitlines()) <= 40
