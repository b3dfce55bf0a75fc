"""The disk under the retrier's spool: full, and so slow that it stands still."""

import time
from pathlib import Path

import pytest

from tests.chaos.stage import stage
from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing
from tests.support.disks import enlarge, freeze, freezing_disk, small_disk


@pytest.mark.timeout(200)
def test_a_full_disk_ends_the_retrier_and_loses_nothing(
    kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    """It ends with the setting to change; with room it goes on where Kafka says."""
    with (
        small_disk(tmp_path / "disk", "6m") as disk,
        stage(kafka, prefix) as flowing,
        flowing.site.fanout() as fanout,
        flowing.site.retrier(RETRIER__SPOOL_DIR=str(disk)) as retrier,
    ):
        fanout.wait_ready()
        retrier.wait_ready()
        flowing.settle()
        flowing.site.publish(
            Outgoing(b"large", b'{"n":-1,"x":"%b"}' % (b"x" * 900_000)) for _ in range(10)
        )
        assert retrier.wait_ended() == 1
        assert "HOOKLANE_RETRIER__SPOOL_DIR" in retrier.log().splitlines()[-1]
        enlarge(disk, "200m")
        retrier.start()
        flowing.finish()
        assert (fanout.terminate(), retrier.terminate()) == (0, 0)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_disk_that_stands_still_only_delays(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    """Writes wait for longer than the session timeout, again and again: all arrives, in order."""
    session = {"KAFKA__SESSION_TIMEOUT": "2s"}
    with (
        freezing_disk(tmp_path / "disk") as disk,
        stage(kafka, prefix) as flowing,
        flowing.site.fanout() as fanout,
        flowing.site.retrier(RETRIER__SPOOL_DIR=str(disk / "spool"), **session) as retrier,
    ):
        fanout.wait_ready()
        retrier.wait_ready()
        flowing.settle()
        for _ in range(3):
            freeze(disk, 2.5)
            time.sleep(0.2)
        flowing.settle()
        assert retrier.exit_code is None
        flowing.finish()
        assert (fanout.terminate(), retrier.terminate()) == (0, 0)
