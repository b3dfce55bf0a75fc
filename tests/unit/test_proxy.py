"""The proxy of the settings, read."""

import pytest

from hooklane.delivery.engine.proxy import read_proxy
from hooklane.runtime.errors import SettingsError
from tests.support.engines import Vault


def test_credentials_are_read_and_kept_out_of_logs() -> None:
    """Name and password are percent-decoded; neither the password nor its encoded form is ever
    logged, and the proxy does not show them."""
    vault = Vault()
    proxy = read_proxy("http://me%40x:hush%2Dtwo@proxy.example:3128/", vault, judges=False)
    assert proxy.authorization == "Basic bWVAeDpodXNoLXR3bw=="
    assert proxy.target.origin == ("http", "proxy.example", 3128)
    assert vault.kept_out == [b"hush-two", b"bWVAeDpodXNoLXR3bw=="]
    assert "hush" not in repr(proxy)
    assert "bWVA" not in repr(proxy)


def test_without_credentials() -> None:
    """A proxy that asks for none gets none."""
    proxy = read_proxy("https://[2001:db8::1]:8443", Vault(), judges=True)
    assert (proxy.headers(), proxy.tls, proxy.judges) == ((), True, True)
    assert proxy.target.literal is not None


@pytest.mark.parametrize("url", ["http://p:3128/path", "http://p:3128?x=y", "http://me:hush@p p:1"])
def test_what_is_no_proxy(url: str) -> None:
    """The setting is named, and nothing of the URL is shown."""
    with pytest.raises(SettingsError, match="HOOKLANE_DELIVERY__PROXY") as refused:
        read_proxy(url, Vault(), judges=False)
    assert "hush" not in str(refused.value)
