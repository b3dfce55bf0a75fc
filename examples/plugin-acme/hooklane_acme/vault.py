"""`vault:PATH#FIELD`: a field of a secret in HashiCorp Vault's key-value store, version 2.

HOOKLANE_SECRETS__STORES={"vault": {"address": "https://vault.example.com", "mount": "secret",
                                    "token_file": "/run/secrets/vault-token"}}
"""

from pathlib import Path

import httpx

from hooklane.schemas.plugin import Fetched, Options, PluginFailure

TIMEOUT_S = 5.0
"""Less than the time that Hooklane gives a call, so that what was wrong can be said."""


class Vault:
    """The token is read anew for each secret: an agent may renew it."""

    api = 1

    def __init__(self, options: Options) -> None:
        address, token_file = str(options.get("address", "")), options.get("token_file")
        if not address or not token_file:
            raise ValueError("HOOKLANE_SECRETS__STORES needs address and token_file for vault")
        self.token_file = Path(token_file)
        self.root = f"{address.rstrip('/')}/v1/{options.get('mount', 'secret')}/data/"
        self.ttl_s = float(options.get("ttl_s", 300))
        self.client = httpx.Client(timeout=TIMEOUT_S, trust_env=False)

    def fetch(self, path: str) -> Fetched:
        place, _, field = path.partition("#")
        try:
            token = self.token_file.read_text().strip()
            answer = self.client.get(self.root + place, headers={"X-Vault-Token": token})
        except OSError as error:
            raise PluginFailure(f"the token cannot be read: {error.strerror}") from error
        except httpx.HTTPError as error:
            raise PluginFailure(f"the vault cannot be reached: {type(error).__name__}") from error
        if answer.status_code != 200:
            raise PluginFailure(f"the vault answered {answer.status_code}")
        values = answer.json()["data"]["data"]
        if field not in values:
            raise PluginFailure(f"there is no field {field} at {place}")
        return Fetched(str(values[field]).encode(), self.ttl_s)
