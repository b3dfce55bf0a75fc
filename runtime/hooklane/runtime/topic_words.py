"""What is said of findings: to a person who starts a service, and how to mend by hand. Pure."""

from collections.abc import Sequence

from hooklane.runtime.errors import TopicsError
from hooklane.runtime.topic_check import Finding, Remedy


def missing_topic(name: str) -> TopicsError:
    """For a command that cannot do without one of Hooklane's own topics."""
    return TopicsError(
        f"The topic {name} is not there: create it by `hooklane topics apply`, or check "
        "HOOKLANE_TOPICS__PREFIX."
    )


def complaint(vital: Sequence[Finding]) -> str:
    """One sentence about the worst of at least one vital finding, and how many more there are."""
    worst = next((one for one in vital if one.remedy is Remedy.BY_HAND), vital[0])
    more = f" ({len(vital) - 1} more: `hooklane topics check`)" if len(vital) > 1 else ""
    return f"{sentence(worst)}{more}; {remedy(worst)}."


def sentence(finding: Finding) -> str:
    """What is wrong, without a full stop."""
    if finding.what == "topic":
        return f"Topic {finding.topic} is missing"
    return f"Topic {finding.topic} has {finding.what} {finding.found}, wanted is {finding.wanted}"


def remedy(finding: Finding) -> str:
    """What to do about it, without a full stop."""
    if finding.remedy is Remedy.APPLY:
        return "`hooklane topics apply` mends it"
    match finding.what:
        case "partitions":
            return (
                "no partitions are added, since that would move lanes: set "
                f"HOOKLANE_TOPICS__PARTITIONS to {finding.found} if all have as many, or choose "
                "another HOOKLANE_TOPICS__PREFIX"
            )
        case "replicas":
            return (
                "reassign its partitions to more brokers, or set "
                "HOOKLANE_TOPICS__REPLICATION_FACTOR to 1 to do without copies"
            )
        case _:
            return "create it, or take it out of HOOKLANE_FANOUT__TOPICS"
