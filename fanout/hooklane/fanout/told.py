"""What the log is told of a share that was committed."""

from hooklane.delivery.journal import Journal
from hooklane.fanout.redirect import Share


def tell(journal: Journal, share: Share) -> None:
    """A line for each lane that an attempt blocked or halted, and for what was given up.

    What follows into the backlog without an attempt has none: the first of its lane had it, or the
    circuit, or whoever paused the subscription.
    """
    for redirect in share.redirects:
        if redirect.last is None:
            continue
        if redirect.halted:
            journal.halted(redirect.last)
        else:
            journal.blocked(redirect.last, one_shot=redirect.delivery.one_shot)
    for letter in share.dead_letters:
        journal.given_up(letter)
    for disabling in share.disablings:
        journal.disabled(disabling.id, disabling.offset, disabling.reason)
