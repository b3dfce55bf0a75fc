"""What the Kafka and topic modules take from the settings."""

from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.plugins import installed_plugins
from hooklane.runtime.settings import Settings
from hooklane.runtime.topic_plan import TopicPlan
from hooklane.schemas.subscription_values import ServicePolicy
from hooklane.schemas.tenants import Quota, TenantRules


def access_from(settings: Settings) -> KafkaAccess:
    """How Kafka is reached, and as whom."""
    kafka = settings.kafka
    return KafkaAccess(
        kafka.bootstrap_servers,
        kafka.properties,
        kafka.instance_id,
        kafka.session_timeout.seconds,
    )


def plan_from(settings: Settings) -> TopicPlan:
    """How the topics must be made."""
    return TopicPlan(
        settings.topic_names,
        settings.topics.partitions,
        settings.topics.replication_factor,
        settings.retry.tiers,
        settings.fanout.topics,
    )


def tenants_from(settings: Settings) -> TenantRules:
    """What tenants may see here, and how much they get."""
    given = settings.tenants
    quotas = {
        tenant: Quota(one.subscriptions, one.max_in_flight, one.rate_limit)
        for tenant, one in given.quotas.items()
    }
    return TenantRules(given.topics, quotas, given.required)


def policy_from(settings: Settings) -> ServicePolicy:
    """What subscriptions are allowed here."""
    return ServicePolicy(
        tiers=settings.retry.tiers,
        allow_http=settings.delivery.allow_http,
        allow_plaintext_secrets=settings.secrets.allow_plaintext,
        plugins=installed_plugins(),
    )
