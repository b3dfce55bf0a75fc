"""`make test` tests what is shipped: the installed wheel."""

import os
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

import hooklane.schemas

pytestmark = pytest.mark.skipif(
    "HOOKLANE_TEST_INSTALLED" not in os.environ,
    reason="only `make test` installs the wheel",
)


def test_the_wheel_is_what_is_imported() -> None:
    """hooklane comes from the environment, and not from the source folders."""
    where = Path(hooklane.schemas.__file__).resolve()
    assert where.is_relative_to(Path(sys.prefix).resolve())


def test_the_wheel_has_the_schemas_and_the_types() -> None:
    """The .avsc files and every room's py.typed are shipped."""
    shipped = {str(file) for file in distribution("hooklane").files or ()}
    rooms = {"producer", "fanout", "retrier", "delivery", "schemas", "runtime", "ops"}
    assert {f"hooklane/{room}/py.typed" for room in rooms} <= shipped
    assert "hooklane/schemas/avro/DeliveryTask.avsc" in shipped
    console = "hooklane/ops/console"
    assert {f"{console}/templates/base.html", f"{console}/static/console.css"} <= shipped
    catalog = "hooklane/ops/catalog_templates"
    assert {f"{catalog}/base.html", f"{catalog}/snippets/verify.go.txt"} <= shipped
