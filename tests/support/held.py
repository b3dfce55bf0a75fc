"""How much an object holds, for tests of what must not grow."""

import gc
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

_NOT_HELD = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


def held(root: object, *but: object) -> int:
    """How many objects are reachable from `root`, without what leads through `but`."""
    seen = {id(one) for one in but}
    stack, count = [root], 0
    while stack:
        one = stack.pop()
        if id(one) in seen or isinstance(one, _NOT_HELD):
            continue
        seen.add(id(one))
        count += 1
        stack += gc.get_referents(one)
    return count
