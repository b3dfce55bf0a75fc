"""What the outbox's modules take from the settings."""

from hooklane.producer.outbox.layout import After, Layout, OnBadRow, Part
from hooklane.producer.outbox.ports import Pace
from hooklane.runtime.settings_outbox import OutboxSettings


def layout_from(outbox: OutboxSettings) -> Layout:
    """The table and its rules."""
    return Layout(
        table=outbox.table,
        names={Part(part): name for part, name in outbox.columns.items()},
        topic=outbox.topic,
        source=outbox.source,
        content_type=outbox.content_type,
        after=After(outbox.after),
        on_bad_row=OnBadRow(outbox.on_bad_row),
        buckets=outbox.buckets,
        channel=outbox.channel,
    )


def pace_from(outbox: OutboxSettings) -> Pace:
    """How much, and how often."""
    return Pace(outbox.rows, outbox.look_every.seconds, outbox.again_after.seconds)
