#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""profile.sh: one peer under one load, and perf at both proxies. Where perf cannot be used it says so, and
shows what can be had without: user and system time of every thread, and the workers' counters."""
import argparse
import os
import subprocess
import sys
import time

import flame
import measure
from measure import NODES, Failed, World

PERF = ("perf", "record", "-q", "-g", "-e", "cpu-clock", "-F", "997")
TOP = 25


def parse():
    parser = argparse.ArgumentParser(prog="bench/profile.sh")
    parser.add_argument("--peer", default="portcullis-l7")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=int, help="requests a second instead of as many as go")
    parser.add_argument("--close", action="store_true", help="a new connection for every request")
    parser.add_argument("--path", default="/api/item", help="/api/item is 1 KiB, /api/bulk 1 MiB")
    parser.add_argument("--target", default="server", help="server; near is on the client's node")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--cpus", choices=("pinned", "all"), default="pinned")
    parser.add_argument("--out", default="build/profile")
    return parser.parse_args()


def load_of(options, world):
    if options.rate:
        return lambda: world.paced(options.connections, options.rate, options.seconds, target=options.target)
    headers = ["Connection: close"] if options.close else []
    return lambda: world.wrk(options.connections, options.seconds, path=options.path, headers=headers,
                             target=options.target)


def perf_works():
    try:
        done = subprocess.run([*PERF, "-o", "/dev/null", "true"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def record(world, options):
    """perf, one a node, for as long as the load lasts."""
    running = {}
    for node in NODES:
        pids = ",".join(str(pid) for pid in world.processes(f"proxy-{node}"))
        running[node] = subprocess.Popen(  # pylint: disable=consider-using-with
            [*PERF, "-o", f"{options.out}/{node}.data", "-p", pids, "--", "sleep", str(options.seconds)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return running


def show(world, options, found):
    print(f"{world.peer}, {options.connections} connections: {found['rps']:.0f} requests/s, "
          f"{found['cpu_us_per_request']} µs a request, {found['errors']} errors")
    for name, value in (found["counters"] or {}).items():
        print(f"  {name:14} {value:8.3f} a request")


def graphs(options):
    for node in NODES:
        script = subprocess.run(["perf", "script", "-i", f"{options.out}/{node}.data", "-F", "comm,tid,ip,sym"],
                                capture_output=True, text=True, check=False)
        stacks = flame.fold(script.stdout)
        total = sum(stacks.values())
        if not total:
            raise Failed(f"{node}: perf took no sample")
        with open(f"{options.out}/{node}.folded", "w", encoding="utf-8") as f:
            f.writelines(f"{';'.join(stack)} {count}\n" for stack, count in sorted(stacks.items()))
        with open(f"{options.out}/{node}.svg", "w", encoding="utf-8") as f:
            f.write(flame.draw(stacks, f"{options.peer} {node}, {options.connections} connections, {total} samples"))
        print(f"\n{node}: {total} samples, {options.out}/{node}.svg\n  self   with callees")
        for name, own, whole in flame.heaviest(stacks, TOP):
            print(f"  {100 * own / total:5.1f} % {100 * whole / total:5.1f} %  {name}")


def thread_times(world):
    ticks = os.sysconf("SC_CLK_TCK")
    for node in NODES:
        for pid in world.processes(f"proxy-{node}"):
            for thread in measure.threads(pid):
                name, _, fields = measure.read(f"/proc/{pid}/task/{thread}/stat").rpartition(")")
                user, system = (int(n) / ticks for n in fields.split()[11:13])
                print(f"  {node} {name.partition('(')[2]:16} user {user:6.2f} s  system {system:6.2f} s")


def main():
    options = parse()
    os.makedirs(options.out, exist_ok=True)
    measure.place(options.cpus)
    world = World(options.peer, "a", {"BIN": os.environ["BIN_B"]} if options.peer.endswith("-b") else None)
    try:
        world.up()
        world.wrk(16, 1)
        usable = perf_works()
        running = record(world, options) if usable else {}
        time.sleep(.3)
        found = load_of(options, world)()
        for process in running.values():
            process.wait(timeout=60)
        show(world, options, found)
        if usable:
            graphs(options)
        else:
            print("perf cannot be used here; user and system time since the start:")
            thread_times(world)
    except Failed as e:
        sys.exit(f"profile: {e}")
    finally:
        world.rig("down").communicate()


if __name__ == "__main__":
    main()
