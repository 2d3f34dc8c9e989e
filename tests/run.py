#!/usr/bin/env python3
"""Runs the suites that a build folder registered with CTest and sums what they report.

    run.py BUILD_FOLDER [SUITE …]

A SUITE is a name, the prefix of names, or a label. Each program says how many cases passed in one of four forms: Catch2's
closing lines, "N passed, N failed", "N corpus files passed". One that reports nothing has failed. The last line is
"N passed, N failed" over all suites."""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import time


def discover(build):
    out = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], capture_output=True, text=True, check=True).stdout
    suites = []
    for test in json.loads(out)["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        suites.append({
            "name": test["name"],
            "command": test.get("command", []),
            "labels": properties.get("LABELS", []),
            "timeout": float(properties.get("TIMEOUT", 120)),
            "serial": bool(properties.get("RUN_SERIAL", False)),
            "environment": dict(e.split("=", 1) for e in properties.get("ENVIRONMENT", [])),
            "cwd": properties.get("WORKING_DIRECTORY", build),
        })
    return suites


def selected(suite, wanted):
    return not wanted or any(suite["name"].startswith(w) or w in suite["labels"] for w in wanted)


def counts(output):
    """(passed, failed) as the program reported them, summed where it did so several times."""
    passed = failed = 0
    for match in re.finditer(r"All tests passed \(\d+ assertions? in (\d+) test cases?\)", output):
        passed += int(match.group(1))
    for match in re.finditer(r"^test cases:\s*(\d+)((?:\s*\|\s*\d+ [a-z ]+)+)", output, flags=re.M):
        for number, what in re.findall(r"\|\s*(\d+) ([a-z]+)", match.group(2)):
            if what == "passed":
                passed += int(number)
            elif what == "failed":
                failed += int(number)
    for match in re.finditer(r"^(\d+) passed, (\d+) failed", output, flags=re.M):
        passed += int(match.group(1))
        failed += int(match.group(2))
    for match in re.finditer(r"^(\d+) corpus files passed$", output, flags=re.M):
        passed += int(match.group(1))
    return passed, failed


def upstream_data():
    """The folder with upstream's test data, or None."""
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
    shared = os.environ.get("NARTHEX_SHARED", os.path.join(root, "..", "shared"))
    return shared if os.path.isdir(os.path.join(shared, "conformance")) else None


def run(suite):
    start = time.monotonic()
    environment = {**os.environ, **suite["environment"]}
    if not suite["command"] or not os.path.exists(suite["command"][0]):
        return suite, 0, 1, "the program was not built", 0.0
    process = subprocess.Popen(suite["command"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                               cwd=suite["cwd"], env=environment, start_new_session=True)
    try:
        output = process.communicate(timeout=suite["timeout"])[0].decode(errors="replace")
        note = "" if process.returncode == 0 else f"exit code {process.returncode}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output = process.communicate()[0].decode(errors="replace")
        note = f"no end within {suite['timeout']:.0f} s"
    passed, failed = counts(output)
    if not note and passed + failed == 0:
        note = "it ran nothing"
    if note and failed == 0:
        failed = 1
    return suite, passed, failed, (output + f"\n[{note}]") if note or failed else "", time.monotonic() - start


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    build = os.path.abspath(sys.argv[1])
    suites = [s for s in discover(build) if selected(s, sys.argv[2:])]
    if not suites:
        print(f"no suite is called {' '.join(sys.argv[2:])}; ctest --test-dir {sys.argv[1]} -N lists them")
        print("0 passed, 1 failed")
        return 1
    if upstream_data() is None and not os.environ.get("CI"):
        for suite in suites:
            if "upstream_data" in suite["labels"]:
                print(f"skip {suite['name']}: upstream's test data is missing; NARTHEX_SHARED names its folder")
        suites = [s for s in suites if "upstream_data" not in s["labels"]]
    total_passed = total_failed = 0

    def report(result):
        nonlocal total_passed, total_failed
        suite, passed, failed, details, seconds = result
        total_passed += passed
        total_failed += failed
        print(f"{'FAIL' if failed else 'ok  '} {suite['name']:<44} {passed:>6} passed {failed:>4} failed {seconds:>7.1f} s", flush=True)
        if details:
            print("\n".join("     | " + line for line in details.strip().splitlines()[-80:]), flush=True)

    parallel = [s for s in suites if not s["serial"]]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        for future in concurrent.futures.as_completed([pool.submit(run, s) for s in parallel]):
            report(future.result())
    for suite in suites:
        if suite["serial"]:
            report(run(suite))
    print(f"{total_passed} passed, {total_failed} failed")
    return 1 if total_failed else 0


if __name__ == "__main__":
    sys.exit(main())
