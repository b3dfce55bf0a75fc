"""What goes into a run, and what comes of it."""

from collections.abc import Callable
from dataclasses import dataclass

from hooklane.fanout.service import FanOut
from hooklane.retrier.backlog import Backlog
from hooklane.retrier.service import Retrier
from hooklane.runtime.fence import Fence
from hooklane.runtime.group_division import Redivision
from hooklane.runtime.group_poll import GroupPoll
from tests.simulation.admin import SimAdmin
from tests.simulation.judge import Violation
from tests.simulation.plan import Plan
from tests.simulation.producer import SimTransactions
from tests.simulation.wire import Wire


@dataclass(frozen=True)
class Product:
    """The classes as they are."""

    fanout: Callable[..., FanOut] = FanOut
    backlog: Callable[..., Backlog] = Backlog
    retrier: Callable[..., Retrier] = Retrier
    retrier_poll: Callable[..., GroupPoll] = GroupPoll
    fanout_admin: Callable[[Wire], SimAdmin] = SimAdmin
    retrier_admin: Callable[[Wire], SimAdmin] = SimAdmin
    transactions: Callable[..., SimTransactions] = SimTransactions
    fence: Callable[[float, float, float], Fence] = Fence
    redivision: Callable[[str, float], Redivision] = Redivision


@dataclass
class Found:
    """How a run ended."""

    plan: Plan
    violation: Violation | None
    trace: list[str]
    attempts: int
    steps: int
    seconds: float
