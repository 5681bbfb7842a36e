"""Recorded runs: the same bytes whatever the speed, the process and its hash seed; and replays."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import aiomqtt
import pytest

from ioc.clock import SystemClock
from ioc.errors import FileError
from ioc.ingest.broker import Broker
from simulators.messages import Message
from simulators.record import Header, Record, Recorder
from simulators.replay import Replay, ReplayOptions
from simulators.stamp import Stamp
from tests.servers import Nats
from tests.simulators.lab import until

needs_nats = pytest.mark.skipif(bool(Nats.missing()), reason=Nats.missing() or "nats-server")
# A storm of ten minutes over a fiftieth of the province, with everything that can go wrong on the
# way of its messages.
STORM = """\
title: { vi: a, en: a }
text: { vi: a, en: a }
start: 2026-09-15T09:00:00+07:00
lasts: 10m
crews: { us: { count: 1, takes: [1m, 2m] } }
steps:
  - { fault: span-cut, where: { kinds: [span], share: 0.1 }, at: [10s, 5m], repair: us }
  - { fault: bad-payload, where: { kinds: [bts], count: 2 }, at: 20s, for: 5m }
  - { fault: sensor-stuck, where: { kinds: [bts], count: 2 }, at: 20s, for: 5m }
  - { fault: clock-skew, where: { kinds: [span], count: 2 }, at: 20s, for: 5m, skew: -1h }
misbehaviour: { duplicates: 0.02, out_of_order: 0.02, gaps: 0.02, malformed: 0.01, late_bursts: 1 }
"""
HEADER = Header(province="p", scenario="s", seed=1, start_ms=1000, interval_s=10, assets=1)


def simulate(folder: Path, *words: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ioc.cli", "simulate", *words],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def record(folder: Path, name: str, *words: str, hash_seed: str = "0") -> bytes:
    (folder / "storm.yaml").write_text(STORM, encoding="utf-8")
    done = simulate(
        folder,
        *("--province", "khanh-hoa", "--scale", "0.02", "--scenario", "storm.yaml"),
        *("--interval", "30", "--record", name, *words),
        hash_seed=hash_seed,
    )
    assert done.returncode == 0, done.stderr
    return (folder / name).read_bytes()


def test_the_same_seed_gives_the_same_bytes_whatever_the_speed(tmp_path: Path) -> None:
    alone = ("--no-publish", "--truth", "t.json")
    first = record(tmp_path, "a.jsonl", *alone, "--speed", "max", hash_seed="1")
    truth = (tmp_path / "t.json").read_bytes()
    assert first.count(b"\n") > 3000
    assert record(tmp_path, "b.jsonl", *alone, "--speed", "150", hash_seed="77") == first
    assert (tmp_path / "t.json").read_bytes() == truth
    assert record(tmp_path, "c.jsonl", *alone, "--speed", "max", "--seed", "2") != first


@needs_nats
def test_publishing_changes_nothing_in_what_is_recorded(tmp_path: Path) -> None:
    alone = record(tmp_path, "a.jsonl", "--no-publish", "--speed", "max", "--duration", "2m")
    with Nats(tmp_path / "nats") as nats:
        broker = ("--broker", f"127.0.0.1:{nats.port}")
        sent = record(tmp_path, "b.jsonl", *broker, "--speed", "40", "--duration", "2m")
    assert sent == alone


def test_misbehaviour_is_as_large_as_it_was_asked_for(tmp_path: Path) -> None:
    record(tmp_path, "a.jsonl", "--no-publish", "--speed", "max", "--duration", "8m")
    seen: dict[str, list[int]] = {}
    malformed = late = twice = total = 0
    for one in Record(tmp_path / "a.jsonl").messages():
        total += 1
        if not one.message.valid:
            malformed += 1
            continue
        content = json.loads(one.message.payload)
        if "seq" in content:
            key = f"{one.message.topic} {content['boot']}"
            seqs = seen.setdefault(key, [])
            if content["seq"] in seqs:
                twice += 1
            elif seqs and content["seq"] < max(seqs):
                late += 1
            seqs.append(content["seq"])
    missing = sum(max(seqs) + 1 - len(set(seqs)) for seqs in seen.values())
    assert 0.01 < twice / total < 0.03
    assert 0.01 < late / total < 0.03
    assert 0.005 < malformed / total < 0.03
    # A gap, what is broken or of bad firmware, and what is late beyond the last one of its asset.
    assert 0.02 < missing / total < 0.07


def test_what_is_cut_off_sends_its_readings_later(tmp_path: Path) -> None:
    """In order, in one burst, each with the time it was read at."""
    (tmp_path / "cut.yaml").write_text(
        """\
title: { vi: a, en: a }
text: { vi: a, en: a }
start: 2026-09-15T09:00:00+07:00
lasts: 20m
steps: [{ fault: span-cut, where: { role: bridge, stations: 10 }, at: 2m, for: 10m }]
""",
        encoding="utf-8",
    )
    lengths = {}
    for share in ("0", "1"):
        done = simulate(
            tmp_path,
            *("--province", "khanh-hoa", "--scale", "0.02", "--scenario", "cut.yaml"),
            *("--interval", "30", "--record", "r.jsonl", "--no-publish", "--speed", "max"),
            *("--late-bursts", share),
        )
        assert done.returncode == 0, done.stderr
        late: dict[str, list[int]] = {}
        for one in Record(tmp_path / "r.jsonl").messages():
            content = json.loads(one.message.payload)
            if one.at - content["ts"] > 30_000:
                late.setdefault(one.message.topic, []).append(content["seq"])
        lengths[share] = {topic: len(seqs) for topic, seqs in late.items()}
        assert all(seqs == sorted(set(seqs)) for seqs in late.values())
    assert lengths["0"] == {}
    assert len(lengths["1"]) >= 10
    assert all(15 <= count <= 20 for count in lengths["1"].values()), lengths


def test_a_recorded_file_reads_back(tmp_path: Path) -> None:
    messages = [
        Message("a/b", b'{"ts":1,"x": [1, 2.50]}'),
        Message("a/c", b'{"ts":1,', valid=False),
        Message("a/d", b'{"x":NaN}', valid=False),
    ]
    for name in ("r.jsonl", "r.jsonl.gz"):
        path = tmp_path / name
        with Recorder(path, HEADER) as recorder:
            recorder.write(messages, 1000)
            recorder.write(messages[:1], 2000)
        found = Record(path)
        assert found.header == HEADER
        assert [one.message for one in found.messages()] == [*messages, messages[0]]
        assert [one.at for one in found.messages()] == [1000, 1000, 1000, 2000]
    packed = gzip.decompress((tmp_path / "r.jsonl.gz").read_bytes())
    assert packed == (tmp_path / "r.jsonl").read_bytes()
    assert all(json.loads(line) for line in packed.splitlines())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", r":1: not a recorded run"),
        (b"{}\n", r":1: not a recorded run"),
        (b'{"format":"x","province":"p","scenario":"s","seed":1,"start_ms":1,"interval_s":1,'
         b'"assets":1}\n', "format 'x' version 1, expected 'ioc-record'"),
    ],
)  # fmt: skip
def test_what_is_no_recorded_run_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(content)
    with pytest.raises(FileError, match=expected):
        Record(path)


def test_a_torn_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with Recorder(path, HEADER) as recorder:
        recorder.write([Message("a/b", b"{}"), Message("a/b", b"{}")], 1000)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FileError, match=r"r\.jsonl:3: not a message"):
        list(Record(path).messages())


def test_stamps_change_times_and_boots_alone() -> None:
    stamp = Stamp(boot=1000, shift_ms=500)
    payload = rb'{"ts":1,"boot":7,"seq":7,"text":"\"ts\":1","ats":1}'
    (moved,) = stamp.messages([Message("t", payload)])
    assert moved.payload == rb'{"ts":501,"boot":1007,"seq":7,"text":"\"ts\":1","ats":1}'


@needs_nats
async def test_a_replay_keeps_the_timing_and_is_new(tmp_path: Path) -> None:
    start_ms = 1_700_000_000_000
    path = tmp_path / "r.jsonl"
    header = Header(province="p", scenario="s", seed=1, start_ms=start_ms, interval_s=10, assets=1)
    with Recorder(path, header) as recorder:
        for number in range(10):
            ts = start_ms + number * 200
            content = b'{"ts":%d,"boot":1,"seq":%d}' % (ts, number)
            recorder.write([Message("ioc/v1/p/bts/A/telemetry", content)], ts)
    clock = SystemClock()
    heard: list[tuple[float, dict[str, int]]] = []
    subscribed = asyncio.Event()
    with Nats(tmp_path / "nats") as nats:

        async def listen() -> None:
            async with aiomqtt.Client(
                "127.0.0.1", nats.port, protocol=aiomqtt.ProtocolVersion.V311
            ) as client:
                await client.subscribe("ioc/v1/#", qos=1)
                subscribed.set()
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    heard.append((clock.now_ms(), json.loads(message.payload)))

        listening = asyncio.create_task(listen())
        await asyncio.wait_for(subscribed.wait(), 10)
        begun_ms = clock.now_ms()
        for _ in range(2):
            options = ReplayOptions(file=path, broker=Broker("127.0.0.1", nats.port))
            await Replay(options, clock=clock).run()
        await until(lambda: len(heard) == 20)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    first, second = heard[:10], heard[10:]
    for run in (first, second):
        assert [said["seq"] for _, said in run] == list(range(10))
        times = [said["ts"] for _, said in run]
        assert [ts - times[0] for ts in times] == [200 * number for number in range(10)]
        assert times[0] >= begun_ms
        for at_ms, said in run:
            assert -50 <= at_ms - said["ts"] < 5000, "sent when it says it was"
    assert len({said["boot"] for _, said in first}) == 1
    assert first[0][1]["boot"] != second[0][1]["boot"] != 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--no-publish",), "--no-publish: give --record or --truth"),
        (("--speed", "fast"), "--speed 'fast': expected a number from 0.01 on, or max"),
        (("--start", "2026-09-15T06:00:00"), "expected a time with its zone"),
        (("--province", "khanh-hoa", "--inventory", "x"), "expected one of them"),
        (("--province", "khanh-hoa", "--scenario", "typhon", "--no-publish", "--truth", "t"),
         "did you mean typhoon"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(tmp_path: Path, words: tuple[str, ...], expected: str) -> None:
    done = simulate(tmp_path, *words)
    assert done.returncode == 1
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1
