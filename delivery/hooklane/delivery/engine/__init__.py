"""What carries requests: `native` (asyncio protocols) and `httpx` (any httpx transport)."""
