"""What `hooklane doctor` makes of what it finds, without a Kafka."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hooklane.ops import doctor_findings as judge
from hooklane.ops.doctor_findings import Finding, Status
from hooklane.ops.doctor_here import plugins, registry, secrets, spool, subscriptions
from hooklane.ops.doctor_tls import certificate_fault
from hooklane.runtime.plugins import InstalledPlugins
from hooklane.runtime.settings import read_settings
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.plugged import Group
from hooklane.schemas.subscription_values import ServicePolicy
from tests.support.plugins import entry, plugin
from tests.support.receiver_tls import DAY, NOW, Authority
from tests.support.webhook_sink import OK, Answer, WebhookSink

LIBRDKAFKA = (
    "Kafka did not answer within 5 s at k:9092 ({}): check HOOKLANE_KAFKA__BOOTSTRAP_SERVERS and "
    "the security properties in HOOKLANE_KAFKA__PROPERTIES."
)


NO = Answer(401)


@pytest.mark.parametrize(
    ("met", "certificate", "said", "todo"),
    [
        (
            "Connect to ipv4#127.0.0.1:1 failed: Connection refused",
            None,
            "nobody answers",
            "listens",
        ),
        ("SSL handshake failed: certificate verify failed", None, "not trusted here", "ssl.ca"),
        ("SSL handshake failed", "certificate has expired", "has expired", "renew"),
        ("SSL handshake failed", "Hostname mismatch, ...", "another host", "BOOTSTRAP_SERVERS"),
        ("SSL handshake failed", "self-signed certificate", "not trusted here", "ssl.ca"),
        ("SSL handshake failed: Disconnected", None, "no TLS connection", "security.protocol"),
        ("SASL authentication error: Authentication failed", None, "the user", "sasl.password"),
    ],
)
def test_a_broker_that_does_not_answer(
    met: str, certificate: str | None, said: str, todo: str
) -> None:
    """What librdkafka met is said in words, with what to look at."""
    found = judge.unreachable("k:9092", LIBRDKAFKA.format(met), certificate)
    assert (found.status, found.subject) == (Status.WRONG, "k:9092")
    assert said in found.said
    assert todo in found.todo


def test_what_is_wrong_with_a_brokers_certificate(tmp_path: Path) -> None:
    """Expired, another host's, of an unknown authority, or good."""
    authority = Authority()
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(authority.pem)
    context = authority.issue("127.0.0.1", NOW - DAY).server(tmp_path)
    with WebhookSink(tls=context) as broker:
        server = f"127.0.0.1:{broker.port}"
        assert certificate_fault(server, str(trusted), 5) == "certificate has expired"
        authority.issue("other.example").load(context, tmp_path)
        assert "mismatch" in (certificate_fault(server, str(trusted), 5) or "")
        authority.issue("127.0.0.1").load(context, tmp_path)
        assert certificate_fault(server, str(trusted), 5) is None
        assert "issuer" in (certificate_fault(server, None, 5) or "")
    with WebhookSink() as plain:
        assert certificate_fault(f"127.0.0.1:{plain.port}", str(trusted), 5) is None


def test_rights_name_what_is_missing() -> None:
    """With the command that grants it; nothing told at all is nothing granted."""
    found = judge.rights("topic", "orders", ("READ", "DESCRIBE"), ["DESCRIBE"])
    assert (found.status, found.said) == (Status.WRONG, "may not read")
    assert "--topic orders --operation Read" in found.todo
    assert judge.rights("topic", "orders", ("READ",), None).status is Status.WRONG
    assert judge.rights("topic", "orders", ("READ",), ["READ", "WRITE"]).status is Status.OK


def test_records_of_a_time_to_come_tell_a_clock() -> None:
    """Which topic's, and by how much; seconds are let pass."""
    now_ms = 1_790_000_000_000
    found = judge.clock({"orders": now_ms + 60_000, "attempts": now_ms}, now_ms)
    assert (found.status, found.subject) == (Status.WARNING, "orders")
    assert "60 s ahead" in found.said
    assert judge.clock({"orders": now_ms + 1000}, now_ms).status is Status.OK
    assert judge.clock({}, now_ms).status is Status.OK


@pytest.mark.parametrize(
    ("members", "lag", "statuses"),
    [
        (0, {}, [Status.WRONG]),
        (2, {"t[0]": 3, "t[1]": None}, [Status.OK, Status.OK]),
        (2, {"t[0]": 3, "t[1]": 20_000}, [Status.OK, Status.WARNING]),
    ],
)
def test_groups(members: int, lag: Mapping[str, int | None], statuses: list[Status]) -> None:
    """A service that does not run is wrong; one that is far behind is worth a look."""
    found = list(judge.group("fanout", "g", members, lag))
    assert [one.status for one in found] == statuses


def test_partitions_without_an_owner() -> None:
    """None is no finding; some are named, many are counted; what to do names the service."""
    assert list(judge.ownerless("fanout", "g", [])) == []
    [few] = judge.ownerless("fanout", "g", ["t[0]", "t[1]"])
    assert (few.status, few.said) == (
        Status.WARNING,
        "partitions without an owner: t[0], t[1]",
    )
    assert "`hooklane fanout`" in few.todo
    [many] = judge.ownerless("retrier", "g", [f"b[{number}]" for number in range(12)])
    assert many.said == "partitions without an owner: b[0], b[1], b[2], b[3], b[4] and 7 more"


def test_the_folder_of_the_spool(tmp_path: Path) -> None:
    """Writable, also where it is yet to be made; not below a file; with room, or not."""
    assert spool(tmp_path).status is Status.OK
    assert spool(tmp_path / "not" / "yet").status is Status.OK
    (tmp_path / "file").write_text("")
    assert spool(tmp_path / "file").status is Status.WRONG
    assert [judge.room("s", free).status for free in (2**32, 2**29, 2**20)] == [
        Status.OK,
        Status.WARNING,
        Status.WRONG,
    ]


def book_of(*documents: bytes) -> SubscriptionBook:
    book = SubscriptionBook(ServicePolicy(allow_plaintext_secrets=True))
    for offset, document in enumerate(documents):
        book.read(offset, b"s%d" % offset, document)
    return book


def by_subject(findings: Any) -> dict[str, Finding]:
    return {one.subject: one for one in findings}


def test_documents_and_their_secrets(tmp_path: Path) -> None:
    """Bad ones, those that nobody reads for, references that lead nowhere or cannot sign."""
    (tmp_path / "short").write_text("whsec_AAAA")
    (tmp_path / "token").write_text("t0k3n")
    book = book_of(
        b'{"id": "s0", "url": "https://h.example/", "match": {"topics": ["orders.*"]}}',
        b'{"id": "s1", "url": "nonsense"}',
        b'{"id": "s2", "url": "https://h.example/", "match": {"topics": ["parcels"]},'
        b' "signing": {"secrets": ["env:HOOKLANE_SECRET_NOT_SET", "file:short"]},'
        b' "auth": {"bearer": {"token": "file:token"}}}',
    )
    found = by_subject(subscriptions(book, ["orders.events"]))
    assert {name: one.status for name, one in found.items()} == {
        "s1": Status.WRONG,
        "s2": Status.WARNING,
        "all": Status.OK,
    }
    assert "parcels" in found["s2"].said
    settings, _ = read_settings(None, {"HOOKLANE_SECRETS__DIR": str(tmp_path)})
    said = by_subject(secrets(book, settings))
    assert said.keys() == {"s2 signing.secrets[0]", "s2 signing.secrets[1]"}
    assert "is not set" in said["s2 signing.secrets[0]"].said
    assert "has 3 bytes" in said["s2 signing.secrets[1]"].said
    assert by_subject(secrets(book_of(), settings))["all"].status is Status.OK
    assert by_subject(subscriptions(book_of(), []))["all"].status is Status.WARNING


def asked(url: str) -> Finding:
    settings, _ = read_settings(None, {"HOOKLANE_SCHEMA_REGISTRY__URL": url})
    return registry(settings)


def test_the_registry_is_asked() -> None:
    """It answers, refuses, or is not there; the name and password in its URL are shown nowhere."""
    with WebhookSink(answer=lambda hit: OK if "authorization" in hit.headers else NO) as sink:
        good = asked(sink.url("base/").replace("//", "//user:hush@", 1))
        refused = asked(sink.url("base"))
        by_settings = registry(
            read_settings(
                None,
                {
                    "HOOKLANE_SCHEMA_REGISTRY__URL": sink.url("base"),
                    "HOOKLANE_SCHEMA_REGISTRY__USERNAME": "user",
                    "HOOKLANE_SCHEMA_REGISTRY__PASSWORD": "hush",
                },
            )[0]
        )
    assert by_settings.status is Status.OK
    assert {hit.path for hit in sink.hits} == {"/base/subjects"}
    gone = asked("http://user:hush@127.0.0.1:1")
    found = [good, refused, gone]
    assert [one.status for one in found] == [Status.OK, Status.WRONG, Status.WRONG]
    assert "answers 401" in refused.said
    assert "hush" not in str(found)
    assert registry(read_settings(None, {})[0]).status is Status.OK


def test_a_plugin_that_cannot_be_used_is_found() -> None:
    """It is named with what to do; where there are none nothing is said."""
    assert list(plugins(InstalledPlugins([]))) == []
    good = entry(Group.FILTERS, "sample", plugin(lambda _: True, "matches"))
    (found,) = plugins(InstalledPlugins([good]))
    assert (found.status, found.said) == (Status.OK, "loaded here: 1")
    (found,) = plugins(InstalledPlugins([good, entry(Group.SIGNING, "github", object)]))
    assert (found.status, found.subject) == (Status.WRONG, "signing github")
    assert "has the name of what is built in" in found.said
