#!/usr/bin/env python3
"""Minutes under load: many targets, memory that stays flat, no missed scrape. NARTHEX_SOAK_SECONDS sets how long (900)."""

import os
import time

from harness import Server, Stack, run_cases, wait_for

TARGETS = 50
SERIES = 500


def page(request):
    tick = int(time.time())
    index = int(request.path.strip("/t") or 0)
    body = "".join(f'soak_total{{i="{i}"}} {tick + i * index}\n' for i in range(SERIES)).encode()
    request.send_response(200)
    request.send_header("Content-Type", "text/plain; version=0.0.4")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def resident(stack, name):
    with open(f"/proc/{stack.processes[name].pid}/statm") as f:
        return int(f.read().split()[1]) * 4096


def soak():
    """50 targets x 500 series every 2 s, rules and queries beside"""
    seconds = float(os.environ.get("NARTHEX_SOAK_SECONDS", "900"))
    with Server(page) as server:
        jobs = "".join(f"  - {{job_name: j{i}, metrics_path: /t{i}, static_configs: [{{targets: ['{server.address}']}}]}}\n" for i in range(TARGETS))
        with Stack(f"global: {{scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 2s}}\nrule_files: [rules.yml]\nscrape_configs:\n{jobs}") as stack:
            stack.write("rules.yml", "groups: [{name: g, rules: [{record: 'job:soak:rate', expr: 'sum by (job) (rate(soak_total[30s]))'}]}]\n")
            stack.start("storage", "scraper", "query", "alertmanager")
            wait_for("all targets", lambda: stack.value("count(up == 1)") == TARGETS, 30)
            begin = time.monotonic()
            memory = []
            while time.monotonic() - begin < seconds:
                assert stack.value(f"count(soak_total)") == TARGETS * SERIES
                stack.api("query_range", query="sum by (job) (rate(soak_total[30s]))", start=time.time() - 300, end=time.time(), step=5)
                memory.append({name: resident(stack, name) for name in ("scraper", "query", "alertmanager")})
                time.sleep(5)
            window = int(seconds / 2)
            scrapes = stack.query(f"min(count_over_time(up[{window}s]))")[0]["value"][1]
            assert float(scrapes) >= window / 2 - 2, scrapes
            assert stack.value("count(up == 1)") == TARGETS
            early, late = memory[len(memory) // 3], memory[-1]
            for name in early:
                print(f"     {name}: {early[name] >> 20} MiB then {late[name] >> 20} MiB")
                assert late[name] < early[name] * 1.25 + (16 << 20), (name, early[name], late[name])


if __name__ == "__main__":
    import sys
    if len(sys.argv) > 1:
        os.environ["NARTHEX_BIN"] = os.path.abspath(sys.argv.pop(1))
    run_cases([soak])
