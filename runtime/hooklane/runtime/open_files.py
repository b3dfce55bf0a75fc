"""As many open files as this process may have: each attempt in flight is a connection."""

import resource


def raise_open_files() -> None:
    """The soft limit goes up to the hard one, as services of other languages do by themselves:
    many shells begin with 1,024, which a default of as many attempts would come up to."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
