# SPDX-License-Identifier: GPL-3.0-or-later
"""Medians over the rounds, ratios to direct, and tables of them."""
import statistics
import sys

FIGURES = ("rps", "p50_us", "p99_us", "cpu_us_per_request", "rss_kb")


def progress(row):
    shown = [f"{name}={row[name]:g}" for name in FIGURES if row[name] is not None]
    print(f"  round {row['round']} {row['peer']:16} {row['scenario']:16} {row['connections'] or 0:5} "
          f"{' '.join(shown)}{' ERRORS=' + str(row['errors']) if row['errors'] else ''}", file=sys.stderr)


def median(values):
    values = [v for v in values if v is not None]
    return round(statistics.median(values), 3) if values else None


def medians_of_counters(rows):
    names = {name for row in rows for name in row.get("counters", {})}
    return {name: median([row.get("counters", {}).get(name) for row in rows]) for name in sorted(names)}


def by_round(rows, name):
    return {row["round"]: row[name] for row in rows if row.get(name)}


def ratio(rows, base_rows, name):
    """Median over the rounds of rows' figure by base_rows' of the same round."""
    values, base = by_round(rows, name), by_round(base_rows, name)
    return median([values[r] / base[r] for r in values if r in base])


def grouped(rows):
    groups = {}
    for row in rows:
        groups.setdefault((row["peer"], row["scenario"], row["connections"]), []).append(row)
    return groups


def summary(rows, peers):
    """One entry for each peer, scenario and connection count: medians, and ratios to direct."""
    groups = grouped(rows)
    found = []
    for (peer, scenario, connections), members in sorted(
            groups.items(), key=lambda item: peers.index(item[0][0]) if item[0][0] in peers else len(peers)):
        entry = {"peer": peer, "scenario": scenario, "connections": connections}
        entry.update({name: median([row[name] for row in members]) for name in FIGURES})
        # A machine that stops for a moment ends up in the 99th percentile: the quietest round beside it.
        entry["p99_us_lowest"] = min([row["p99_us"] for row in members if row["p99_us"]], default=None)
        entry["errors"] = sum(row["errors"] or 0 for row in members)
        entry["rounds"] = len(members)
        direct = groups.get(("direct", scenario, connections), [])
        for name in ("rps", "p50_us", "p99_us"):
            entry[f"{name}_ratio"] = ratio(members, direct, name)
        # What throughput would be against direct on one CPU that nobody else uses.
        way = ratio(direct, members, "way_us_per_request")
        if way:
            entry["way_ratio"] = way
        counts = medians_of_counters(members)
        if counts:
            entry["counters"] = counts
        found.append(entry)
    return found


def compare(rows, one, other):
    """Two builds side by side: the other's figure by the one's of the same round, with quartiles."""
    groups = grouped(rows)
    if not any(row["peer"] == other for row in rows):
        return
    print(f"\n{other} by {one}, median [quartiles] over the rounds\n")
    print("| load | CPU a request | requests/s | p99 |\n|---|---|---|---|")
    for (peer, scenario, connections), members in groups.items():
        if peer != one or scenario == "idle":
            continue
        cells = []
        for name in ("cpu_us_per_request", "rps", "p99_us"):
            a, b = by_round(members, name), by_round(groups.get((other, scenario, connections), []), name)
            ratios = sorted(b[r] / a[r] for r in a if r in b)
            if not ratios:
                cells.append("–")
                continue
            quarter = len(ratios) // 4
            cells.append(f"{statistics.median(ratios):.3f} [{ratios[quarter]:.3f} … {ratios[-1 - quarter]:.3f}]")
        print(f"| {scenario} {connections} | " + " | ".join(cells) + " |")


# ---- tables --------------------------------------------------------------------------------------

# Half of a constant rate later than this: the requests wait for each other, and the figure says only how long the load was.
BACKLOG_US = 100_000


def text(value, form="{:.4g}"):
    return "–" if value is None else form.format(value)


def cell(entry, scenario):
    """What a scenario is read by."""
    if entry is None:
        return "–"
    if scenario == "idle":
        return text(entry["rss_kb"] and entry["rss_kb"] / 1024, "{:.1f} MB")
    ratio, cpu = entry["rps_ratio"], entry["cpu_us_per_request"]
    if scenario == "paced" and (entry["p50_us"] or 0) > BACKLOG_US:
        parts = ["does not keep up"]
    elif scenario == "paced":
        parts = [f"{text(entry['p50_us'], '{:.0f}')} / {text(entry['p99_us'], '{:.0f}')} µs"]
        if entry["peer"] != "direct":
            parts[0] += f" ({text(entry['p50_us_ratio'], '{:.2f}')} / {text(entry['p99_us_ratio'], '{:.2f}')})"
    elif entry["peer"] == "direct":
        parts = [text(entry["rps"], "{:,.0f}/s")]
    else:
        parts = [text(ratio, "{:.3f}")]
    if cpu and entry["peer"] != "direct":
        parts.append(text(cpu, "{:.1f} µs"))
    if entry["errors"]:
        parts.append(f"{entry['errors']} errors")
    return " · ".join(parts)


def columns(entries):
    order = ("keepalive", "paced", "new-connections", "bulk", "idle")
    found = {(e["scenario"], e["connections"]) for e in entries if e["scenario"] in order}
    return sorted(found, key=lambda k: (order.index(k[0]), k[1]))


def heading(scenario, connections):
    return {"keepalive": f"c{connections}", "paced": "2,000 rps p50 / p99", "new-connections": "new conn.",
            "bulk": "1 MiB", "idle": "idle" if not connections else f"{connections:,} idle"}[scenario]


def lines(entries):
    """The table in Markdown: ratio to direct · proxy CPU a request (both proxies)."""
    head = columns(entries)
    peers = list(dict.fromkeys(e["peer"] for e in entries))
    yield "| peer | " + " | ".join(heading(*k) for k in head) + " |"
    yield "|" + "---|" * (len(head) + 1)
    for peer in peers:
        of = {(e["scenario"], e["connections"]): e for e in entries if e["peer"] == peer}
        yield f"| {peer} | " + " | ".join(cell(of.get(k), k[0]) for k in head) + " |"


def counter_lines(entries):
    entries = [e for e in entries if e.get("counters")]
    names = list(dict.fromkeys(name for e in entries for name in e["counters"]))
    if not names:
        return
    yield "| a request, both nodes | " + " | ".join(names) + " |"
    yield "|" + "---|" * (len(names) + 1)
    for e in entries:
        yield (f"| {e['peer']} {e['scenario']} {e['connections']} | "
               + " | ".join(text(e["counters"].get(name), "{:.2f}") for name in names) + " |")


def table(result):
    m = result["machine"]
    print(f"\n{m['cpu']}, {m['cores']} cores, kernel {m['kernel']}, {m['mode']}, {m['rounds']} rounds, {m['date']}")
    print(", ".join(f"{k} {v}" for k, v in m["programs"].items()))
    print("requests/s against direct · CPU of both proxies a request\n")
    print("\n".join(lines(result["summary"])))
    print()
    print("\n".join(counter_lines(result["summary"])))


def goal_lines(result):
    """Each goal with what was measured."""
    yield "| goal | wanted | at this machine's speed | measured | |"
    yield "|---|---|---|---|---|"
    for v in result["goals"]:
        verdict = "not measured" if v["met"] is None else "met" if v["met"] else "falls short"
        note = f"; {v['note']}" if v.get("note") else ""
        yield (f"| {v['goal']} | {v['wanted']} | {text(v['limit'])} | {text(v['measured'])} {v['unit']} | "
               f"{verdict}{note} |")


def goals(result):
    m = result["machine"]
    print(f"\n{m['cpu']}, {m['cores']} cores, kernel {m['kernel']}, {m['rounds']} rounds, {m['date']}\n")
    print("\n".join(goal_lines(result)))
