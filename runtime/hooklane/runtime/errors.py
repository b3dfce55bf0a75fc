"""Errors that a person can cause and mend.

HooklaneError            anything of ours that reaches the command line
├── UsageError           a bad argument or file: exit 2
├── SettingsError        a wrong or unknown setting: exit 2
├── TopicsError          a topic is missing or made wrongly: exit 1
├── BrokerError          Kafka cannot be reached or refuses: exit 1
├── SecretError          a secret's reference cannot be resolved: exit 1
└── CatalogError         event types that the catalog cannot be made of: exit 1

Every message is one sentence that names what to change.
"""


class HooklaneError(Exception):
    """Its text is shown as it is, without a traceback; `exit_code` is the process's."""

    exit_code = 1


class UsageError(HooklaneError):
    exit_code = 2


class SettingsError(HooklaneError):
    exit_code = 2


class TopicsError(HooklaneError):
    pass


class BrokerError(HooklaneError):
    pass


class SecretError(HooklaneError):
    pass


class CatalogError(HooklaneError):
    pass


def said_of(error: BaseException) -> str:
    """Why a service ends: a sentence of ours as it is, anything else as the fault that it is."""
    return str(error) if isinstance(error, HooklaneError) else f"A fault: {error!r}."
