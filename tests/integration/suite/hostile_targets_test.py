#!/usr/bin/env python3
"""Targets that hang, lie and send garbage: up 0, a last error that says why, and everybody else undisturbed."""

import gzip
import time

from harness import Server, Stack, run_cases, wait_for

GOOD = b"good_value 1\n"


def answer_with(body, length=None, status=200, headers=()):
    def answer(request):
        request.send_response(status)
        request.send_header("Content-Type", "text/plain; version=0.0.4")
        request.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers:
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
        if length is not None:
            request.wfile.flush()
            request.close_connection = True
    return answer


def hang(request):
    time.sleep(30)


def hang_in_body(request):
    request.send_response(200)
    request.send_header("Content-Type", "text/plain; version=0.0.4")
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    request.wfile.write(GOOD)
    request.wfile.flush()
    time.sleep(30)


def trickle(request):
    request.send_response(200)
    request.send_header("Content-Type", "text/plain; version=0.0.4")
    request.end_headers()
    for _ in range(100):
        request.wfile.write(b"# x\n")
        request.wfile.flush()
        time.sleep(0.3)


def no_http(request):
    request.wfile.write(b"\x00\x01\x02 this is no HTTP\r\n\r\n")
    request.close_connection = True


# Name: (what it does, a word of the last error).
HOSTILE = {
    "hang": (hang, "deadline exceeded"),
    "hang_in_body": (hang_in_body, "deadline exceeded"),
    "trickle": (trickle, "deadline exceeded"),
    "short": (answer_with(GOOD, length=100000), "EOF"),
    "garbage": (answer_with(b"\xff\xfe{{{ nothing of the kind"), None),
    "broken_line": (answer_with(b"good_value 1\nbroken{a=} 1\n"), None),
    "error": (answer_with(b"sorry", status=500), "500"),
    "not_found": (answer_with(b"", status=404), "404"),
    "no_http": (no_http, None),
    "bad_gzip": (answer_with(b"\x1f\x8b\x08 not gzip", headers=[("Content-Encoding", "gzip")]), None),
    "bomb": (answer_with(gzip.compress(b"# " + b"x" * (50 << 20) + b"\n"), headers=[("Content-Encoding", "gzip")]), "body size limit"),
    "redirects": (answer_with(b"", status=302, headers=[("Location", "/metrics")]), "redirect"),
}


def hostile():
    """every hostile target is down with a reason, its series are stale, and the good ones miss nothing"""
    servers = {name: Server(what) for name, (what, _) in HOSTILE.items()}
    good = [Server(answer_with(GOOD)) for _ in range(5)]
    jobs = "".join(
        f"  - job_name: {name}\n    body_size_limit: 10MB\n    static_configs: [{{targets: ['{server.address}']}}]\n"
        for name, server in servers.items())
    jobs += "  - job_name: good\n    static_configs: [{targets: [" + ", ".join(f"'{g.address}'" for g in good) + "]}]\n"
    jobs += "  - job_name: refused\n    static_configs: [{targets: ['127.0.0.1:1']}]\n"
    with Stack("global: {scrape_interval: 1s, scrape_timeout: 500ms}\nscrape_configs:\n" + jobs) as stack:
        stack.start("storage", "scraper", "query")
        wait_for("all targets to be scraped", lambda: stack.value("count(up)") == len(HOSTILE) + 6, 20)
        time.sleep(5)
        down = {r["metric"]["job"] for r in stack.query("up == 0")}
        assert down == set(HOSTILE) | {"refused"}, down ^ (set(HOSTILE) | {"refused"})
        assert stack.value("count(up == 1)") == 5
        targets = {t["labels"]["job"]: t for t in stack.api("targets")["activeTargets"]}
        for name, (_, word) in {**HOSTILE, "refused": (None, "refused")}.items():
            error = targets[name]["lastError"]
            assert error and targets[name]["health"] == "down", (name, targets[name])
            assert word is None or word in error, (name, error)
            print(f"     {name}: {error}")
        # Nothing of a scrape that failed is stored.
        assert {r["metric"]["job"] for r in stack.query("good_value")} == {"good"}
        for result in stack.query("good_value[4s]"):
            gaps = [b[0] - a[0] for a, b in zip(result["values"], result["values"][1:])]
            assert len(result["values"]) >= 3 and max(gaps) < 1.3, result
        rss = stack.value(f"process_resident_memory_bytes{{job='none'}}")
        assert rss is None
        with open(f"/proc/{stack.processes['scraper'].pid}/statm") as f:
            resident = int(f.read().split()[1]) * 4096
        assert resident < 200 << 20, resident
    for server in [*servers.values(), *good]:
        server.close()


def recovers():
    """a target that fails for a while has a hole with a staleness marker, and comes back"""
    state = {"bad": False}

    def answer(request):
        answer_with(b"sorry", status=503)(request) if state["bad"] else answer_with(GOOD)(request)

    with Server(answer) as server, Stack(
            f"global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}\nscrape_configs: [{{job_name: j, static_configs: [{{targets: ['{server.address}']}}]}}]\n") as stack:
        stack.start("storage", "scraper", "query")
        wait_for("the sample", lambda: stack.value("good_value") == 1)
        state["bad"] = True
        wait_for("the series to go stale", lambda: stack.query("good_value") == [] and stack.value("up") == 0)
        state["bad"] = False
        wait_for("the series to come back", lambda: stack.value("good_value") == 1 and stack.value("up") == 1)


if __name__ == "__main__":
    run_cases([hostile, recovers])
