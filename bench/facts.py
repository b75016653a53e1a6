# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine and the programs that a result belongs to."""
import os
import platform
import re
import subprocess
import time

import measure


def output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip()


def version(pattern, *command):
    found = re.search(pattern, output(*command))
    return found[1] if found else None


def program(name):
    """Path of a peer's program, as run.sh found it."""
    return os.environ.get(f"PEER_{name.upper()}") or None


def missing_peers():
    """Peer ▶ why it cannot be measured here."""
    missing = {}
    for name in ("haproxy", "nginx", "envoy"):
        if not program(name):
            missing[name] = os.environ.get(f"PEER_{name.upper()}_MISSING", "not installed")
    return missing


def source_revision():
    at = measure.HERE
    revision = output("git", "-C", at, "rev-parse", "--short=12", "HEAD")
    changed = output("git", "-C", at, "status", "--porcelain", "--untracked-files=no")
    return revision + ("+changes" if changed else "")


def programs():
    found = {"portcullis": source_revision(), "wrk": version(r"wrk (\S+)", "wrk", "-v")}
    if program("haproxy"):
        found["haproxy"] = version(r"version (\S+)", program("haproxy"), "-v")
    if program("nginx"):
        found["nginx"] = version(r"nginx/(\S+)", program("nginx"), "-v")
    if program("envoy"):
        found["envoy"] = version(r"version: \w+/([\d.]+)", program("envoy"), "--version")
    found["nginx-server"] = version(r"nginx/(\S+)", "nginx", "-v")
    return found


def congestion_control(world):
    """What the rig's namespaces were allowed to use (rig.sh)."""
    return output(*world.in_node("n1", ["sysctl", "-n", "net.ipv4.tcp_congestion_control"]))


def mode(options):
    if options.goals:
        return "one CPU for client, server and proxies; swap, fairness, workers and two-cpus: all CPUs"
    if options.cpus == "pinned":
        return "pinned: client, server and proxies on one CPU"
    return f"{os.cpu_count()} CPUs shared"


def machine(options, missing, started, congestion):
    cpu = re.search(r"model name\s*:\s*(.*)", measure.read("/proc/cpuinfo"))
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_kb": int(re.search(r"MemTotal:\s+(\d+)", measure.read("/proc/meminfo"))[1]),
        "kernel": platform.release(),
        "system": re.search(r'PRETTY_NAME="(.*)"', measure.read("/etc/os-release"))[1],
        "congestion_control": congestion,
        "programs": programs(),
        "left_out": missing,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started),
        "mode": mode(options),
        "workers": int(os.environ.get("WORKERS", "1")),
        "rounds": options.rounds,
        "seconds_per_load": options.seconds,
    }
