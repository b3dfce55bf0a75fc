"""What `hooklane doctor` looks at on this host: documents, secrets, the registry, the spool."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx

from hooklane.delivery.signing import SigningError, signer
from hooklane.ops import doctor_findings as judge
from hooklane.ops.doctor_findings import Finding, Status
from hooklane.runtime.errors import SecretError, SettingsError
from hooklane.runtime.plugins import InstalledPlugins
from hooklane.runtime.schema_registry import credentials, trust
from hooklane.runtime.secrets import Secrets
from hooklane.runtime.settings import Settings
from hooklane.schemas.book import Entry, SubscriptionBook
from hooklane.schemas.filters_glob import compile_glob
from hooklane.schemas.subscription import Subscription
from hooklane.schemas.subscription_references import references
from hooklane.schemas.subscription_values import SecretRef

_REGISTRY_S: Final = 3.0


def subscriptions(book: SubscriptionBook, event_topics: Sequence[str]) -> Iterator[Finding]:
    """Documents that are bad, disabled by their receiver, or about topics that nobody reads."""
    entries = list(book)
    for bad in book.findings():
        kept = "the version before stays in force" if book.entry(bad.key) else "it is not in force"
        yield Finding(
            "subscriptions",
            bad.key,
            Status.WRONG,
            f"the document at offset {bad.offset} is bad ({bad.faults[0]}); {kept}",
            "mend it, and `hooklane subscriptions apply`",
        )
    for entry in entries:
        yield from _subscription(entry, event_topics)
    if not entries:
        yield Finding(
            "subscriptions",
            "all",
            Status.WARNING,
            "there is none, so nothing is delivered",
            "`hooklane subscriptions apply -f FILE`",
        )
    else:
        yield Finding("subscriptions", "all", Status.OK, f"in force: {len(entries)}")


def _subscription(entry: Entry, event_topics: Sequence[str]) -> Iterator[Finding]:
    if entry.disabled is not None:
        yield Finding(
            "subscriptions",
            entry.id,
            Status.WARNING,
            f"is disabled by its receiver: {entry.disabled.reason}",
            f"`hooklane subscriptions resume {entry.id}` once the receiver wants events again",
        )
    globs = entry.subscription.match.topics
    if globs is None or not event_topics:
        return
    if not any(compile_glob(glob).takes(topic) for glob in globs for topic in event_topics):
        yield Finding(
            "subscriptions",
            entry.id,
            Status.WARNING,
            f"takes {', '.join(globs)}, and the fan-out reads {', '.join(event_topics)}",
            "mend match.topics, or HOOKLANE_FANOUT__TOPICS",
        )


def secrets(entries: Iterable[Entry], settings: Settings) -> Iterator[Finding]:
    """Whether every reference stands for something here, and signs."""
    resolver = Secrets(settings.secrets)
    count = 0
    wrong = False
    for entry in entries:
        for field, reference in references(entry.subscription):
            count += 1
            said = _fault(resolver, entry.subscription, field, reference)
            if said is not None:
                wrong = True
                yield Finding(
                    "secrets",
                    f"{entry.id} {field}",
                    Status.WRONG,
                    said.rstrip("."),
                    "mend it where the services run; run this with their environment and files",
                )
    if not wrong:
        yield Finding("secrets", "all", Status.OK, f"references resolved here: {count}")


def _fault(
    resolver: Secrets, document: Subscription, field: str, reference: SecretRef
) -> str | None:
    try:
        secret = resolver.resolve(reference.written())
        signing = document.signing
        if field.startswith("signing") and signing is not None and signing.plugged is None:
            signer(signing.scheme, (secret,))
    except (SecretError, SigningError) as error:
        return str(error)
    return None


def plugins(installed: InstalledPlugins) -> Iterator[Finding]:
    """Whether each can be used; nothing where there are none."""
    faults = [(one, installed.load(one)) for one in installed.all()]
    for one, said in faults:
        if said is not None:
            name = f"{one.group} {one.name}"
            mend = f"mend or remove {one.distribution}; subscriptions cannot use it"
            yield Finding("plugins", name, Status.WRONG, said, mend)
    if faults and all(said is None for _, said in faults):
        yield Finding("plugins", "all", Status.OK, f"loaded here: {len(faults)}")


def registry(settings: Settings) -> Finding:
    """Whether the Schema Registry answers, if one is named."""
    setting = "HOOKLANE_SCHEMA_REGISTRY__URL"
    given = settings.schema_registry.url
    if given is None:
        return Finding("registry", "none", Status.OK, "no registry is named")
    url = httpx.URL(given.get_secret_value())
    place = f"{url.host}:{url.port}" if url.port else url.host
    try:
        # Never a proxy of the environment, as the services do it.
        with httpx.Client(
            auth=credentials(settings.schema_registry),
            verify=trust(settings.schema_registry),
            trust_env=False,
            timeout=_REGISTRY_S,
        ) as client:
            status = client.get(url.copy_with(path=url.path.rstrip("/") + "/subjects")).status_code
    except SettingsError as error:
        return Finding("registry", place, Status.WRONG, str(error), "see to that file")
    except httpx.HTTPError as error:
        said = f"does not answer ({str(error) or type(error).__name__})"
        return Finding("registry", place, Status.WRONG, said, f"see to it, or to {setting}")
    if status == httpx.codes.OK:
        return Finding("registry", place, Status.OK, "answers")
    todo = f"see to the path in {setting}, and to name and password"
    return Finding("registry", place, Status.WRONG, f"answers {status}", todo)


def spool(folder: Path) -> Finding:
    """Whether a retrier could keep its spool there."""
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    try:
        if there == folder:
            with tempfile.TemporaryFile(dir=folder):
                pass
        elif not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied", str(there))
    except OSError as error:
        return Finding(
            "spool",
            str(folder),
            Status.WRONG,
            f"cannot be written ({error.strerror})",
            f"let this user write to {there}, or name another HOOKLANE_RETRIER__SPOOL_DIR",
        )
    return judge.room(str(folder), shutil.disk_usage(there).free)
