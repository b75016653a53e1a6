#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interleaved rounds of every scenario over every peer; called by run.sh inside its rig.

The order of the peers is rotated by one each round and every second round reversed, so that a drift
of the machine falls on all of them. One peer's scenarios run together: it is started fresh, warmed
up for a second, measured and stopped.
"""
import argparse
import json
import os
import sys
import time

import facts
import measure
import report

SCENARIOS = ("keepalive", "paced", "new-connections", "bulk", "idle")
PEERS = ("direct", "portcullis-l4", "portcullis-l7", "haproxy", "nginx", "envoy")
KEEPALIVE_CONNECTIONS = (1, 16, 64, 256)
PACED_RATE, PACED_CONNECTIONS = 2000, 16
CLOSE_CONNECTIONS = 16
BULK_CONNECTIONS = 4
IDLE_CONNECTIONS = 1000
IDLE_CONNECTIONS_MANY = 10000  # Portcullis only: the peers would want gigabytes and descriptors
FIELDS = ("peer", "scenario", "connections", "rps", "p50_us", "p99_us", "cpu_us_per_request", "rss_kb",
          "errors", "round")


def is_ours(peer):
    return peer.startswith("portcullis")


def token_headers():
    token = measure.read(f"{measure.W}/token").strip()
    return [f"Authorization: Bearer {token}"] if token else []


def environment(peer):
    """A second build's peers end in -b and run on the programs in BIN_B."""
    return {"BIN": os.environ["BIN_B"]} if peer.endswith("-b") else {}


class Rounds:
    """Rows as they come, and how a peer's turn of a round goes."""

    def __init__(self, options):
        self.options = options
        self.rows = []
        self.round = 0
        self.congestion = None

    def row(self, peer, scenario, connections, found):
        row = {name: None for name in FIELDS}
        row.update(peer=peer, scenario=scenario, connections=connections, round=self.round)
        row.update({k: v for k, v in found.items() if k in FIELDS})
        if found.get("counters"):
            row["counters"] = found["counters"]
        self.rows.append(row)
        report.progress(row)

    def attempt(self, peer, scenario, connections, measurement):
        """A measurement that gives no figure is a row with an error, not a gap."""
        try:
            self.row(peer, scenario, connections, measurement())
        except (measure.Failed, ValueError) as e:
            print(f"  {peer} {scenario} {connections}: {e}", file=sys.stderr)
            self.row(peer, scenario, connections, {"errors": 1})

    def loads(self, peer):
        """(scenario, connections, measurement) in the order in which they run."""
        seconds, counted = self.options.seconds, is_ours(peer)
        common = {"counted": counted, "headers": token_headers()}
        for connections in KEEPALIVE_CONNECTIONS:
            yield "keepalive", connections, lambda c=connections: measure.wrk(
                c, seconds, wrk_threads=self.options.wrk_threads, **common)
        yield "paced", PACED_CONNECTIONS, lambda: measure.paced(
            PACED_CONNECTIONS, PACED_RATE, seconds, **common)
        close = {**common, "headers": common["headers"] + ["Connection: close"]}
        yield "new-connections", CLOSE_CONNECTIONS, lambda: measure.wrk(CLOSE_CONNECTIONS, seconds, **close)
        yield "bulk", BULK_CONNECTIONS, lambda: measure.wrk(
            BULK_CONNECTIONS, seconds, path="/api/bulk", **common)

    def idle(self, peer):
        """Memory: fresh, and with open connections. Comes first, before any load has grown a pool."""
        self.row(peer, "idle", 0, {"rss_kb": measure.rss_kb(), "errors": 0})
        counts = [IDLE_CONNECTIONS]
        if is_ours(peer) and self.round == 0:
            counts.append(IDLE_CONNECTIONS_MANY)
        for count in counts:
            self.attempt(peer, "idle", count, lambda c=count: self.held(c))

    @staticmethod
    def held(count):
        with measure.Held(count, token_headers()) as held:
            resident = measure.rss_kb()
        return {"rss_kb": resident, "errors": held.errors}

    def turn(self, peer):
        try:
            measure.rig("up", peer, env=environment(peer))
            self.congestion = facts.congestion_control()
            if "idle" in self.options.only and peer != "direct":
                self.idle(peer)
            wanted = [load for load in self.loads(peer) if load[0] in self.options.only]
            if wanted:
                measure.wrk(CLOSE_CONNECTIONS, 1, headers=token_headers())
            for scenario, connections, measurement in wanted:
                self.attempt(peer, scenario, connections, measurement)
        finally:
            measure.rig("down")

    def run(self):
        peers = list(self.options.peers)
        for self.round in range(self.options.rounds):
            at = self.round % len(peers)
            order = peers[at:] + peers[:at]
            for peer in reversed(order) if self.round % 2 else order:
                try:
                    self.turn(peer)
                except measure.Failed as e:
                    print(f"  {peer}: {e}", file=sys.stderr)
                    self.row(peer, "start", None, {"errors": 1})


def parse():
    parser = argparse.ArgumentParser(prog="./build.sh bench")
    parser.add_argument("--quick", action="store_true", help="two short rounds: at most four minutes")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="of one load (2)")
    parser.add_argument("--only", default=",".join(SCENARIOS), help=f"of {','.join(SCENARIOS)}")
    parser.add_argument("--peers", help=f"of {','.join(PEERS)}, and others that bench/README.md names")
    parser.add_argument("--cpus", default="pinned", help="pinned (all on one CPU), or all")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (1 if options.quick else 2)
    options.only = options.only.split(",")
    options.wrk_threads = 1 if options.cpus == "pinned" else 2
    unknown = set(options.only) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return options


def main():
    options = parse()
    missing = facts.missing_peers()
    wanted = options.peers.split(",") if options.peers else list(PEERS)
    if os.environ.get("BIN_B") and not options.peers:
        wanted.append("portcullis-l7-b")
    options.peers = [peer for peer in wanted if peer.split("-")[0] not in missing]
    if not options.peers:
        sys.exit("bench: no peer is left")
    for peer in wanted:
        if peer not in options.peers:
            print(f"left out: {peer} ({missing[peer.split('-')[0]]})", file=sys.stderr)
    started = time.time()
    rounds = Rounds(options)
    rounds.run()
    result = {"machine": facts.machine(options, missing, started, rounds.congestion), "rows": rounds.rows,
              "summary": report.summary(rounds.rows)}
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
            f.write("\n")
    report.table(result)
    sys.exit(1 if any(row["errors"] for row in rounds.rows) else 0)


if __name__ == "__main__":
    main()
