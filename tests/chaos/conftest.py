"""The same fixtures as for the integration tests."""

from tests.integration.conftest import sink, site

__all__ = ["sink", "site"]
