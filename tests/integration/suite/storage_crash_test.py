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
from harness import Stack, fetch, run_cases, wait_for
from tsdb_swap_test import ask, blocks_of

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


def full_disk():
    """a full disk makes storage read-only and says so; with room again it goes on by itself and nothing acknowledged is lost"""
    with Stack(CONFIG, flags={"storage": ["--storage.disk-reserve=4MB"]}) as stack:
        path = stack.path("storage")
        os.makedirs(path)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", path], capture_output=True, text=True)
        if mounted.returncode != 0:
            if os.environ.get("CI"):
                raise AssertionError(f"no small disk can be mounted: {mounted.stderr}")
            print(f"note: no small disk can be mounted ({mounted.stderr.strip()}); not run")
            return
        try:
            stack.start("storage", "query")
            ballast = os.path.join(path, "ballast")
            writer = Writer(stack.url("storage"), 3000)
            writer.thread.start()
            wait_for("some writes", lambda: writer.next > 50)
            with open(ballast, "wb") as f:
                try:
                    while True:
                        f.write(b"x" * 65536)
                        f.flush()
                except OSError:
                    pass
            at_full = writer.next

            def read_only():
                _, text = fetch(stack.url("storage") + "/metrics")
                return any(line.startswith("narthex_storage_state{") and "read-only" in line and line.endswith(" 1") for line in text.splitlines())
            wait_for("the read-only state", read_only, 60)
            status, text = remote.write(stack.url("storage"), remote.series({"__name__": "probe"}, remote.sample(int(time.time() * 1000), 1.0)))
            assert status in (500, 503), f"a write to a full disk: {status} {text[:200]}"
            assert fetch(stack.url("storage") + "/-/healthy")[0] == 200
            check(stack, writer_view(writer), 28)
            os.unlink(ballast)
            wait_for("writes that go on", lambda: writer.next > at_full + 100, 60)
            wait_for("the state to end", lambda: not read_only(), 60)
            writer.stop.set()
            writer.thread.join()
            assert not writer.refused, writer.refused[:3]
            check(stack, writer, 28)
            stack.kill("storage", signal.SIGKILL)
            stack.start("storage")
            check(stack, writer, 28)
            print(f"     full after {at_full} writes, {writer.next} in the end, none lost")
        finally:
            for process in stack.processes.values():
                process.kill(signal.SIGKILL)
            subprocess.run(["umount", path], check=False)


if __name__ == "__main__":
    run_cases([fifty_kills, full_disk])
