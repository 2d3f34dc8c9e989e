#!/usr/bin/env python3
"""Storage dies again and again while it takes writes, cuts blocks and writes checkpoints; what it acknowledged is there, once. And a disk that
is full makes it read-only until there is room, without a loss."""

import os
import random
import signal
import subprocess
import threading
import time

import remote
from comparing import ask
from harness import Stack, fetch, run_cases, wait_for
from tsdb_swap_test import blocks_of

HOUR = 3600 * 1000
STEP = 30 * 1000
KILLS = int(os.environ.get("NARTHEX_KILLS", "50"))
CONFIG = "storage: {tsdb: {out_of_order_time_window: 3h}}\n"


class Writer:
    """Writes simulated time in steps of half a minute, as fast as it is answered; what was not acknowledged comes again, as a sender does."""

    def __init__(self, base, steps, pause=0.0):
        self.base, self.pause = base, pause
        self.start = int(time.time() * 1000) // STEP * STEP - steps * STEP
        self.steps = steps
        self.next = 0
        self.sent = {}  # series -> {time: value}; all of it acknowledged or, at the end, in `open`.
        self.open = {}
        self.refused = []
        self.late = set()
        self.stop = threading.Event()
        self.rng = random.Random(11)
        self.thread = threading.Thread(target=self.run)

    def batch(self, n):
        t = self.start + n * STEP
        samples = [({"__name__": "crash_total", "i": str(i)}, t, float(n * 10 + i)) for i in range(20)]
        samples += [({"__name__": "crash_churn", "n": str(n // 7)}, t, float(n))]
        if n % 5 == 4:
            late = t - self.rng.randrange(1, 200) * STEP - 7
            while late in self.late:
                late -= STEP
            self.late.add(late)
            samples += [({"__name__": "crash_late", "i": str(i)}, late, float(n)) for i in range(3)]
        return samples

    def run(self):
        while not self.stop.is_set() and self.next < self.steps:
            batch = self.batch(self.next)
            body = [remote.series(labels, remote.sample(t, v)) for labels, t, v in batch]
            counts = [self.next + 1, self.next + 2]
            body.append(remote.series({"__name__": "crash_histogram"},
                                      remote.histogram(self.start + self.next * STEP, 2, [(0, 2)], counts, float(self.next))))
            while True:
                status, text = remote.write(self.base, *body)
                if status in (200, 204):
                    for labels, t, v in batch:
                        self.sent.setdefault(tuple(sorted(labels.items())), {})[t] = v
                    break
                if status == 400:
                    self.refused.append(text)
                    break
                if self.stop.is_set():
                    for labels, t, v in batch:
                        self.open.setdefault(tuple(sorted(labels.items())), {})[t] = v
                    return
                time.sleep(0.01)
            self.next += 1
            if self.pause:
                time.sleep(self.pause)


def check(stack, writer, hours):
    """Everything acknowledged is there once with its value, and nothing that was not sent."""
    end = (writer.start + writer.next * STEP) / 1000 + 60
    for name in ("crash_total", "crash_churn", "crash_late"):
        got = {}
        result = wait_for(f"an answer for {name}", lambda n=name: ask(stack.url("query"), "query", query=f"{n}[{hours}h]", time=f"{end:.3f}"), 30)
        assert result[0] == 200, result
        for r in result[1]["data"]["result"]:
            times = [round(float(t) * 1000) for t, _ in r["values"]]
            assert times == sorted(set(times)), f"{r['metric']}: times are twice or out of order"
            got[tuple(sorted(r["metric"].items()))] = dict(zip(times, (float(v) for _, v in r["values"])))
        for labels, samples in writer.sent.items():
            if dict(labels)["__name__"] != name:
                continue
            stored = got.get(labels, {})
            missing = [t for t in samples if stored.get(t) != samples[t]]
            assert not missing, f"{labels}: {len(missing)} of {len(samples)} acknowledged samples are missing or changed, first {(min(missing) - writer.start) // STEP}"
            extra = [t for t in stored if t not in samples and t not in writer.open.get(labels, {})]
            assert not extra, f"{labels}: {len(extra)} samples that nobody sent"


def fifty_kills():
    """kill -9 of storage fifty times under writes, compaction and checkpoints loses no acknowledged sample"""
    hours = 26
    with Stack(CONFIG, flags={"storage": ["--storage.tsdb.retention.time=10y"]}) as stack:
        stack.start("storage", "query")
        writer = Writer(stack.url("storage"), hours * 120, pause=0.002)
        writer.thread.start()
        rng = random.Random(5)
        slowest = 0.0
        for kill in range(KILLS):
            # Every fourth time long enough for a block to be cut, or nearly.
            time.sleep(rng.uniform(1.0, 2.0) if kill % 4 == 3 else rng.uniform(0.05, 0.6))
            stack.kill("storage")
            begin = time.monotonic()
            stack.start("storage")
            slowest = max(slowest, time.monotonic() - begin)
            if kill % 10 == 9:
                check(stack, writer_view(writer), hours + 2)
        writer.stop.set()
        writer.thread.join()
        assert not writer.refused, writer.refused[:3]
        check(stack, writer, hours + 2)
        blocks = blocks_of(stack.path("storage"))
        print(f"     {KILLS} kills, {sum(map(len, writer.sent.values()))} samples over {writer.next * STEP / HOUR:.1f} h, {len(blocks)} blocks, "
              f"slowest start {slowest:.2f} s")
        assert writer.next > KILLS * 5, "too few writes between the kills"
        assert blocks, "no block was cut: the kills never met a compaction"
        quarantine = os.path.join(stack.path("storage"), "quarantine")
        assert not os.path.isdir(quarantine) or not os.listdir(quarantine), os.listdir(quarantine)


class View:
    pass


def writer_view(writer):
    """What was acknowledged so far; what comes meanwhile counts as open."""
    view = View()
    view.start, view.next = writer.start, writer.next
    view.sent = {labels: dict(samples) for labels, samples in list(writer.sent.items())}
    view.open = Everything()
    return view


class Everything:
    def get(self, labels, default):
        return self

    def __contains__(self, key):
        return True


class SmallDisk:
    """A disk of 48 MB under the folder of storage; `mounted` is false where nobody lets us have one."""

    def __init__(self, stack):
        self.stack, self.path = stack, stack.path("storage")
        self.ballast = os.path.join(self.path, "ballast")

    def __enter__(self):
        os.makedirs(self.path)
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", self.path], capture_output=True, text=True)
        self.mounted = mount.returncode == 0
        if not self.mounted:
            if os.environ.get("CI"):
                raise AssertionError(f"no small disk can be mounted: {mount.stderr}")
            print(f"note: no small disk can be mounted ({mount.stderr.strip()}); not run")
        return self

    def __exit__(self, *_):
        if self.mounted:
            for process in self.stack.processes.values():
                process.kill(signal.SIGKILL)
            subprocess.run(["umount", self.path], check=False)

    def fill(self):
        """To the last byte."""
        with open(self.ballast, "ab", buffering=0) as f:
            for piece in (65536, 4096, 1):
                try:
                    while True:
                        f.write(b"x" * piece)
                except OSError:
                    pass

    def make_room(self):
        os.unlink(self.ballast)

    def read_only(self):
        _, text = fetch(self.stack.url("storage") + "/metrics")
        return any(line.startswith("narthex_storage_state{") and "read-only" in line and line.endswith(" 1") for line in text.splitlines())

    def check_refuses(self):
        status, text = remote.write(self.stack.url("storage"), remote.series({"__name__": "probe"}, remote.sample(int(time.time() * 1000), 1.0)))
        assert status in (500, 503), f"a write to a full disk: {status} {text[:200]}"


def full_disk():
    """a full disk makes storage read-only and says so; with room again it goes on by itself and nothing acknowledged is lost"""
    with Stack(CONFIG, flags={"storage": ["--storage.disk-reserve=4MB"]}) as stack, SmallDisk(stack) as disk:
        if not disk.mounted:
            return
        stack.start("storage", "query")
        writer = Writer(stack.url("storage"), 3000)
        writer.thread.start()
        wait_for("some writes", lambda: writer.next > 50)
        disk.fill()
        at_full = writer.next
        wait_for("the read-only state", disk.read_only, 60)
        disk.check_refuses()
        assert fetch(stack.url("storage") + "/-/healthy")[0] == 200
        check(stack, writer_view(writer), 28)
        disk.make_room()
        wait_for("writes that go on", lambda: writer.next > at_full + 100, 60)
        wait_for("the state to end", lambda: not disk.read_only(), 60)
        writer.stop.set()
        writer.thread.join()
        assert not writer.refused, writer.refused[:3]
        check(stack, writer, 28)
        stack.kill("storage", signal.SIGKILL)
        stack.start("storage")
        check(stack, writer, 28)
        print(f"     full after {at_full} writes, {writer.next} in the end, none lost")


def start_on_a_full_disk():
    """storage that starts on a disk without a free byte is ready, answers what it has, refuses writes, and goes on when there is room"""
    with Stack(CONFIG, flags={"storage": ["--storage.disk-reserve=0"]}) as stack, SmallDisk(stack) as disk:
        if not disk.mounted:
            return
        stack.start("storage", "query")
        # Not so fast that nothing is left to be written when the block is there.
        writer = Writer(stack.url("storage"), 1000, pause=0.005)
        writer.thread.start()
        wait_for("a block and what is behind it", lambda: blocks_of(stack.path("storage")) and writer.next > 500)
        writer.stop.set()
        writer.thread.join()
        assert writer.next < 850, writer.next
        # A clean stop: after another the start would make room by what it takes away.
        stack.kill("storage", signal.SIGTERM)
        disk.fill()
        segments = sorted(os.listdir(os.path.join(stack.path("storage"), "wal")))
        for _ in range(2):
            stack.start("storage")
            wait_for("the read-only state", disk.read_only, 30)
            assert fetch(stack.url("storage") + "/-/ready")[0] == 200
            disk.check_refuses()
            check(stack, writer, 28)
            stack.kill("storage", signal.SIGKILL)
        assert sorted(os.listdir(os.path.join(stack.path("storage"), "wal"))) == segments, "a start without room left something behind"
        stack.start("storage")
        wait_for("the read-only state", disk.read_only, 30)
        disk.make_room()
        wait_for("the state to end", lambda: not disk.read_only(), 30)
        again = Writer(stack.url("storage"), 1000)
        again.start, again.next, again.sent, again.open, again.late = writer.start, writer.next, writer.sent, writer.open, writer.late
        again.thread.start()
        wait_for("writes that go on", lambda: again.next > writer.next + 100, 60)
        again.stop.set()
        again.thread.join()
        assert not again.refused, again.refused[:3]
        check(stack, again, 28)
        stack.kill("storage", signal.SIGKILL)
        stack.start("storage")
        check(stack, again, 28)


if __name__ == "__main__":
    run_cases([fifty_kills, full_disk, start_on_a_full_disk])
