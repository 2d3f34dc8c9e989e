#!/usr/bin/env python3
"""The long tests: sanitizer builds of every suite, fuzzing, soaks, container images. Closes with "N passed, N failed".

    run_long.py [asan] [tsan] [fuzz] [soak] [images]      all of them when none is named

NARTHEX_FUZZ_SECONDS is the time for each fuzz target (1200), NARTHEX_SOAK_SECONDS that of the soak (900),
NARTHEX_SOAK_DB_SECONDS that of a database's readers and writers under each sanitizer (600)."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    # gRPC and Abseil are not instrumented in this distribution.
    "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:halt_on_error=1",
}


def say(text):
    print(f"==> {text}", flush=True)


def run(command, **kwargs):
    return subprocess.run(command, cwd=ROOT, **kwargs)


def sum_line(output):
    match = re.findall(r"^(\d+) passed, (\d+) failed$", output, flags=re.M)
    return (int(match[-1][0]), int(match[-1][1])) if match else (0, 1)


def sanitizer(preset):
    """Every suite but the real binaries' and the benchmarks' in a sanitizer build."""
    say(f"{preset}: building")
    if run(["cmake", "--preset", preset], stdout=subprocess.DEVNULL).returncode or run(["ninja", "-C", f"build/{preset}"]).returncode:
        return 0, 1
    say(f"{preset}: running")
    environment = {**os.environ, **SANITIZER_ENVIRONMENT, "NARTHEX_SANITIZER": preset}
    result = run([sys.executable, "tests/run.py", f"build/{preset}", "unit", "fuzz", "conformance", "app"],
                 env=environment, stdout=subprocess.PIPE, text=True)
    print(result.stdout, flush=True)
    passed, failed = sum_line(result.stdout)
    say(f"{preset}: readers and writers of a database at once")
    environment["NARTHEX_SOAK_DB_SECONDS"] = os.environ.get("NARTHEX_SOAK_DB_SECONDS", "600")
    soaked = run([f"build/{preset}/bin/service_storage_soak_test"], env=environment).returncode == 0
    return passed + soaked, failed + (not soaked)


def fuzz():
    say("fuzz: building")
    if run(["cmake", "--preset", "fuzz"], stdout=subprocess.DEVNULL).returncode or run(["ninja", "-C", "build/fuzz"]).returncode:
        return 0, 1
    seconds = os.environ.get("NARTHEX_FUZZ_SECONDS", "1200")
    targets = sorted(glob.glob(os.path.join(ROOT, "build/fuzz/bin/fuzz_*")))
    corpora = {os.path.basename(d): d for d in glob.glob(os.path.join(ROOT, "tests/fuzz/**/*_corpus"), recursive=True)}
    passed = failed = 0
    jobs = max(1, os.cpu_count() or 1)
    pending, running = list(targets), []
    while pending or running:
        while pending and len(running) < jobs:
            target = pending.pop(0)
            name = os.path.basename(target)[len("fuzz_"):]
            work = tempfile.mkdtemp(prefix="narthex-fuzz-")
            seed = corpora.get(name + "_corpus")
            command = [target, f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=4096", f"-artifact_prefix={work}/", work]
            log = open(os.path.join(work, "..", os.path.basename(work) + ".log"), "w")
            running.append((name, work, log, subprocess.Popen(command + ([seed] if seed else []), stdout=log, stderr=log)))
        name, work, log, process = running.pop(0)
        process.wait()
        log.close()
        crashes = glob.glob(os.path.join(work, "crash-*")) + glob.glob(os.path.join(work, "timeout-*")) + glob.glob(os.path.join(work, "oom-*"))
        if process.returncode or crashes:
            failed += 1
            print(f"FAIL fuzz {name}: {crashes or process.returncode}", flush=True)
            print("".join(open(log.name).readlines()[-30:]), flush=True)
        else:
            passed += 1
            print(f"ok   fuzz {name}", flush=True)
            shutil.rmtree(work)
            os.unlink(log.name)
    return passed, failed if targets else 1


def soak():
    say("soak")
    result = run([sys.executable, "tests/integration/suite/soak.py", "build/release/bin"], stdout=subprocess.PIPE, text=True)
    print(result.stdout, flush=True)
    return sum_line(result.stdout)


def images():
    say("images")
    result = run([sys.executable, "tests/integration/suite/images.py"], stdout=subprocess.PIPE, text=True)
    print(result.stdout, flush=True)
    return sum_line(result.stdout)


STEPS = {"asan": lambda: sanitizer("asan"), "tsan": lambda: sanitizer("tsan"), "fuzz": fuzz, "soak": soak, "images": images}


def main():
    wanted = sys.argv[1:] or ["fast", *STEPS]
    unknown = [w for w in wanted if w not in STEPS and w != "fast"]
    if unknown:
        print(f"unknown: {' '.join(unknown)}; there are {' '.join(STEPS)}\n0 passed, 1 failed")
        return 1
    passed = failed = 0
    for name in wanted:
        if name == "fast":
            result = run([sys.executable, "tests/run.py", "build/release"], stdout=subprocess.PIPE, text=True)
            print(result.stdout, flush=True)
            ok, bad = sum_line(result.stdout)
        else:
            ok, bad = STEPS[name]()
        print(f"{name}: {ok} passed, {bad} failed so far in this part", flush=True)
        passed += ok
        failed += bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
