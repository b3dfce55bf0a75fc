"""No core dump of a process that holds everybody's secrets."""

import resource


def no_core_dumps() -> None:
    """A crash leaves nothing of the memory on a disk; whoever needs a dump raises the limit again.

    Only the soft limit: `prlimit --core=unlimited --pid` undoes it for one process.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
