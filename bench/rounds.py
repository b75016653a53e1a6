# SPDX-License-Identifier: GPL-3.0-or-later
"""The usual scenarios: interleaved rounds of every load over every peer.

Every peer stands in a world of its own. A round goes through the loads, and for each through the peers,
so that direct and a peer are measured within seconds of each other; the order of the peers is
rotated by one each round and every second round reversed: a drift of the machine falls on all of them.
"""
import os
import sys

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
# CPU of everything on the way (client, proxies, server), and what Portcullis' workers count; by request.
MORE = ("way_us_per_request", "counters")


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
        row.update({k: found[k] for k in MORE if found.get(k)})
        self.rows.append(row)
        report.progress(row)

    def attempt(self, world, scenario, connections, measurement, name=None):
        """A measurement that gives no figure is a row with an error, not a gap."""
        peer = name or world.peer
        try:
            found = measurement()
            cpu_us = found.get("cpu_us_per_request")
            if world.peer != "direct" and cpu_us is not None and cpu_us < 0.5:
                raise Failed("the proxies did nothing: the load went past them")
            self.add(peer, scenario, connections, found)
        except (Failed, ValueError) as e:
            print(f"  {peer} {scenario} {connections}: {e}", file=sys.stderr)
            self.add(peer, scenario, connections, {"errors": 1})


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
