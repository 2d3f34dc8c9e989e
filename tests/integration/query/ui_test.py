#!/usr/bin/env python3
"""The script of the web pages, run in Node with a small document of its own against answers of the API: links of alerts open and show their
result, every page shows what the API says, and nothing of an answer becomes markup. Skipped where there is no Node."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration", "suite"))
from harness import run_cases  # noqa: E402

# A document with what the script uses, and no more: an unknown property fails as it would in a browser.
BROWSER = r"""
const fs = require('fs'), vm = require('vm');
const [page, address, answersFile] = process.argv.slice(2);
const answers = JSON.parse(fs.readFileSync(answersFile));
const calls = [], painted = [];
class Node {
  constructor(tag) { this.tag = tag; this.children = []; this.attributes = {}; this.listeners = {}; this.style = {}; this.value = ''; this.clientWidth = 800; this.clientHeight = 360;
    this.selectionStart = this.selectionEnd = 0;
    this.classList = {toggle: (name, on) => { this.classes = this.classes || new Set(); on ? this.classes.add(name) : this.classes.delete(name); }}; }
  append(...nodes) { for (const n of nodes) { if (n instanceof Node) n.parent = this; this.children.push(n); } }
  replaceChildren(...nodes) { this.children = []; this.append(...nodes); }
  setAttribute(name, value) { this.attributes[name] = String(value); if (name === 'value') this.value = String(value); }
  addEventListener(name, f) { this.listeners[name] = f; }
  remove() { this.parent.children = this.parent.children.filter((c) => c !== this); }
  set textContent(text) { this.children = [text]; }
  get textContent() { return this.children.map((c) => c instanceof Node ? c.textContent : String(c)).join(' '); }
  getContext() { return new Proxy({}, {get: (t, name) => name in t ? t[name] : (...args) => painted.push([name, ...args]), set: (t, name, v) => { t[name] = v; return true; }}); }
  all(tag) { return this.children.flatMap((c) => c instanceof Node ? [...(c.tag === tag ? [c] : []), ...c.all(tag)] : []); }
}
const ids = {nav: new Node('nav'), main: new Node('main')};
const url = new URL(address, 'http://host');
const document = {baseURI: 'http://host/prefix/', title: 'T', body: new Node('body'), getElementById: (id) => ids[id], createElement: (tag) => new Node(tag)};
const sandbox = {document, location: url, URL, URLSearchParams, AbortController, performance, console, Promise, Date, Math, setTimeout,
  history: {replaceState: (a, b, text) => { url.search = new URL(text, 'http://host').search; }},
  window: {devicePixelRatio: 1}, getComputedStyle: () => ({color: '#000'}),
  ResizeObserver: class { constructor(f) { this.f = f; } observe() { this.f(); } },
  fetch: async (path, options) => {
    const form = options && options.body ? Object.fromEntries(options.body) : Object.fromEntries(new URL(path, 'http://x').searchParams);
    const name = path.replace(/\?.*/, '').replace('api/v1/', '');
    calls.push([name, form]);
    const answer = answers[name];
    if (!answer) return {status: 404, statusText: 'Not Found', json: async () => { throw new Error('no JSON'); }};
    return {status: 200, json: async () => JSON.parse(JSON.stringify(answer))};
  }};
vm.createContext(sandbox);
const html = fs.readFileSync(page, 'utf8');
const script = /<script>([\s\S]*)<\/script>/.exec(html)[1];
vm.runInContext(script, sandbox);
setTimeout(() => {
  const main = ids.main;
  console.log(JSON.stringify({text: main.textContent, nav: ids.nav.textContent, calls, painted: painted.map((p) => p[0]), texts: painted.filter((p) => p[0] === 'fillText').map((p) => p[1]),
    links: main.all('a').map((a) => a.attributes.href), tags: [...new Set(main.all('script').concat(main.all('img')).map((n) => n.tag))], areas: main.all('textarea').map((a) => a.value), search: url.search}));
}, 200);
"""

NODE = None
DIR = None


def open_page(address, answers):
    files = {"browser.js": BROWSER, "answers.json": json.dumps(answers)}
    for name, text in files.items():
        with open(os.path.join(DIR, name), "w") as f:
            f.write(text)
    page = os.path.join(ROOT, "services", "query", "ui", "page.html")
    run = subprocess.run([NODE, os.path.join(DIR, "browser.js"), page, address, os.path.join(DIR, "answers.json")], capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


def good(data, **more):
    return {"status": "success", "data": data, **more}


VECTOR = good({"resultType": "vector", "result": [
    {"metric": {"__name__": "up", "job": "<img src=x onerror=alert(1)>"}, "value": [1700000000, "1"]},
    {"metric": {"a b": "c"}, "histogram": [1700000000, {"count": "3", "sum": "1.5", "buckets": [[0, "1", "2", "3"]]}]}]}, warnings=["careful"], infos=["by the way"])
MATRIX = good({"resultType": "matrix", "result": [
    {"metric": {"__name__": "x", "i": str(i)}, "values": [[1700000000 + 15 * k, str(k * i)] for k in range(20) if k != 7] + [[1700000400, "NaN"], [1700000500, "+Inf"]]}
    for i in range(3)]})


def test_the_link_of_an_alert_shows_its_table():
    shown = open_page("/prefix/graph?g0.expr=up%20%3E%200&g0.tab=1", {"query": VECTOR, "label/__name__/values": good(["up"])})
    assert shown["areas"] == ["up > 0"]
    queries = [form for name, form in shown["calls"] if name == "query"]
    assert len(queries) == 1 and queries[0]["query"] == "up > 0", shown["calls"]
    for text in ('up{job="<img src=x onerror=alert(1)>"}', '{"a b"="c"}', "count 3, sum 1.5", "(1, 2]: 3", "careful", "by the way", "2 series"):
        assert text in shown["text"], (text, shown["text"])
    assert shown["tags"] == [], "an answer became markup"
    assert "g0.expr=up+%3E+0" in shown["search"] and "g0.tab=table" in shown["search"]


def test_links_of_both_lines_draw_their_graph():
    for tab, stacked in (("0", "g0.stacked=1"), ("graph", "g0.display_mode=stacked"), ("graph", "g0.stacked=0")):
        shown = open_page(f"/prefix/graph?g0.expr=x&g0.tab={tab}&{stacked}&g0.range_input=2h30m&g0.end_input=2023-11-14%2022%3A20%3A00&g0.step_input=15", {"query_range": MATRIX})
        (form,) = [form for name, form in shown["calls"] if name == "query_range"]
        assert (float(form["end"]), float(form["end"]) - float(form["start"]), form["step"]) == (1700000400, 9000, "15"), form
        assert shown["painted"].count("stroke") >= 3 and "lineTo" in shown["painted"]
        assert any(text.endswith(":00") for text in shown["texts"]), shown["texts"]
        assert 'x{i="2"}' in shown["text"]


def test_two_panels_and_errors():
    shown = open_page("/prefix/query?g0.expr=a&g1.expr=b&g1.tab=graph", {"query": {"status": "error", "errorType": "bad_data", "error": "1:2: parse error"}})
    assert shown["areas"] == ["a", "b"]
    assert "bad_data: 1:2: parse error" in shown["text"] and "404 Not Found" in shown["text"]
    assert "Execute" in open_page("/prefix/", {})["text"]


ALERT = {"labels": {"alertname": "A"}, "annotations": {"summary": "s"}, "state": "firing", "activeAt": "2023-11-14T22:13:20Z", "value": "1e+00"}
RULES = good({"groups": [{"name": "g", "file": "f.yml", "interval": 15, "evaluationTime": 0.001, "lastEvaluation": "2023-11-14T22:13:20Z", "rules": [
    {"type": "alerting", "name": "A", "state": "firing", "query": "up == 0", "duration": 60, "keepFiringFor": 0, "labels": {"severity": "page"}, "annotations": {"summary": "{{ $value }}"},
     "alerts": [ALERT], "health": "ok", "evaluationTime": 0, "lastEvaluation": "0001-01-01T00:00:00Z"},
    {"type": "recording", "name": "r", "query": "1", "labels": {}, "health": "err", "lastError": "broken", "evaluationTime": 0, "lastEvaluation": "0001-01-01T00:00:00Z"}]}]})
TARGET = {"discoveredLabels": {"__address__": "a:1"}, "labels": {"job": "j"}, "scrapePool": "pool", "scrapeUrl": "http://a:1/metrics", "globalUrl": "http://a:1/metrics", "lastError": "refused",
          "lastScrape": "2023-11-14T22:13:20Z", "lastScrapeDuration": 0.002, "health": "down", "scrapeInterval": "15s", "scrapeTimeout": "10s"}


def test_every_page_shows_its_answer():
    targets = good({"activeTargets": [TARGET], "droppedTargets": [{"discoveredLabels": {"__address__": "b:2"}, "scrapePool": "pool"}], "droppedTargetCounts": {"pool": 1}})
    named = [{"name": "up", "value": 7}]
    pages = {
        "alerts": ({"rules": RULES}, ["A", "firing", "up == 0", 'alertname="A"', "summary: s"]),
        "rules": ({"rules": RULES}, ["f.yml", "r", "broken", "for 1m", "never"]),
        "targets": ({"targets": targets}, ["pool", "0 of 1 up", "http://a:1/metrics", "refused", 'job="j"']),
        "service-discovery": ({"targets": targets}, ['__address__="a:1"', "dropped by relabelling", "1 of 2 kept"]),
        "alertmanager-discovery": ({"alertmanagers": good({"activeAlertmanagers": [{"url": "http://am"}], "droppedAlertmanagers": []})}, ["http://am"]),
        "status": ({"status/runtimeinfo": good({"CWD": "/x"}), "status/buildinfo": good({"version": "1.2"})}, ["/x", "1.2"]),
        "tsdb-status": ({"status/tsdb": good({"headStats": {"numSeries": 5}, "seriesCountByMetricName": named, "labelValueCountByLabelName": named, "memoryInBytesByLabelName": named,
                                              "seriesCountByLabelValuePair": named})}, ["numSeries", "up", "7"]),
        "config": ({"status/config": good({"yaml": "global: {}"})}, ["global: {}"]),
        "flags": ({"status/flags": good({"query.timeout": "2m"})}, ["query.timeout", "2m"]),
    }
    for page, (answers, texts) in pages.items():
        shown = open_page(f"/prefix/{page}", answers)
        for text in texts:
            assert text in shown["text"], (page, text, shown["text"])
        assert "Service discovery" in shown["nav"]
        assert "404 Not Found" in open_page(f"/prefix/{page}", {})["text"], page
    links = open_page("/prefix/alerts", {"rules": RULES})["links"]
    assert links[0] == "query?g0.expr=up+%3D%3D+0&g0.tab=table", links


def main():
    global NODE, DIR
    NODE = shutil.which("node")
    if not NODE:
        return 77
    with tempfile.TemporaryDirectory() as DIR:
        run_cases([test_the_link_of_an_alert_shows_its_table, test_links_of_both_lines_draw_their_graph, test_two_panels_and_errors, test_every_page_shows_its_answer])


if __name__ == "__main__":
    sys.exit(main())
