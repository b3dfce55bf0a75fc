"""A storm: events flow while everything dies, comes back, stands still and loses its way."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

from tests.chaos.flow import Flow
from tests.chaos.keeper import Keeper, Kept
from tests.chaos.plan import Deed, Step, brokers_plan, services_plan
from tests.chaos.receivers import (
    TIERS,
    UNORDERED,
    Moods,
    refused_for_good,
    subscribe_all,
    wanted,
)
from tests.chaos.stage import until
from tests.kafka.cluster import BROKERS, KafkaCluster
from tests.support.links import Links, Way
from tests.support.order import Verdict, judge_arrivals
from tests.support.processes import ServiceProcess
from tests.support.site import Site, make_site
from tests.support.webhook_sink import WebhookSink

_KEYS = 40
_LAST_WORDS = 6000
_LEAST_STEPS = 5
"""Of each hand."""


@dataclass(frozen=True, slots=True)
class Weather:
    """`per_s`: events a second. `session_s`: the services' session timeout."""

    seed: int
    seconds: float
    per_s: float = 40.0
    session_s: float = 5.0


@dataclass
class Report:
    """What was done, and what came of it."""

    weather: Weather
    events: int
    verdict: Verdict
    letters_lost: set[int]
    letters_unwanted: set[str]
    attempts: int
    settled_after_s: float
    deeds: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def holds(self) -> bool:
        return (
            self.verdict.in_order_and_complete
            and not self.letters_lost
            and not self.letters_unwanted
        )

    def text(self) -> str:
        verdict = self.verdict
        return "\n".join(
            [
                f"seed {self.weather.seed}, {self.weather.seconds:.0f} s of storm",
                f"settled {self.settled_after_s:.1f} s later",
                f"events {self.events}, attempts {self.attempts}",
                f"lost {len(verdict.missing) + len(self.letters_lost)}",
                f"inversions {len(verdict.inversions)}",
                f"repeats {verdict.repeats}",
                *(f"  inversion: {one}" for one in verdict.inversions[:20]),
                *(f"  missing: {one}" for one in sorted(verdict.missing)[:20]),
                *(f"  not in the dead letters: {one}" for one in sorted(self.letters_lost)[:20]),
                *(f"  wrongly in the dead letters: {one}" for one in self.letters_unwanted),
                *_counted("done", self.deeds),
                *_counted("answered", self.answers),
                *_counted("ended", self.endings),
            ]
        )


def _counted(title: str, counter: Counter[str]) -> Iterator[str]:
    for what, times in sorted(counter.items()):
        yield f"{title}: {what}: {times}"


class Storm:
    """One, from its topics to its verdict."""

    def __init__(self, cluster: KafkaCluster, weather: Weather, folder: Path) -> None:
        self._cluster = cluster
        self._weather = weather
        self._folder = folder
        self._deeds: Counter[str] = Counter()
        self._endings: Counter[str] = Counter()
        self._stopping = threading.Event()
        self.told: list[str] = []
        """What was done, with the second at which it began."""

    def run(self) -> Report:
        """Raises AssertionError where it does not settle, after printing what was done."""
        moods = Moods(self._weather.seed)
        with Links(self._cluster.links) as links, WebhookSink(moods, keeps=False) as sink:
            site = make_site(self._cluster.proxied, f"storm-{uuid4().hex[:6]}", tiers=TIERS)
            subscribe_all(site, sink)
            with (
                self._keeper(site) as keeper,
                Flow(self._cluster.kafka, site.events, _KEYS, self._weather.per_s) as flow,
            ):
                try:
                    self._rage(site, keeper, links)
                    report = self._calm(site, keeper, moods, flow.stop())
                except BaseException:
                    print("\n".join(self.told))
                    print(_last_words(keeper))
                    raise
                finally:
                    self._keep_logs(keeper, moods)
        if not report.holds:
            print("\n".join(self.told))
        return report

    def _keeper(self, site: Site) -> Keeper:
        told = {"KAFKA__SESSION_TIMEOUT": f"{round(self._weather.session_s * 1000)}ms"}
        made: dict[str, list[Kept]] = {"fanout": [], "retrier": []}
        for name in ("one", "two"):
            made["fanout"].append(
                Kept(ServiceProcess("fanout", site.environment(**told), name), None, self._endings)
            )
            spool = self._folder / f"spool-{name}"
            environment = site.environment(**told, RETRIER__SPOOL_DIR=str(spool))
            made["retrier"].append(
                Kept(ServiceProcess("retrier", environment, name), spool, self._endings)
            )
        return Keeper(made)

    def _rage(self, site: Site, keeper: Keeper, links: Links) -> None:
        """Two hands at once: one for the services, one for brokers and links."""
        self._began = time.monotonic()
        seed = self._weather.seed
        with ThreadPoolExecutor(2) as hands:
            services = services_plan(seed, self._weather.session_s)
            to_services = partial(self._to_service, keeper)
            to_brokers = partial(self._to_broker, site, links)
            done = [
                hands.submit(self._play, services, to_services),
                hands.submit(self._play, brokers_plan(seed), to_brokers),
            ]
            for one in done:
                one.result()

    def _play(self, plan: Iterator[Step], do: Callable[[Step], None]) -> None:
        until = self._began + self._weather.seconds
        for done, step in enumerate(plan):
            # On a slow machine each takes longer, and it is to be a storm there too.
            over = done >= _LEAST_STEPS and time.monotonic() >= until
            if self._stopping.wait(step.wait_s) or over:
                return
            at = time.monotonic() - self._began
            self.told.append(
                f"{at:6.1f} s: {step.deed} ({step.service}, {step.target}, {step.lasts_s:.1f} s)"
            )
            self._deeds[step.deed] += 1
            try:
                do(step)
            except BaseException:
                self._stopping.set()
                raise

    def _to_service(self, keeper: Keeper, step: Step) -> None:
        kept = keeper.by_kind[step.service][step.target]
        match step.deed:
            case Deed.KILL | Deed.KILL_LONG:
                kept.kill()
                time.sleep(step.lasts_s)
                kept.start()
            case Deed.LOSE_SPOOL:
                kept.kill()
                kept.lose_spool()
                kept.start()
            case Deed.SPOIL_SPOOL:
                kept.kill()
                kept.spoil_spool()
                kept.start()
            case Deed.TERMINATE:
                kept.terminate()
                time.sleep(step.lasts_s)
                kept.start()
            case Deed.FREEZE:
                kept.freeze(step.lasts_s)
            case Deed.KILL_PAIR:
                for one in keeper.by_kind[step.service]:
                    one.kill()
                time.sleep(step.lasts_s)
                for one in keeper.by_kind[step.service]:
                    one.start()
            case _:
                raise AssertionError(step.deed)
        if step.waits:
            kept.wait_ready()

    def _to_broker(self, site: Site, links: Links, step: Step) -> None:
        cluster, node = self._cluster, step.target
        match step.deed:
            case Deed.KILL_COORDINATOR | Deed.KILL_BROKER:
                if step.deed is Deed.KILL_COORDINATOR:
                    # Where none can be told at present, any broker will do.
                    with suppress(TimeoutError):
                        node = cluster.group_coordinator(f"{site.prefix}-{step.service}")
                cluster.kill(node)
                time.sleep(step.lasts_s)
                cluster.start(node)
            case Deed.STOP_BROKER:
                cluster.stop(node)
                time.sleep(step.lasts_s)
                cluster.start(node)
            case Deed.FREEZE_BROKER:
                cluster.freeze(node)
                time.sleep(step.lasts_s)
                cluster.thaw(node)
            case Deed.MOVE_LEADERS:
                cluster.prefer()
            case Deed.HOLD_UP | Deed.HOLD_DOWN:
                links.hold([node], [Way.UP if step.deed is Deed.HOLD_UP else Way.DOWN])
                time.sleep(step.lasts_s)
                links.heal()
            case Deed.HOLD_ALL:
                links.hold(BROKERS)
                time.sleep(step.lasts_s)
                links.heal()
            case Deed.SLOW:
                links.slow(BROKERS, 0.1, 256 * 1024)
                time.sleep(step.lasts_s)
                links.heal()
            case _:
                raise AssertionError(step.deed)

    def _calm(self, site: Site, keeper: Keeper, moods: Moods, events: int) -> Report:
        """Everything is well again: all has to arrive, and the services to end."""
        began = time.monotonic()
        self._cluster.heal()
        moods.well = True
        fanouts, retriers = keeper.by_kind["fanout"], keeper.by_kind["retrier"]
        until(lambda: moods.have_all(events), lambda: f"lacking {moods.lacking(events)}")
        until(
            lambda: (
                not site.tasks()
                and sum(one.process.metric("hooklane_lanes_blocked") for one in fanouts) == 0
            ),
            lambda: f"in the backlog: {len(site.tasks())}",
        )
        settled_s = time.monotonic() - began
        for kept in (*fanouts, *retriers):
            kept.terminate()
        return self._report(site, moods, events, settled_s)

    def _report(self, site: Site, moods: Moods, events: int, settled_s: float) -> Report:
        letters = [
            (letter.subscription, -1 if letter.event is None else _number(letter.event.data))
            for letter in site.dead_letters()
        ]
        wrong = {f"{name} {n}" for name, n in letters if name != "strict"}
        lettered = {n for name, n in letters if name == "strict"}
        refused = refused_for_good(events)
        return Report(
            weather=self._weather,
            events=events,
            verdict=judge_arrivals(moods.arrivals, wanted(events), UNORDERED),
            letters_lost=refused - lettered,
            letters_unwanted=wrong | {f"strict {n}" for n in lettered - refused},
            attempts=len(moods.arrivals),
            settled_after_s=settled_s,
            deeds=self._deeds,
            endings=self._endings,
            answers=moods.answers,
        )

    def _keep_logs(self, keeper: Keeper, moods: Moods) -> None:
        (self._folder / "deeds.log").write_text("\n".join(self.told))
        arrived = [json.dumps(one._asdict()) for one in moods.arrivals]
        (self._folder / "arrivals.log").write_text("\n".join(arrived))
        for kept in keeper.all:
            name = f"{kept.process.command}-{kept.process.name}.log"
            (self._folder / name).write_text(kept.process.log())


def _last_words(keeper: Keeper) -> str:
    """What each service still wrote, for whoever has only the test's output."""
    return "\n".join(
        f"--- {kept.process.command} {kept.process.name}, exit {kept.process.exit_code}\n"
        f"{kept.process.log()[-_LAST_WORDS:]}"
        for kept in keeper.all
    )


def _number(body: bytes) -> int:
    return int(json.loads(body)["n"])
