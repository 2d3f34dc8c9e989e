"""What the tests of the real binaries share: a stack on ports and folders of its own, targets that misbehave on purpose, a webhook sink, and
small asserts. Standard library only."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def bin_dir():
    return os.environ.get("NARTHEX_BIN", os.path.join(ROOT, "build", "release", "bin"))


_ports_given = set()


def free_port():
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        if port not in _ports_given:
            _ports_given.add(port)
            return port


def fetch(url, data=None, method=None, headers=None, timeout=10):
    """(status, body) of a request; data may be a dict (a form), bytes or str."""
    if isinstance(data, dict):
        data = urllib.parse.urlencode(data, doseq=True)
    if isinstance(data, str):
        data = data.encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with _opener.open(request, timeout=timeout) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)


def wait_for(what, condition, timeout=30, every=0.05):
    """The first true value of condition() within `timeout`; a failure that says what was waited for otherwise."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(every)


def peer(*names):
    """The path of the first of these programs that exists, or None; with CI set a missing one is a failure."""
    for name in names:
        path = shutil.which(name, path=os.path.join(ROOT, "build", "tools", "usr", "bin") + ":" + os.environ.get("PATH", ""))
        if path:
            return path
    if os.environ.get("CI"):
        raise AssertionError(f"{names[0]} is missing")
    print(f"note: {names[0]} is missing; what needs it was not run")
    return None


class Process:
    """A child whose output goes to a file. Ends with the test."""

    def __init__(self, command, log, env=None):
        self.command, self.log = command, log
        self.file = open(log, "ab")
        self.process = subprocess.Popen(command, stdout=self.file, stderr=self.file, stdin=subprocess.DEVNULL,
                                        env={**os.environ, **(env or {})})

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def kill(self, sig=signal.SIGKILL, timeout=30):
        if self.alive():
            self.process.send_signal(sig)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{os.path.basename(self.command[0])} did not end within {timeout} s of signal {sig}; log: {self.tail()}")
        self.file.close()
        return self.process.returncode

    def tail(self, lines=15):
        with open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-lines:])


class Stack:
    """Some or all of the five services with ports and folders of their own, started and killed one by one."""

    def __init__(self, prometheus_yml="", alertmanager_yml="", flags=None):
        self.dir = tempfile.mkdtemp(prefix="narthex-suite-")
        self.ports = {name: free_port() for name in ("query", "storage", "scraper", "alertmanager", "pushgateway")}
        self.grpc = {name: free_port() for name in ("storage", "scraper", "alertmanager", "pushgateway")}
        self.flags = flags or {}
        self.processes = {}
        self.write("prometheus.yml", prometheus_yml)
        self.write("alertmanager.yml", alertmanager_yml or "route: {receiver: none}\nreceivers: [{name: none}]\n")

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def path(self, name):
        return os.path.join(self.dir, name)

    def command(self, name):
        web = f"--web.listen-address=127.0.0.1:{self.ports[name]}"
        binary = os.path.join(bin_dir(), f"narthex-{name}")
        storage = f"--storage.endpoint=127.0.0.1:{self.grpc['storage']}"
        grpc = [f"--grpc.listen-address=127.0.0.1:{self.grpc[name]}"] if name in self.grpc else []
        config = f"--config.file={self.path('prometheus.yml')}"
        own = {
            "storage": [config, f"--storage.path={self.path('storage')}"],
            "scraper": [config, storage, f"--spool.path={self.path('spool')}", "--web.enable-lifecycle"],
            "query": [config, storage, f"--scraper.endpoint=127.0.0.1:{self.grpc['scraper']}",
                      f"--alertmanager.endpoint=127.0.0.1:{self.grpc['alertmanager']}", "--web.enable-lifecycle"],
            "alertmanager": [f"--config.file={self.path('alertmanager.yml')}", f"--storage.path={self.path('alertmanager')}"],
            "pushgateway": [f"--persistence.file={self.path('push.state')}", "--persistence.interval=1s"],
        }[name]
        return [binary, web, *grpc, *own, *self.flags.get(name, [])]

    def start(self, *names, ready=True):
        for name in names:
            assert name not in self.processes or not self.processes[name].alive(), f"{name} runs already"
            self.processes[name] = Process(self.command(name), self.path(f"{name}.log"))
        if ready:
            for name in names:
                self.wait_ready(name)

    def wait_ready(self, name, timeout=60):
        def ready():
            if not self.processes[name].alive():
                raise AssertionError(f"{name} ended: {self.processes[name].tail()}")
            return fetch(f"{self.url(name)}/-/ready", timeout=2)[0] == 200
        wait_for(f"{name} to be ready ({self.path(name)}.log)", ready, timeout)

    def kill(self, name, sig=signal.SIGKILL):
        return self.processes[name].kill(sig)

    def url(self, name):
        return f"http://127.0.0.1:{self.ports[name]}"

    def api(self, path, **params):
        """The `data` of a successful API answer."""
        query = urllib.parse.urlencode(params, doseq=True)
        status, body = fetch(f"{self.url('query')}/api/v1/{path}?{query}", timeout=30)
        assert status == 200, f"{path} {params}: {status} {body[:500]}"
        return json.loads(body)["data"]

    def query(self, expression, **params):
        return self.api("query", query=expression, **params)["result"]

    def value(self, expression):
        """The value of the only series, or None."""
        with contextlib.suppress(AssertionError):
            result = self.query(expression)
            if len(result) == 1:
                return float(result[0]["value"][1])
        return None

    def logs(self):
        return "\n".join(f"--- {name}\n{p.tail()}" for name, p in self.processes.items())

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            print(self.logs())
        for process in self.processes.values():
            with contextlib.suppress(AssertionError):
                process.kill(signal.SIGKILL)
        if not os.environ.get("NARTHEX_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)


class Server:
    """An HTTP server on a thread; `answer(handler)` writes the whole answer."""

    def __init__(self, answer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self)

            def do_POST(self):
                answer(self)

            def log_message(self, *args):
                pass

        class Threading(socketserver.ThreadingMixIn, socketserver.TCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass

        self.server = Threading(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05})
        self.thread.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()


def run_cases(cases):
    """Runs functions one after another and prints the closing line."""
    passed = failed = 0
    wanted = sys.argv[1:]
    for case in cases:
        if wanted and not any(w in case.__name__ for w in wanted):
            continue
        start = time.monotonic()
        try:
            case()
            passed += 1
            print(f"ok   {case.__doc__ or case.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception as error:  # A test may fail in any way.
            failed += 1
            import traceback
            traceback.print_exc()
            print(f"FAIL {case.__doc__ or case.__name__}: {error}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
