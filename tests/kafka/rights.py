"""Users of a cluster: their passwords, and what they may do."""

from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.kafka.broker import Kafka
from tests.kafka.records import admin_of

_ANSWER_S = 30.0


def set_password(kafka: Kafka, user: str, password: str) -> None:
    credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    change = UserScramCredentialUpsertion(user, credential, password.encode())
    admin = admin_of(kafka)
    for done in admin.alter_user_scram_credentials([change]).values():
        done.result(_ANSWER_S)


def binding(
    kind: ResourceType,
    name: str,
    user: str,
    operation: AclOperation,
    permission: AclPermissionType = AclPermissionType.ALLOW,
    pattern: ResourcePatternType = ResourcePatternType.PREFIXED,
) -> AclBinding:
    return AclBinding(kind, name, pattern, f"User:{user}", "*", operation, permission)


def grant(kafka: Kafka, bindings: list[AclBinding]) -> None:
    admin = admin_of(kafka)
    for done in admin.create_acls(bindings).values():
        done.result(_ANSWER_S)


def withdraw(kafka: Kafka, one: AclBinding) -> None:
    exactly = AclBindingFilter(
        one.restype,
        one.name,
        one.resource_pattern_type,
        one.principal,
        one.host,
        one.operation,
        one.permission_type,
    )
    admin = admin_of(kafka)
    [done] = admin.delete_acls([exactly]).values()
    assert done.result(_ANSWER_S)
