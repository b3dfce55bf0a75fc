"""`python -m tests.chaos.run --seconds 600 --seed 7`: a storm by hand; see docs/testing.md."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.storm import Storm, Weather
from tests.kafka.cluster import KafkaCluster
from tests.kafka.fetch import KafkaUnavailableError, ensure_jars


def main() -> int:
    """Print what was done and what came of it; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="chaos", description="Everything dies, at random.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--per-second", type=float, default=40.0, help="events")
    told = parser.parse_args()
    weather = Weather(told.seed, told.seconds, told.per_second)
    folder = Path(tempfile.mkdtemp(prefix=f"hooklane-chaos-{told.seed}-"))
    print(f"Seed {told.seed}; the services' logs will be in {folder}.", flush=True)
    try:
        cluster = KafkaCluster(ensure_jars(), folder / "kafka")
    except KafkaUnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    storm = Storm(cluster, weather, folder)
    try:
        cluster.start_all()
        report = storm.run()
    finally:
        cluster.close()
    print(report.text())
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
