"""The garbage collector, set for a process that makes many objects and hardly any cycles."""

import gc
from typing import Final

_THRESHOLDS: Final = (50_000, 20, 50)
"""A young collection every 50,000 objects that stay instead of every 700: a service holds some ten
thousand deliveries at most, and looking through them again and again took a tenth of its CPU time
(bench/README.md). What is no cycle goes at once all the same."""


def calm_collector() -> None:
    """Leave what has been imported alone, and look for cycles less often.

    To be called once everything is imported, in the process that runs a service.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
