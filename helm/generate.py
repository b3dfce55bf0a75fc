"""Writes what of the chart is made: `python -m helm.generate`.

values.schema.json and README.md from values.yaml and Hooklane's own settings; files/ from
observability/, since a chart can only install what is in its folder.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from helm.documented import VALUES, documented
from helm.readme import page
from helm.schema import values_schema

CHART = VALUES.parent
ROOT = CHART.parents[1]
OBSERVABILITY: Mapping[str, str] = {
    "rules.yaml": "observability/prometheus/rules.yaml",
    "hooklane.json": "observability/grafana/hooklane.json",
}
"""Files of the chart, and what they are copies of."""


def made() -> dict[Path, str]:
    """Every file that is made, with what has to be in it."""
    keys = documented(VALUES.read_text())
    copies = {
        CHART / "files" / name: (ROOT / source).read_text()
        for name, source in OBSERVABILITY.items()
        if (ROOT / source).is_file()
    }
    return {
        CHART / "values.schema.json": json.dumps(values_schema(keys), indent=1) + "\n",
        CHART / "README.md": page(keys),
        **copies,
    }


def main() -> None:
    for path, text in made().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
