"""The simulators as one running thing: the province in real time, its publisher, injected faults,
and a line that says what happens now."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ioc.catalog import load_catalog
from ioc.clock import Clock
from ioc.errors import FileError
from ioc.ingest.broker import Broker
from ioc.inventory.file import read_inventory
from simulators.faults import DeviceAlarm, FaultError
from simulators.messages import Message
from simulators.province import Province
from simulators.publisher import Publisher
from simulators.scenario import Step, demo_incident

PROGRESS_EVERY_S = 10.0
MAX_INJECT_BYTES = 4096
LONGEST_FAULT_S = 7 * 86_400.0
# So long the last messages may wait for their PUBACK when the simulators are told to stop.
_DRAIN_S = 3.0


@dataclass(frozen=True, kw_only=True)
class SimulateOptions:
    """What `ioc simulate` was asked for. ``duration_s`` None: until told to stop.

    ``state_file`` keeps the faults in force and the device alarms that stand, so that a run that is
    started again goes on with them and leaves no alarm standing for ever.
    """

    inventory: Path
    broker: Broker
    interval_s: float = 10.0
    seed: int = 1
    duration_s: float | None = None
    incident: bool = True
    state_file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a person wants to know of the run."""

    sent: int
    acknowledged: int
    waiting: int
    rate: float
    now: str
    broker: str = ""

    def line(self) -> str:
        if self.broker:
            return f"{self.broker}; {self.waiting:,} messages wait"
        waiting = f" · {self.waiting:,} waiting" if self.waiting > 1000 else ""
        return (
            f"{self.sent:,} sent · {self.acknowledged:,} acknowledged · {self.rate:,.0f}/s"
            f"{waiting} · {self.now}"
        )


class InjectRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `ioc simulate inject` sends to ``ioc-sim/v1/{province}/inject``."""

    id: str
    asset: str
    fault: str
    for_s: float


class InjectReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, on ``ioc-sim/v1/{province}/reply/{id}``. ``until_ms`` is set when it is done;
    else ``text`` says in one line why not."""

    id: str
    text: str
    until_ms: int | None = None


class _State(msgspec.Struct, kw_only=True):
    """The state file."""

    faults: list[tuple[str, str, int]] = []
    alarms: list[tuple[str, str, DeviceAlarm]] = []


def inject_topic(province: str) -> str:
    return f"ioc-sim/v1/{province}/inject"


def reply_topic(province: str, request: str) -> str:
    return f"ioc-sim/v1/{province}/reply/{request}"


class Run:
    """One run of the simulators. Not reusable."""

    def __init__(self, options: SimulateOptions, *, clock: Clock) -> None:
        self.options = options
        self._clock = clock
        inventory = read_inventory(options.inventory)
        self._province_id = inventory.province
        self.province = Province(
            inventory,
            catalog=load_catalog(),
            seed=options.seed,
            start_ms=clock.now_ms(),
            interval_s=options.interval_s,
            tick_s=min(0.1, options.interval_s / 10),
            boot=secrets.randbits(40) + 1,
        )
        if not self.province.size:
            raise FileError([f"{options.inventory}: no asset with simulated: true"])
        self.publisher = Publisher(options.broker, clock=clock)
        self._steps: list[Step] = demo_incident(self.province) if options.incident else []
        self._notes = {step.asset: step.note for step in self._steps}
        self._state = b""
        self._began_s = 0.0

    async def run(self) -> None:
        """Send until ``duration_s`` is over, or until cancelled."""
        publishing = asyncio.create_task(
            self.publisher.run(subscribe=inject_topic(self._province_id), answer=self._inject),
            name="publisher",
        )
        try:
            while not self.publisher.connected:
                if publishing.done():
                    publishing.result()
                await self._clock.sleep(0.05)
            await self._send()
        finally:
            self._keep_state()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.publisher.drained(), _DRAIN_S)
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    async def _send(self) -> None:
        province, clock, interval_s = self.province, self._clock, self.options.interval_s
        # What passed while the broker was waited for was not measured.
        province.skip_to(clock.now_ms())
        self._restore_state()
        self._began_s = base_s = clock.monotonic_s()
        ticks = 0
        while self.options.duration_s is None or self._elapsed_s() < self.options.duration_s:
            self._begin_steps()
            messages = province.tick()
            ticks += 1
            if ticks % 10 == 0:
                self._keep_state()
            await self.publisher.put(messages)
            ahead_s = base_s + ticks * province.tick_s - clock.monotonic_s()
            if ahead_s < -interval_s:
                province.skip_to(clock.now_ms())
                base_s, ticks = clock.monotonic_s(), 0
            elif ahead_s > 0:
                await clock.sleep(ahead_s)

    def _elapsed_s(self) -> float:
        return self._clock.monotonic_s() - self._began_s

    def _begin_steps(self) -> None:
        elapsed_s = self._elapsed_s()
        for step in [step for step in self._steps if step.at_s <= elapsed_s]:
            self._steps.remove(step)
            self.province.begin(step.fault, step.asset, for_s=step.for_s)

    async def _inject(self, payload: bytes) -> list[Message]:
        """Answer one request. What is no request at all is not answered."""
        if len(payload) > MAX_INJECT_BYTES:
            return []
        try:
            asked = msgspec.json.decode(payload, type=InjectRequest)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return []
        if not asked.id.isalnum() or len(asked.id) > 64:
            return []
        reply = self._begin(asked)
        return [Message(reply_topic(self._province_id, asked.id), msgspec.json.encode(reply))]

    def _begin(self, asked: InjectRequest) -> InjectReply:
        if not 1.0 <= asked.for_s <= LONGEST_FAULT_S:
            return InjectReply(id=asked.id, text=f"--for {asked.for_s:g} s: expected 1 s to 7 days")
        try:
            begun = self.province.begin(asked.fault, asked.asset, for_s=asked.for_s)
        except FaultError as error:
            return InjectReply(id=asked.id, text=str(error))
        return InjectReply(
            id=asked.id, text=f"{asked.fault} on {asked.asset}", until_ms=begun.until_ms
        )

    def progress(self, *, rate: float) -> Progress:
        publisher = self.publisher
        broker = ""
        if not publisher.connected:
            settings = self.options.broker
            reason = f" ({publisher.last_error})" if publisher.last_error else ""
            broker = f"no answer from the broker at {settings.host}:{settings.port}{reason}"
        return Progress(
            sent=publisher.sent,
            acknowledged=publisher.acknowledged,
            waiting=publisher.backlog,
            rate=rate,
            now=self._now(),
            broker=broker,
        )

    def _now(self) -> str:
        """What happens now, and what is planned."""
        active = self.province.faults.active
        parts = []
        for fault in active[:3]:
            left_s = max(fault.until_ms - self.province.now_ms, 0) // 1000
            note = f" ({self._notes[fault.asset]})" if self._notes.get(fault.asset) else ""
            parts.append(f"{fault.fault} on {fault.asset}{note}, {_short(left_s)} left")
        if len(active) > 3:
            parts.append(f"{len(active) - 3} more faults")
        if not parts:
            parts.append("all well")
        for step in self._steps[:1]:
            in_s = max(step.at_s - self._elapsed_s(), 0)
            parts.append(f"{step.fault} on {step.asset} in {_short(in_s)}")
        return "; ".join(parts)

    def _keep_state(self) -> None:
        """Write the state file when it would be different. Where it cannot be written, a run that
        is started again begins anew; this one goes on."""
        path = self.options.state_file
        if path is None:
            return
        state = _State(
            faults=[(f.fault, f.asset, f.until_ms) for f in self.province.faults.active],
            alarms=[(*key, words) for key, words in self.province.open_alarms.items()],
        )
        content = msgspec.json.encode(state)
        if content != self._state:
            beside = path.with_name(path.name + ".new")
            with contextlib.suppress(OSError):
                beside.write_bytes(content)
                beside.replace(path)
            self._state = content

    def _restore_state(self) -> None:
        """Go on with what an earlier run left. A file that cannot be read is as good as none."""
        path = self.options.state_file
        if path is None or not path.exists():
            return
        try:
            state = msgspec.json.decode(path.read_bytes(), type=_State)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return
        province = self.province
        for asset, alarm_id, words in state.alarms:
            province.open_alarms[asset, alarm_id] = words
        for fault, asset, until_ms in state.faults:
            left_s = (until_ms - province.now_ms) / 1000.0
            if left_s >= 1.0:
                with contextlib.suppress(FaultError):  # the asset may be gone
                    province.begin(fault, asset, for_s=left_s)
        standing = dict(province.open_alarms)
        province.open_alarms.clear()
        for (asset, alarm_id), words in standing.items():
            province.adopt_alarm(asset, alarm_id, words)


def _short(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


async def simulate(
    options: SimulateOptions, *, clock: Clock, say: Callable[[str], None], live: bool
) -> None:
    """Run the simulators until ``duration_s`` is over or SIGINT or SIGTERM comes.

    ``say`` gets a line each ten seconds, or each second the newest one when ``live``.
    """
    run = Run(options, clock=clock)
    task = asyncio.create_task(run.run(), name="simulators")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    say(f"{run.province.size:,} assets, one reading each every {options.interval_s:g} s")
    telling = asyncio.create_task(_tell(run, say, 1.0 if live else PROGRESS_EVERY_S))
    try:
        await task
    except asyncio.CancelledError:
        if not task.done():
            raise
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    say(
        f"{run.publisher.sent:,} sent, {run.publisher.acknowledged:,} acknowledged, "
        f"{run.publisher.backlog:,} given up"
    )


async def _tell(run: Run, say: Callable[[str], None], every_s: float) -> None:
    """Progress is for people: it runs on the machine's own time."""
    before, at_s = 0, time.monotonic()
    announced = ""
    while True:
        await asyncio.sleep(min(every_s, 1.0))
        acknowledged, now_s = run.publisher.acknowledged, time.monotonic()
        faults = ",".join(fault.asset for fault in run.province.faults.active)
        # A line at once when something begins or ends, else at its time.
        if now_s - at_s >= every_s - 0.05 or faults != announced:
            rate = (acknowledged - before) / max(now_s - at_s, 0.001)
            say(run.progress(rate=rate).line())
            before, at_s, announced = acknowledged, now_s, faults
