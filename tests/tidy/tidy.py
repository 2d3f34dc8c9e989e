#!/usr/bin/env python3
"""Checks the rules of the tree that a compiler does not: who may include whom, where third-party libraries live, what is
listed and documented, and what is banned. Prints one line a finding and closes with "N passed, N failed" over the rules."""

import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def tracked_files():
    """Files that git tracks or would track, below ROOT."""
    out = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True
    ).stdout
    return [f for f in out.splitlines() if os.path.isfile(os.path.join(ROOT, f))]


FILES = tracked_files()
TEXT = {}


def text(path):
    if path not in TEXT:
        with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
            TEXT[path] = f.read()
    return TEXT[path]


def code(path):
    """The file without comments and string contents, lines kept."""
    def blank(match):
        s = match.group(0)
        if s.startswith(("//", "/*")):
            return re.sub(r"[^\n]", " ", s)
        return '""' + "\n" * s.count("\n")
    pattern = r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, blank, text(path), flags=re.S)


SOURCES = [f for f in FILES if f.endswith((".cc", ".h")) and f.split("/")[0] in ("lib", "services", "cli", "tests")]
PRODUCT = [f for f in SOURCES if not f.startswith("tests/")]
MARKDOWN = [f for f in FILES if f.endswith(".md")]
LAYERS = re.findall(r"add_subdirectory\((\w+)\)", text("lib/CMakeLists.txt"))
ENGINES = {
    "services/storage/tsdb", "services/query/promql", "services/query/rules", "services/query/notifier",
    "services/scraper/scrape", "services/scraper/spool", "services/alertmanager/dispatch",
    "services/alertmanager/inhibit", "services/alertmanager/silence", "services/alertmanager/nflog",
    "services/alertmanager/snapshot", "services/alertmanager/timeinterval",
    "services/alertmanager/notify",
}

# Header pattern: (where it may be included, the name of the home).
HOMES = [
    (r"^(grpcpp|grpc)/|\.pb\.h$", r"^lib/rpc/|^services/\w+/\w*service\.(cc|h)$|_codec\.(cc|h)$|^lib/textparse/protobuf_", "lib/rpc"),
    (r"^httplib\.h$|^curl/", r"^lib/http/", "lib/http"),
    (r"^yaml-cpp/", r"^lib/yaml/", "lib/yaml"),
    (r"^re2/", r"^lib/base/regex\.cc$", "lib/base/regex.cc"),
    (r"^CLI/", r"^lib/flags/", "lib/flags"),
    (r"^prometheus/", r"^lib/metrics/", "lib/metrics"),
    (r"^snappy(-c)?\.h$", r"^lib/base/snappy\.cc$", "lib/base/snappy.cc"),
    (r"^xxhash\.h$", r"^lib/base/", "lib/base"),
    (r"^simdjson\.h$", r"^lib/json/", "lib/json"),
    (r"^catch2/", r"^tests/", "tests"),
]

# Pattern in code, files where it is allowed, what to use instead.
BANNED = [
    (r"\bstd::regex\b|#include <regex>", r"$^", "lib/base/regex.h"),
    (r"\bstd::(stoi|stol|stoul|stoll|stod|stof)\b|\b(atoi|atof|strtod|strtol)\(", r"$^", "ParseInt64, ParseDouble"),
    # yaml-cpp's event handlers can stop a parse only by an exception, which ends in the same file.
    (r"\bthrow\b", r"^lib/yaml/parse\.cc$", "absl::Status"),
    (r"\bcatch \(", r"^lib/(yaml|http|flags|metrics|service)/", "absl::Status"),
    (r"\bstd::thread\b", r"^lib/base/(thread|worker_pool)\.", "lib/base/thread.h"),
    (r"\babsl::Now\(", r"^lib/base/(clock\.cc|mutex\.h)$", "Clock"),
    (r"\bstd::cout\b|\bstd::cerr\b", r"$^", "Logger"),
    (r"\b(sleep|usleep|nanosleep|SleepFor|sleep_for)\(", r"$^", "a wait with a deadline on a condition"),
    (r"\busing namespace\b", r"$^", "names"),
    (r"\bstd::mutex\b|\babsl::Mutex\b", r"^lib/base/mutex\.h$", "lib/base/mutex.h"),
    (r"\bstd::format\b|#include <expected>", r"$^", "StrCat, absl::StatusOr"),
]


def includes(path):
    for number, line in enumerate(text(path).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1)


def layer_of(path):
    match = re.match(r"lib/(\w+)/", path)
    return LAYERS.index(match.group(1)) if match and match.group(1) in LAYERS else None


def engine_of(path):
    return next((e for e in ENGINES if path.startswith(e + "/")), None)


def rule_include_directions():
    """An include points down the layers; services do not include each other; products do not include tests."""
    for path in SOURCES:
        for number, header in includes(path):
            where = f"{path}:{number}"
            if path.startswith("lib/"):
                if header.startswith(("services/", "tests/", "cli/")):
                    yield f"{where}: lib includes {header}"
                mine, theirs = layer_of(path), layer_of(header)
                if mine is not None and theirs is not None and theirs > mine:
                    yield f"{where}: includes {header}, which is a higher layer"
            if path.startswith("services/"):
                other = re.match(r"services/(\w+)/", header)
                if other and other.group(1) != path.split("/")[1]:
                    yield f"{where}: a service includes another: {header}"
                if header.startswith(("tests/", "cli/")):
                    yield f"{where}: production includes {header}"
            engine = engine_of(path)
            if engine:
                if re.match(r"lib/(flags|yaml|rpc|service)/|lib/http/(server|router)\.h|.*\.pb\.h$|grpcpp/", header):
                    yield f"{where}: the engine {engine} includes {header}"
                if header.startswith("services/") and not header.startswith(engine + "/") and \
                        not any(header.startswith(e + "/") for e in ENGINES) and \
                        not re.match(r"services/alertmanager/(alerts|config)/", header):
                    yield f"{where}: an engine includes what is above it: {header}"


def rule_third_party_homes():
    """Each third-party library is included in its home only."""
    for path in SOURCES:
        for number, header in includes(path):
            for pattern, allowed, home in HOMES:
                if not re.search(pattern, header):
                    continue
                if path.startswith("tests/") and home in ("lib/rpc", "lib/http", "lib/metrics", "tests"):
                    continue
                if not re.search(allowed, path):
                    yield f"{path}:{number}: includes {header}, whose home is {home}"


def rule_include_paths_start_at_the_root():
    """Our headers are included by their path from the root, in quotes."""
    for path in SOURCES:
        for number, header in includes(path):
            quoted = '"' in text(path).splitlines()[number - 1]
            ours = header.split("/")[0] in ("lib", "services", "tests", "cli")
            if ours and not os.path.exists(os.path.join(ROOT, header)):
                yield f"{path}:{number}: {header} does not exist"
            if quoted and not ours and not re.match(r"absl/|catch2/|narthex/v1/|prometheus/|thanos/|opentelemetry/", header):
                yield f"{path}:{number}: {header}: include ours from the root and others in angle brackets"


# Sources that a CMakeLists.txt names by a path that leads up and down again.
LISTED_ELSEWHERE = {
    os.path.normpath(os.path.join(os.path.dirname(f), relative))
    for f in FILES if f.endswith("CMakeLists.txt") for relative in re.findall(r"\.\./[\w./]+\.cc", text(f))
}


def rule_every_source_is_listed():
    """Each .cc is named by the CMakeLists.txt of its folder or of one above."""
    for path in SOURCES:
        if not path.endswith(".cc"):
            continue
        folder, name = os.path.split(path)
        found = False
        above = folder
        while above and not found:
            lists = os.path.join(above, "CMakeLists.txt")
            if lists in FILES:
                relative = os.path.relpath(path, above)
                found = re.search(r"(?<![\w/.])" + re.escape(relative) + r"(?![\w.])", text(lists)) is not None
            above = os.path.dirname(above)
        found = found or path in LISTED_ELSEWHERE
        if not found and path != "tests/fuzz/run_corpus.cc":
            yield f"{path}: no CMakeLists.txt lists it"


def rule_banned_calls():
    """Names that have a replacement here."""
    for path in PRODUCT:
        body = code(path)
        for pattern, allowed, instead in BANNED:
            if re.search(allowed, path):
                continue
            for match in re.finditer(pattern, body):
                number = body.count("\n", 0, match.start()) + 1
                yield f"{path}:{number}: {match.group(0).strip()} is banned; use {instead}"


def rule_no_unfinished_marks():
    """No TODO, FIXME, XXX; no words of unfinished work."""
    for path in PRODUCT + [f for f in SOURCES if f.startswith("tests/")]:
        for number, line in enumerate(text(path).splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b|not yet implemented", line):
                yield f"{path}:{number}: {line.strip()[:80]}"


def rule_header_guards():
    """NARTHEX_<PATH>_H_ around every header."""
    for path in SOURCES:
        if not path.endswith(".h"):
            continue
        guard = "NARTHEX_" + re.sub(r"[/.]", "_", path).upper() + "_"
        if f"#ifndef {guard}\n#define {guard}\n" not in text(path):
            yield f"{path}: the guard is not {guard}"


def rule_classes_have_comments():
    """A class of a public header says what it is: a comment stands above it, or above the group at the head of the file."""
    for path in PRODUCT:
        if not path.endswith(".h"):
            continue
        lines = text(path).splitlines()
        for i, line in enumerate(lines):
            match = re.match(r"(class|struct) (?:ABSL_\w+ )?(\w+)[^;]*\{", line)
            if not match or match.group(1) == "struct":
                continue
            j = i - 1
            while j >= 0 and (lines[j].startswith("template") or lines[j].startswith("  ")):
                j -= 1
            if j < 0 or not lines[j].startswith("//"):
                yield f"{path}:{i + 1}: class {match.group(2)} has no comment"


def rule_folders_have_readmes():
    """Every folder with code says what it is."""
    folders = sorted({os.path.dirname(f) for f in PRODUCT})
    for folder in folders + ["tests", "proto", "deploy"]:
        if os.path.join(folder, "README.md") not in FILES:
            yield f"{folder}: no README.md"


def rule_markdown_titles():
    """Exactly one title a document, in its first line; folder READMEs stay short."""
    for path in MARKDOWN:
        body = re.sub(r"^```.*?^```", "", text(path), flags=re.S | re.M)
        titles = re.findall(r"^# .+", body, flags=re.M)
        if len(titles) != 1 or not text(path).startswith("# "):
            yield f"{path}: {len(titles)} titles; the first line is to be the only one"
        if path.endswith("/README.md") and path.count("/") >= 1 and len(text(path).splitlines()) > 90:
            yield f"{path}: a folder README of {len(text(path).splitlines())} lines"


def rule_links_resolve():
    """Relative links and paths in backquotes of documents name files that exist."""
    for path in MARKDOWN:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text(path)):
            if re.match(r"[a-z]+:", target):
                continue
            if not os.path.exists(os.path.join(ROOT, os.path.dirname(path), target)):
                yield f"{path}: the link {target} leads nowhere"
        for target in re.findall(r"`((?:lib|services|proto|tests|deploy|docs|cmake)/[\w./-]+\.\w+)`", text(path)):
            if not os.path.exists(os.path.join(ROOT, target)):
                yield f"{path}: {target} does not exist"


def rule_no_paths_of_a_machine():
    """The product speaks of itself only: no path or folder of the machine it was built on."""
    for path in FILES:
        if path.startswith(("tests/", ".ci/")) or path.endswith((".png", ".ico")):
            continue
        for number, line in enumerate(text(path).splitlines(), 1):
            if re.search(r"/work/|/root/|\.\./shared|\.\./\.library", line):
                yield f"{path}:{number}: {line.strip()[:80]}"


def rule_tests_have_a_subject():
    """A unit test folder mirrors a folder that exists."""
    for path in FILES:
        match = re.match(r"tests/unit/((?:lib|services)/\w+)/", path)
        if match and not os.path.isdir(os.path.join(ROOT, match.group(1))):
            yield f"{path}: {match.group(1)} is gone"


def rule_line_length():
    """Lines of code end at column 100, without white space at the end."""
    for path in SOURCES:
        for number, line in enumerate(text(path).splitlines(), 1):
            if len(line) > 100 and "http" not in line and 'R"' not in line and not path.startswith("tests/"):
                yield f"{path}:{number}: {len(line)} columns"
            if line != line.rstrip():
                yield f"{path}:{number}: white space at the end"


def rule_formatting():
    """clang-format has nothing to change in the product."""
    binary = next((b for b in ("clang-format-14", "clang-format") if subprocess.run(
        ["sh", "-c", f"command -v {b}"], capture_output=True).returncode == 0), None)
    if binary is None:
        if os.environ.get("CI"):
            yield "clang-format-14 is missing"
        else:
            print("note: clang-format-14 is missing, formatting was not checked")
        return
    for start in range(0, len(PRODUCT), 50):
        result = subprocess.run([binary, "--dry-run", *PRODUCT[start:start + 50]], cwd=ROOT, capture_output=True, text=True)
        for path in sorted(set(re.findall(r"^([^\s:]+):\d+:\d+: (?:warning|error)", result.stderr, flags=re.M))):
            yield f"{path}: not as clang-format writes it"


def main():
    rules = [(name, rule) for name, rule in sorted(globals().items()) if name.startswith("rule_")]
    failed = 0
    for name, rule in rules:
        findings = list(rule())
        for finding in findings:
            print(f"{name[5:]}: {finding}")
        failed += bool(findings)
    print(f"{len(rules) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
