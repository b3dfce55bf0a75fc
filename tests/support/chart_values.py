"""Values that together use every part of the chart, and the Secrets that they name."""

from collections.abc import Mapping
from typing import Any, Final

from tests.support.helm import LEAST, Values, over

DIGEST: Final = "sha256:" + "ab" * 32
KEY: Final = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

SECRETS: Final[Mapping[str, Mapping[str, str]]] = {
    "kafka-user": {"user": "hooklane", "pass": 'a "quoted" \\ word, $(NOT) expanded'},
    "retrier-user": {"username": "retrier", "password": "other"},
    "oauth-client": {"username": "client-id", "password": "client-secret"},
    "strimzi-user": {"password": "theirs", "sasl.jaas.config": "no property of librdkafka"},
    "kafka-ca": {"ca.crt": "PEM"},
    "kafka-cert": {"tls.crt": "PEM", "tls.key": "PEM", "passphrase": "open"},
    "enc": {"keys": KEY},
    "receivers-ca": {"ca.crt": "PEM"},
    "subscribers": {"billing": "whsec_x", "shipping": "whsec_y"},
    "proxy": {"url": "http://user:p%40ss@proxy:3128"},
    "test-signing": {"secret": "whsec_" + KEY},
    "console-token": {"token": "a-token-of-the-console"},
}

_SASL: Values = {
    "kafka": {
        "sasl": {
            "mechanism": "SCRAM-SHA-512",
            "existingSecret": "kafka-user",
            "usernameKey": "user",
            "passwordKey": "pass",
        },
        "tls": {"enabled": True, "ca": {"existingSecret": "kafka-ca"}},
    }
}
_MTLS: Values = {
    "kafka": {
        "tls": {
            "enabled": True,
            "ca": {"existingSecret": "kafka-ca"},
            "certificate": {"existingSecret": "kafka-cert", "passphraseKey": "passphrase"},
        }
    }
}
_OAUTH: Values = {
    "kafka": {
        "sasl": {
            "mechanism": "OAUTHBEARER",
            "existingSecret": "oauth-client",
            "oauthbearer": {"tokenEndpoint": "https://login.example.com/token", "scope": "kafka"},
        }
    }
}
_SECRETS: Values = {
    "secrets": {
        "env": [
            {"name": "HOOKLANE_SECRET_B", "existingSecret": "subscribers", "key": "billing"},
            {"name": "HOOKLANE_DELIVERY__PROXY", "existingSecret": "proxy", "key": "url"},
        ],
        "files": [{"name": "shipping", "existingSecret": "subscribers", "key": "shipping"}],
        "encryptionKeys": {"existingSecret": "enc"},
    },
    "receivers": {"ca": {"existingSecret": "receivers-ca"}},
}
_SCHEDULED: Values = {
    "priorityClassName": "high",
    "runtimeClassName": "gvisor",
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}},
    "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["kafka"]}],
    "labels": {"team": "events"},
    "annotations": {"example.com/a": "b"},
    "extraEnv": [{"name": "TZ", "value": "UTC"}],
    "extraEnvFrom": [{"secretRef": {"name": "more"}}],
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    # As OpenShift numbers them: too large for a float that is written with an exponent.
    "securityContext": {"runAsUser": 1000680000, "fsGroup": 1000680000},
}
_DOCUMENT: Values = {
    "id": "billing",
    "url": "https://hooks.example.com/invoices",
    "match": {"types": ["invoice.*"], "filters": [{"cel": "data.amount > 100"}]},
    "signing": {"secrets": ["env:HOOKLANE_SECRET_B", "file:shipping"]},
}

MATRIX: Final[Mapping[str, Mapping[str, Any]]] = {
    "least": LEAST,
    "scram": over(
        over(LEAST, _SASL),
        {
            "retrier": {
                "kafka": {
                    "sasl": {
                        "existingSecret": "retrier-user",
                        "usernameKey": "username",
                        "passwordKey": "password",
                    }
                }
            }
        },
    ),
    "strimzi": over(
        LEAST,
        {
            "kafka": {
                "sasl": {
                    "mechanism": "SCRAM-SHA-512",
                    "username": "hooklane",
                    "existingSecret": "strimzi-user",
                }
            }
        },
    ),
    "mtls": over(LEAST, _MTLS),
    "oauth": over(LEAST, _OAUTH),
    "secrets": over(LEAST, _SECRETS),
    "keda": over(
        over(LEAST, _SASL),
        {
            "fanout": {"autoscaling": {"enabled": True}},
            "retrier": {
                "autoscaling": {"enabled": True, "keda": {"prometheus": "http://prom:9090"}}
            },
        },
    ),
    "keda-mtls": over(
        over(LEAST, _MTLS),
        {
            "fanout": {"autoscaling": {"enabled": True, "keda": {"topics": ["a.b", "c.d"]}}},
        },
    ),
    "hpa": over(
        LEAST,
        {
            name: {"autoscaling": {"enabled": True, "kind": "hpa", "minReplicas": 1}}
            for name in ("fanout", "retrier")
        },
    ),
    "monitored": over(
        LEAST,
        {
            "serviceMonitor": {"enabled": True, "interval": "15s", "labels": {"release": "prom"}},
            "podMonitor": {
                "enabled": True,
                "scrapeTimeout": "10s",
                "relabelings": [{"action": "labeldrop", "regex": "pod_ip"}],
            },
            "prometheusRule": {"enabled": True, "labels": {"release": "prom"}},
            "dashboard": {"enabled": True, "annotations": {"folder": "Hooklane"}},
        },
    ),
    "scheduled": over(
        LEAST,
        {
            "pod": _SCHEDULED,
            "commonLabels": {"cost-center": "42"},
            "image": {
                "registry": "registry.example.com",
                "digest": DIGEST,
                "pullSecrets": ["pull"],
            },
            "global": {"imagePullSecrets": [{"name": "parent"}]},
            "fanout": {
                "topologySpreadConstraints": [],
                "extraContainers": [
                    {
                        "name": "side",
                        "image": "side:1",
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
        },
    ),
    "subscriptions": over(
        over(LEAST, _SECRETS),
        {
            "subscriptions": {"documents": [_DOCUMENT, {**_DOCUMENT, "id": "b"}], "prune": True},
        },
    ),
    "subscriptions-elsewhere": over(LEAST, {"subscriptions": {"existingConfigMap": "documents"}}),
    "console": over(
        over(LEAST, _SASL),
        {"console": {"enabled": True, "token": {"existingSecret": "console-token"}}},
    ),
    "console-behind-a-proxy": over(
        LEAST,
        {
            "console": {
                "enabled": True,
                "settings": {
                    "console": {"user_header": "x-forwarded-user", "read_only": True, "port": 9000}
                },
                "service": {"type": "NodePort", "port": 8080, "targetPort": 4180},
                "ingress": {
                    "enabled": True,
                    "className": "nginx",
                    "host": "hooklane.example.com",
                    "tlsSecret": "hooklane-tls",
                    "annotations": {"example.com/auth": "on"},
                },
                "extraContainers": [
                    {
                        "name": "proxy",
                        "image": "proxy:1",
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
            "retrier": {
                "replicas": 1,
                "autoscaling": {"enabled": True, "kind": "hpa", "minReplicas": 3},
            },
            "networkPolicy": {"consoleFrom": [{"namespaceSelector": {}}]},
        },
    ),
    "test-event": over(
        LEAST,
        {
            "settings": {"delivery": {"allow_http": True, "allow_networks": ["10.0.0.0/8"]}},
            "test": {"topic": "orders.events", "signing": {"existingSecret": "test-signing"}},
        },
    ),
    "settings": over(
        LEAST,
        {
            "settings": {
                "kafka": {"properties": {"message.max.bytes": 2000000, "client.rack": "a"}},
                "topics": {"prefix": "acme", "partitions": 1000000 // 100, "replication_factor": 3},
                "fanout": {
                    "window_span": 1000000,
                    "window_bytes": 134217728,
                    "spill_after": "500ms",
                },
                "retrier": {"max_in_flight": 64},
                "tenants": {
                    "topics": {"acme": ["orders.*"], "*": []},
                    "quotas": {"acme": {"max_in_flight": 64, "rate_limit": "100/s"}},
                    "required": True,
                },
                "retry": {"tiers": ["5s", "1m"]},
                "delivery": {"deny_ports": [0, 22], "rate_share": 0.25, "allow_http": False},
                "log": {"level": "debug", "format": None},
            },
            "retrier": {"settings": {"delivery": {"rate_share": 1}, "log": {"level": "info"}}},
        },
    ),
    "small": over(
        LEAST,
        {
            "serviceAccount": {"create": False, "name": "own"},
            "topicsJob": {"enabled": False},
            "test": {"enabled": False},
            "networkPolicy": {"enabled": False},
            "retrier": {
                "replicas": 1,
                "spool": {"persistence": False},
                "podDisruptionBudget": {"enabled": False},
            },
        },
    ),
    "narrow-network": over(
        LEAST,
        {
            "networkPolicy": {
                "dns": {"ports": [53], "to": [{"ipBlock": {"cidr": "10.96.0.10/32"}}]},
                "kafka": {"ports": [9093], "to": [{"namespaceSelector": {}}]},
                "deliveries": {"ports": [443], "exceptV6": None},
                "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
                "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}],
                "extraIngress": [{"from": [{"podSelector": {}}]}],
            },
        },
    ),
}
"""Values by what they are for."""
