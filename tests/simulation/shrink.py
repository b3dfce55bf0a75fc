"""From a plan that breaks a promise to a shorter one that breaks it too: steps go, one by one."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.parts import Found
from tests.simulation.plan import FANOUTS, Do, Plan, Step

_MOST_RUNS = 300


def shortened(found: Found, run: Callable[[Plan], Found]) -> Found:
    """The shortest found within a bound of runs that breaks the same promise."""
    assert found.violation is not None
    best, runs = found, 0
    shorter = True
    while shorter:
        shorter = False
        for plan in _shorter(best.plan):
            runs += 1
            if runs > _MOST_RUNS:
                return best
            again = run(plan)
            if again.violation is not None and again.violation.promise == found.violation.promise:
                best, shorter = again, True
                break
    return best


def _shorter(plan: Plan) -> Iterator[Plan]:
    """What is tried, the largest cuts first."""
    steps = plan.steps
    size = len(steps) // 2
    while size:
        for first in range(0, len(steps), size):
            yield replace(plan, steps=steps[:first] + steps[first + size :])
        size //= 2
    for name in plan.starts:
        others = {one: at for one, at in plan.starts.items() if one != name}
        if {one in FANOUTS for one in others} == {True, False}:
            yield replace(plan, starts=others)
    if len(plan.subscriptions) > 1:
        for at in range(len(plan.subscriptions)):
            yield replace(
                plan, subscriptions=plan.subscriptions[:at] + plan.subscriptions[at + 1 :]
            )
    for at, step in enumerate(steps):
        smaller = _smaller(step)
        if smaller is not None:
            yield replace(plan, steps=(*steps[:at], smaller, *steps[at + 1 :]))


def _smaller(step: Step) -> Step | None:
    """Fewer events at once."""
    if step.do is Do.PUBLISH and step.arguments[1] != 1:
        return replace(step, arguments=(step.arguments[0], 1))
    return None
