"""Helm in a process of its own: `python -m tests.support.helm_worker`.

It is a Go library with threads and signal handlers of its own, which tests that send signals must
not meet. Each line of stdin is a request and each of stdout its answer, both JSON.
"""

import json
import sys
from typing import Any

import helm_python


def answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        match request.pop("do"):
            case "render":
                with helm_python.Chart.load(request.pop("chart")) as chart:
                    return {"files": chart.render(**request)}
            case "lint":
                return helm_python.lint(request["chart"], request["values"], strict=True)
            case unknown:
                return {"error": f"no such request: {unknown}"}
    except helm_python.HelmError as error:
        return {"error": str(error)}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
