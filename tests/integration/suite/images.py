#!/usr/bin/env python3
"""The images and the compose file on a real engine: build, up, data through the query service, down."""

import json
import os
import shutil
import subprocess

from harness import ROOT, fetch, peer, run_cases, wait_for

COMPOSE = os.path.join(ROOT, "deploy", "docker-compose.yml")


def compose(*args, check=True):
    tool = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    return subprocess.run([*tool, "-f", COMPOSE, "-p", "narthex-test", *args], check=check, cwd=ROOT)


def compose_stack():
    """docker compose brings up the stack with node_exporter, and its values come back through the query service"""
    assert peer("docker"), "docker is missing"
    for tag, target in (("narthex", "narthex"), ("narthex-node-exporter", "node-exporter")):
        subprocess.run(["docker", "build", "-q", "-f", "deploy/Dockerfile", "--network", "host", "-t", tag, "--target", target, "."], check=True, cwd=ROOT)
    try:
        compose("up", "-d", "--no-build")

        def load():
            status, body = fetch("http://127.0.0.1:9090/api/v1/query?query=node_load1")
            return status == 200 and json.loads(body)["data"]["result"]
        result = wait_for("a value of node_exporter", load, 120, 1)
        print(f"     node_load1 {result[0]['value'][1]}")

        def all_up():
            status, body = fetch("http://127.0.0.1:9090/api/v1/query?query=count(up==1)")
            result = json.loads(body)["data"]["result"] if status == 200 else []
            return result and result[0]["value"][1] == "6"
        wait_for("all six targets", all_up, 120, 1)
    finally:
        compose("logs", "--tail=5", check=False)
        compose("down", "-v", check=False)


if __name__ == "__main__":
    run_cases([compose_stack])
