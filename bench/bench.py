#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interleaved rounds of every load over every peer; called by run.sh, which cleans up behind it.

Every peer stands in a world of its own. A round goes through the loads, and for each through the peers,
so that direct and a peer are measured within seconds of each other; the order of the peers is
rotated by one each round and every second round reversed: a drift of the machine falls on all of them.
"""
import argparse
import json
import os
import sys
import time

import facts
import report
from measure import Failed, World

SCENARIOS = ("keepalive", "paced", "new-connections", "bulk", "idle")
PEERS = ("direct", "portcullis-l4", "portcullis-l7", "haproxy", "nginx", "envoy")
KEEPALIVE_CONNECTIONS = (1, 16, 64, 256)
PACED_RATE, PACED_CONNECTIONS = 2000, 16
CLOSE_CONNECTIONS = 16
BULK_CONNECTIONS = 4
IDLE_CONNECTIONS = 1000
IDLE_CONNECTIONS_MANY = 10000  # Portcullis only: the peers would want gigabytes and descriptors
# Then all start anew: where memory happened to lie is luck, and luck must not last a whole run.
ROUNDS_OF_A_PROCESS = 3
FIELDS = ("peer", "scenario", "connections", "rps", "p50_us", "p99_us", "cpu_us_per_request", "rss_kb",
          "errors", "round")


def world_of(peer, number):
    """A second build's peers end in -b and run on the programs in BIN_B."""
    return World(peer, chr(ord("a") + number), {"BIN": os.environ["BIN_B"]} if peer.endswith("-b") else None)


class Rows:
    """Rows as they come."""

    def __init__(self):
        self.rows = []
        self.round = 0

    def add(self, peer, scenario, connections, found):
        row = {name: None for name in FIELDS}
        row.update(peer=peer, scenario=scenario, connections=connections, round=self.round)
        row.update({k: v for k, v in found.items() if k in FIELDS})
        if found.get("counters"):
            row["counters"] = found["counters"]
        self.rows.append(row)
        report.progress(row)

    def attempt(self, world, scenario, connections, measurement):
        """A measurement that gives no figure is a row with an error, not a gap."""
        try:
            found = measurement()
            cpu_us = found.get("cpu_us_per_request")
            if world.peer != "direct" and cpu_us is not None and cpu_us < 0.5:
                raise Failed("the proxies did nothing: the load went past them")
            self.add(world.peer, scenario, connections, found)
        except (Failed, ValueError) as e:
            print(f"  {world.peer} {scenario} {connections}: {e}", file=sys.stderr)
            self.add(world.peer, scenario, connections, {"errors": 1})


class Rounds(Rows):
    """The rounds of the usual scenarios."""

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.worlds = [world_of(peer, i) for i, peer in enumerate(options.peers)]
        self.congestion = None

    def loads(self):
        """(scenario, connections, measurement of a world) in the order in which they run."""
        seconds, wrk_threads = self.options.seconds, self.options.wrk_threads
        for c in KEEPALIVE_CONNECTIONS:
            yield "keepalive", c, lambda w, c=c: w.wrk(c, seconds, wrk_threads=wrk_threads)
        yield "paced", PACED_CONNECTIONS, lambda w: w.paced(PACED_CONNECTIONS, PACED_RATE, seconds)
        yield "new-connections", CLOSE_CONNECTIONS, lambda w: w.wrk(
            CLOSE_CONNECTIONS, seconds, headers=["Connection: close"])
        yield "bulk", BULK_CONNECTIONS, lambda w: w.wrk(BULK_CONNECTIONS, seconds, path="/api/bulk")

    def up(self):
        """All worlds, fresh; one that does not come up is left out, with an error."""
        for world in self.worlds:
            world.bring_up()
        standing = []
        for world in self.worlds:
            try:
                world.wait_up()
                standing.append(world)
            except Failed as e:
                print(f"  {e}", file=sys.stderr)
                self.add(world.peer, "start", None, {"errors": 1})
        self.congestion = facts.congestion_control(self.worlds[0])
        return standing

    def down(self):
        for process in [world.rig("down") for world in self.worlds]:
            process.communicate()

    def idle(self, world):
        """Memory: fresh, and with open connections. Comes first, before any load has grown a pool."""
        if world.peer == "direct":
            return
        self.add(world.peer, "idle", 0, {"rss_kb": world.rss_kb(), "errors": 0})
        counts = [IDLE_CONNECTIONS]
        if world.counted and self.round == 0:
            counts.append(IDLE_CONNECTIONS_MANY)
        for count in counts:
            self.attempt(world, "idle", count, lambda count=count: world.held(count))

    def one_round(self, worlds, fresh):
        if fresh and "idle" in self.options.only:
            for world in worlds:
                self.idle(world)
        wanted = [load for load in self.loads() if load[0] in self.options.only]
        if fresh and wanted:
            for world in worlds:
                self.warm_up(world)
        for scenario, connections, measurement in wanted:
            for world in worlds:
                self.attempt(world, scenario, connections, lambda w=world, m=measurement: m(w))

    def warm_up(self, world):
        try:
            world.wrk(CLOSE_CONNECTIONS, 1)
        except Failed as e:
            print(f"  {world.peer}: {e}", file=sys.stderr)

    def run(self):
        standing = []
        try:
            for self.round in range(self.options.rounds):
                fresh = self.round % ROUNDS_OF_A_PROCESS == 0
                if fresh:
                    self.down()
                    standing = self.up()
                at = self.round % max(len(standing), 1)
                order = standing[at:] + standing[:at]
                self.one_round(order[::-1] if self.round % 2 else order, fresh)
        finally:
            self.down()


def parse():
    parser = argparse.ArgumentParser(prog="./build.sh bench")
    parser.add_argument("--quick", action="store_true", help="two rounds: at most four minutes")
    parser.add_argument("--rounds", type=int, help="9, quick 2")
    parser.add_argument("--seconds", type=int, default=1, help="of one load (1): machines drift, so many short "
                        "loads side by side tell more than few long ones")
    parser.add_argument("--only", default=",".join(SCENARIOS), help=f"of {','.join(SCENARIOS)}")
    parser.add_argument("--peers", help=f"of {','.join(PEERS)}, and others that bench/README.md names")
    parser.add_argument("--cpus", choices=("pinned", "all"), default="pinned",
                        help="client, server and proxies on one CPU, or on all")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 9)
    options.only = options.only.split(",")
    options.wrk_threads = 1 if options.cpus == "pinned" else 2
    unknown = set(options.only) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return options


def choose_peers(options):
    missing = facts.missing_peers()
    wanted = options.peers.split(",") if options.peers else list(PEERS)
    if os.environ.get("BIN_B") and not options.peers:
        wanted.append("portcullis-l7-b")
    options.peers = [peer for peer in wanted if peer.split("-")[0] not in missing]
    for peer in wanted:
        if peer not in options.peers:
            print(f"left out: {peer} ({missing[peer.split('-')[0]]})", file=sys.stderr)
    if not options.peers:
        sys.exit("bench: no peer is left")
    return missing


def main():
    options = parse()
    missing = choose_peers(options)
    started = time.time()
    rounds = Rounds(options)
    rounds.run()
    result = {"machine": facts.machine(options, missing, started, rounds.congestion), "rows": rounds.rows,
              "summary": report.summary(rounds.rows, options.peers)}
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
            f.write("\n")
    report.table(result)
    if "portcullis-l7-b" in options.peers:
        report.compare(rounds.rows, "portcullis-l7", "portcullis-l7-b")
    sys.exit(1 if any(row["errors"] for row in rounds.rows) else 0)


if __name__ == "__main__":
    main()
