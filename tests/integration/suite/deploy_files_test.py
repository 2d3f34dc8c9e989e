#!/usr/bin/env python3
"""What deploy/ ships, by the tools of Prometheus and Alertmanager."""

import glob
import os
import subprocess

from harness import ROOT, peer, run_cases

DEPLOY = os.path.join(ROOT, "deploy")


def check(tool, *args):
    program = peer(tool)
    if program is None:
        return
    result = subprocess.run([program, *args], cwd=DEPLOY, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def prometheus_config():
    """promtool accepts both prometheus.yml, with their rules"""
    check("promtool", "check", "config", "prometheus.yml")
    # In the image the rules lie beside the file.
    check("promtool", "check", "config", "--syntax-only", "docker/prometheus.yml")


def rules():
    """promtool accepts every rule file"""
    files = sorted(glob.glob(os.path.join(DEPLOY, "rules", "*.yml")))
    assert files
    check("promtool", "check", "rules", *files)


def alertmanager_config():
    """amtool accepts both alertmanager.yml"""
    check("amtool", "check-config", "alertmanager.yml", "docker/alertmanager.yml")


if __name__ == "__main__":
    run_cases([prometheus_config, rules, alertmanager_config])
