#!/usr/bin/env python3
"""kill -9 at any moment: no accepted sample is missing, none is twice, and what was scraped meanwhile is there in order."""

import random
import signal
import threading
import time

from harness import Server, Stack, fetch, run_cases, wait_for

SERIES = 200


class CountingTarget:
    """Serves page n = 1, 2, 3 …: `page n`, and many series that follow from n. Remembers when each was sent to its end."""

    def __init__(self):
        self.lock = threading.Lock()
        self.served = {}
        self.next = 1
        self.server = Server(self.answer)
        self.address = self.server.address

    def answer(self, request):
        with self.lock:
            n = self.next
            self.next += 1
        lines = [f"page {n}"] + [f'derived{{i="{i}"}} {n * 1000 + i}' for i in range(SERIES)]
        # Series that come and go, so that definitions are sent all the time.
        lines.append(f'changing{{n="{n // 5}"}} {n}')
        body = ("\n".join(lines) + "\n").encode()
        request.send_response(200)
        request.send_header("Content-Type", "text/plain; version=0.0.4")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
        with self.lock:
            self.served[n] = time.time()

    def cut_off(self, since):
        """Pages served since then, and those whose sending broke off: their reader was gone."""
        with self.lock:
            return {n for n in range(1, self.next) if self.served.get(n, since) >= since}


def config(target):
    return (f"global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\n"
            f"scrape_configs: [{{job_name: j, static_configs: [{{targets: ['{target.address}']}}]}}]\n")


def pages(stack):
    result = stack.query("page[1h]")
    return [(t, int(v)) for t, v in result[0]["values"]] if result else []


def check_all(stack, target, missing_allowed=()):
    """Every served page between the first and the last stored is stored once, in order, and so is what belongs to it."""
    stored = pages(stack)
    numbers = [n for _, n in stored]
    assert numbers == sorted(set(numbers)), "pages are twice or out of order"
    times = [t for t, _ in stored]
    assert times == sorted(set(times)), "timestamps are twice or out of order"
    # On a busy machine a page may take longer than the scrape timeout: that scrape failed and says so, `up` is 0.
    failed = [t for t, v in stack.query("up[1h]")[0]["values"] if float(v) == 0]
    when = {n: t for t, n in stored}

    def scrape_failed(n):
        before = max((t for m, t in when.items() if m < n))
        after = min((t for m, t in when.items() if m > n))
        return any(before < t < after for t in failed)

    missing = [n for n in range(numbers[0], numbers[-1] + 1)
               if n not in when and n not in missing_allowed and not scrape_failed(n)]
    assert not missing, f"{len(missing)} of {len(numbers)} pages are missing: {missing[:20]}"
    # Scrapes go on meanwhile: what is newer than the last page above is left out.
    for i in (0, SERIES // 2, SERIES - 1):
        derived = [int(v) for _, v in stack.query(f'derived{{i="{i}"}}[1h]')[0]["values"]]
        assert [v for v in derived if v <= numbers[-1] * 1000 + i] == [n * 1000 + i for n in numbers], f"derived {i} differs"
    changing = sorted(int(v) for series in stack.query("changing[1h]") for _, v in series["values"])
    assert [v for v in changing if v <= numbers[-1]] == numbers, "the series that come and go differ"
    return numbers


def storage_killed():
    """storage killed 20 times under scraping"""
    seed = random.randrange(1 << 30)
    print(f"     seed {seed}")
    rng = random.Random(seed)
    target = CountingTarget()
    with Stack(config(target)) as stack:
        stack.start("storage", "scraper", "query")
        wait_for("the first page", lambda: pages(stack))
        for round_number in range(20):
            time.sleep(rng.uniform(0.05, 1.2))
            stack.kill("storage")
            if round_number % 5 == 4:
                time.sleep(rng.uniform(0.5, 2.5))
            stack.start("storage")
        last = target.next - 1
        wait_for("the newest page", lambda: pages(stack) and pages(stack)[-1][1] >= last)
        numbers = check_all(stack, target)
        # Everything that is there now is there after one more crash: acceptance was no promise of memory.
        stack.kill("scraper", signal.SIGTERM)
        before = pages(stack)
        stack.kill("storage")
        stack.start("storage")
        after = pages(stack)
        assert after == before, (len(before), len(after))
        print(f"     {len(numbers)} pages, {len(numbers) * (SERIES + 2)} samples, none missing, none twice")
    target.server.close()


def scraper_killed_while_storage_is_down():
    """the scraper killed while storage is down: what was spooled arrives"""
    target = CountingTarget()
    with Stack(config(target)) as stack:
        stack.start("storage", "scraper", "query")
        wait_for("the first page", lambda: pages(stack))
        lost = set()
        for _ in range(3):
            stack.kill("storage")
            time.sleep(3)
            killed_at = time.time()
            stack.kill("scraper")
            # What was fetched less than 1.5 s before the kill may not have reached the spool.
            lost |= target.cut_off(killed_at - 1.5)
            stack.start("scraper")
            time.sleep(1)
            stack.start("storage")
            last = target.next - 1
            wait_for("the newest page", lambda: pages(stack) and pages(stack)[-1][1] >= last)
        numbers = check_all(stack, target, missing_allowed=lost)
        kept = [n for n in lost if n in set(numbers)]
        print(f"     {len(numbers)} pages; of {len(lost)} within 1.5 s of a kill {len(kept)} were kept")
    target.server.close()


def scraper_stopped():
    """SIGTERM to the scraper while storage is down loses no page"""
    target = CountingTarget()
    with Stack(config(target)) as stack:
        stack.start("storage", "scraper", "query")
        wait_for("the first page", lambda: pages(stack))
        stack.kill("storage")
        time.sleep(1)
        assert stack.kill("scraper", signal.SIGTERM) == 0
        last_before = target.next - 1
        stack.start("scraper")
        stack.start("storage")
        wait_for("the newest page", lambda: pages(stack) and pages(stack)[-1][1] > last_before + 3)
        # The page that was under way when the signal came may have been cut off.
        check_all(stack, target, missing_allowed={last_before, last_before + 1})
    target.server.close()


def both_killed():
    """storage and scraper killed together, ten times"""
    rng = random.Random(7)
    target = CountingTarget()
    with Stack(config(target)) as stack:
        stack.start("storage", "scraper", "query")
        wait_for("the first page", lambda: pages(stack))
        lost = set()
        for _ in range(10):
            time.sleep(rng.uniform(0.3, 1.0))
            killed_at = time.time()
            stack.processes["storage"].process.send_signal(signal.SIGKILL)
            stack.kill("scraper")
            stack.kill("storage")
            lost |= target.cut_off(killed_at - 1.5)
            stack.start("storage", "scraper")
        last = target.next - 1
        wait_for("the newest page", lambda: pages(stack) and pages(stack)[-1][1] >= last)
        check_all(stack, target, missing_allowed=lost)
    target.server.close()


if __name__ == "__main__":
    run_cases([storage_killed, scraper_killed_while_storage_is_down, scraper_stopped, both_killed])
