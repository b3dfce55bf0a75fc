"""A receiver, as the integration tests have it."""

from tests.integration.conftest import sink

__all__ = ["sink"]
