"""The Dockerfile and what it is made from, without Docker."""

import re
from pathlib import Path

import yaml

from hooklane.schemas.version import __version__
from requirements.licences import page, rows

ROOT = Path(__file__).resolve().parents[2]
LINES = [
    line.strip()
    for line in (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]


def last(instruction: str) -> str:
    return [line for line in LINES if line.startswith(f"{instruction} ")][-1].partition(" ")[2]


def pins(file: str) -> dict[str, str]:
    """The lines of a requirements file without hashes; names as an index compares them."""
    text = (ROOT / "requirements" / file).read_text().replace("\\\n", " ")
    found = re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)
    return {normal(name): version for name, version in found}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_image_has_what_is_tested() -> None:
    """Its pins are those of the services and of the build, and each has the hashes of its files."""
    for hashed, plain in (("image.txt", "services.txt"), ("image-build.txt", "build.txt")):
        assert pins(hashed) == pins(plain)
        for line in (ROOT / "requirements" / hashed).read_text().replace("\\\n", " ").splitlines():
            assert line.startswith("#") or re.search(r"--hash=sha256:[0-9a-f]{64}", line), line


def test_every_licence_is_listed_and_asks_for_no_source() -> None:
    """docs/licences.md is current (`make licences`); MPL alone asks for something, and only of who
    changes those files."""
    assert (ROOT / "docs" / "licences.md").read_text() == page()
    kind = re.compile(r"MIT|BSD|Apache|ISC|PSF|MPL|Mozilla")
    assert [row for row in rows() if not kind.search(row[2]) or "GPL" in row[2]] == []


def test_the_image_is_run_by_nobody_in_particular() -> None:
    """A number that is not root, which Kubernetes can judge, and the one that the chart takes."""
    values = yaml.safe_load((ROOT / "helm" / "hooklane" / "values.yaml").read_text())
    context = values["pod"]["securityContext"]
    assert last("USER") == f"{context['runAsUser']}:{context['runAsGroup']}" == "10001:10001"
    assert last("ENTRYPOINT") == '["hooklane"]'
    assert not [line for line in LINES if line.startswith("ADD ")]


def test_the_image_says_which_version_it_is() -> None:
    """Its label, and the chart's, are the package's own version."""
    assert f"ARG VERSION={__version__}" in LINES
    chart = yaml.safe_load((ROOT / "helm" / "hooklane" / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__
    assert 'org.opencontainers.image.version="${VERSION}"' in last("LABEL")


def test_the_last_stage_has_nothing_that_builds() -> None:
    """Two stages of one base with a Python that Hooklane supports; only the result goes over."""
    stages = [line for line in LINES if line.startswith("FROM ")]
    assert stages == ["FROM python:${PYTHON} AS build", "FROM python:${PYTHON}"]
    [base] = [line for line in LINES if line.startswith("ARG PYTHON=")]
    assert re.fullmatch(r"ARG PYTHON=3\.1[123]-slim-\w+", base)
    copied = [line for line in LINES[LINES.index(stages[1]) :] if line.startswith("COPY")]
    assert copied == ["COPY --from=build /opt/hooklane /opt/hooklane"]


def test_the_build_sees_what_the_wheel_is_made_of() -> None:
    """.dockerignore lets through each folder and file that pyproject.toml names, and no other."""
    seen = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    text = (ROOT / "pyproject.toml").read_text()
    rooms = set(re.findall(r'"(\w+)/hooklane",', text))
    assert len(rooms) == 7
    assert seen == rooms | {"pyproject.toml", "README.md", "LICENSE", "requirements"}
