"""How a service's process collects garbage."""

import subprocess
import sys

_PROGRAM = """
import gc, weakref
from hooklane.runtime.collector import calm_collector

class Node:
    pass

calm_collector()
node = Node()
node.itself = node
gone = weakref.ref(node)
del node
held = []
for _ in range(200_000):
    if gone() is None:
        break
    held.append([])
print(gc.get_freeze_count() > 0, gone() is None)
"""


def test_cycles_still_go() -> None:
    """What was imported is left alone, and a cycle is collected while a service goes on."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True", "True"], done.stderr
