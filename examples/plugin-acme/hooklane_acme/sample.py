"""`match: {filters: [{sample: {percent: 10}}]}`: the events of so many keys in a hundred."""

from zlib import crc32

from hooklane.schemas.plugin import Options, PluginEvent


class Sample:
    """By key and not by chance: the same event always gets the same answer, as it must, and a key
    is taken with all of its events or with none."""

    api = 1

    def __init__(self, options: Options) -> None:
        percent = options.get("percent") if isinstance(options, dict) else None
        if not isinstance(percent, int) or not 0 <= percent <= 100:
            raise ValueError("percent must be a whole number from 0 to 100")
        self.percent = percent

    def matches(self, event: PluginEvent) -> bool:
        return crc32(event.key or event.attributes["id"].encode()) % 100 < self.percent
