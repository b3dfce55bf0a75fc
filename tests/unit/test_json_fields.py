"""The fields that commands print as JSON, and the page that explains them."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from hooklane.ops import attempts_view, doctor_findings, trace_view
from hooklane.ops.attempts_view import attempt_row
from hooklane.ops.doctor_findings import Finding, Status, finding_row
from hooklane.ops.trace_view import way_row
from tests.support.operator_facts import an_attempt, lane_id
from tests.unit.test_trace_way import FILTER, NOW_MS, waiting, way

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "answering.md").read_text()


def documented(heading: str) -> set[str]:
    """The names in the first column of the section's table."""
    section = PAGE.split(f"\n### {heading}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


@pytest.mark.parametrize(
    ("heading", "fields"),
    [
        ("attempts", attempts_view.FIELDS),
        ("trace", (*trace_view.FIELDS, *trace_view.SUBSCRIPTION_FIELDS)),
        ("doctor", doctor_findings.FIELDS),
    ],
)
def test_every_field_is_explained(heading: str, fields: Sequence[str]) -> None:
    """docs/answering.md has each field, and no other."""
    assert documented(heading) == set(fields)


def test_rows_have_the_fields_that_are_promised() -> None:
    """In their order, whatever is known of a delivery."""
    assert tuple(attempt_row(an_attempt(lane_id(1), 1, NOW_MS))) == attempts_view.FIELDS
    assert tuple(finding_row(Finding("a", "b", Status.OK, "c"))) == doctor_findings.FIELDS
    for one in (way(), way(objection=FILTER), way(waiting=waiting(1))):
        assert tuple(way_row(one, NOW_MS)) == trace_view.SUBSCRIPTION_FIELDS
