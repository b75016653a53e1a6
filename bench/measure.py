# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured, and how: the loads, the proxies' CPU and memory, Portcullis' own counters.

The rig's names come from the environment: P (prefix of the namespaces) and W (state directory).
"""
import json
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
P = os.environ.get("P", "")
W = os.environ.get("W", "")
PORT = 8080
NODES = ("n1", "n2")
UNITS_US = {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}
RIG_TIMEOUT_S = 90
LOAD = os.path.join(HERE, "../build/release/bench/load/bench-load")


class Failed(Exception):
    """A measurement that gave no figure."""


def rig(*words, env=None):
    """One call of rig.sh; its complaint is the exception's text."""
    done = subprocess.run([os.path.join(HERE, "rig.sh"), *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=RIG_TIMEOUT_S, check=False,
                          env={**os.environ, **(env or {})})
    if done.returncode:
        raise Failed(f"rig.sh {' '.join(words)}: {done.stderr.strip()[-400:]}")


def address(pod):
    with open(f"{W}/pods", encoding="utf-8") as f:
        return next(line.split()[4] for line in f if line.split()[0] == pod)


def in_pod(pod, command):
    return ["ip", "netns", "exec", f"{P}-p-{pod}", *command]


# ---- the proxies' cost ---------------------------------------------------------------------------

def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except OSError:
        return ""


def process_tree(pid):
    """The process and its descendants."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        for thread in threads(pid):
            todo += [int(child) for child in read(f"/proc/{pid}/task/{thread}/children").split()]
    return found


def threads(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def proxies():
    """Process ids of both nodes' proxies; none for direct."""
    found = []
    for node in NODES:
        pid = read(f"{W}/pid/proxy-{node}").strip()
        if pid:
            found += process_tree(int(pid))
    return found


def cpu_ns():
    """Time on a CPU of every thread of both proxies."""
    total = 0
    for pid in proxies():
        for thread in threads(pid):
            total += int((read(f"/proc/{pid}/task/{thread}/schedstat").split() or ["0"])[0])
    return total


def rss_kb():
    total = 0
    for pid in proxies():
        found = re.search(r"^Rss:\s+(\d+)", read(f"/proc/{pid}/smaps_rollup"), re.M)
        total += int(found[1]) if found else 0
    return total


# ---- Portcullis' counters ------------------------------------------------------------------------

# Name in the report ▶ name at /metrics.
COUNTERS = {
    "sends": "portcullis_sends_total",
    "receives": "portcullis_receives_total",
    "records": "portcullis_tunnel_records_sealed_total",
    "frames": "portcullis_tunnel_frames_sent_total",
    "turns": "portcullis_turns_total",
    "completions": "portcullis_completions_total",
    "submissions": "portcullis_submissions_total",
    "enters": "portcullis_ring_enters_total",
    "no_buffer": "portcullis_receive_buffers_missing_total",
    "allocations": "portcullis_allocations_total",
    "requests": "portcullis_requests_total",
}


def metrics(node):
    """All samples of a node's /metrics without labels."""
    done = subprocess.run(["ip", "netns", "exec", f"{P}-{node}", "curl", "-s", "-m", "2",
                           "http://127.0.0.1:15020/metrics"], capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) == 2 and not line.startswith("#"):
            found[words[0]] = float(words[1])
    return found


def counters():
    """Sums over both nodes, of those that this build has."""
    total = {}
    for node in NODES:
        have = metrics(node)
        for short, name in COUNTERS.items():
            if name in have:
                total[short] = total.get(short, 0) + have[name]
    return total


class Cost:
    """CPU (and counters, if asked for) between entering and leaving."""

    def __init__(self, counted):
        self.counted = counted
        self.before, self.cpu_us, self.counts = {}, 0.0, {}

    def __enter__(self):
        if self.counted:
            self.before = counters()
        self.start = cpu_ns()
        return self

    def __exit__(self, *_):
        self.cpu_us = (cpu_ns() - self.start) / 1e3
        if self.counted:
            after = counters()
            self.counts = {k: after[k] - self.before.get(k, 0) for k in after}

    def per_request(self, requests):
        """(CPU µs, counters) a request; None where nothing was counted."""
        if not requests:
            return None, None
        counts = {k: round(v / requests, 4) for k, v in self.counts.items()}
        return round(self.cpu_us / requests, 3), counts or None


# ---- loads ---------------------------------------------------------------------------------------

def parse_us(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return round(float(number) * UNITS_US[unit], 1)


def parse_wrk(text):
    """requests, rps, p50_us, p99_us, errors of wrk --latency; raises Failed without them."""
    requests = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p50 = re.search(r"^\s+50%\s+(\S+)", text, re.M)
    p99 = re.search(r"^\s+99%\s+(\S+)", text, re.M)
    if not (requests and rate and p50 and p99):
        raise Failed(f"wrk said: {text.strip()[-300:]!r}")
    status = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = int(status[1]) if status else 0
    errors += sum(int(n) for n in sockets.groups()) if sockets else 0
    return {"requests": int(requests[1]), "rps": float(rate[1]), "p50_us": parse_us(p50[1]),
            "p99_us": parse_us(p99[1]), "errors": errors}


def wrk_command(pod, connections, seconds, path="/api/item", headers=(), target="server", wrk_threads=1):
    command = ["wrk", f"-t{min(wrk_threads, connections)}", f"-c{connections}", f"-d{seconds}s", "--latency",
               "--timeout", "10s"]
    for header in headers:
        command += ["-H", header]
    return in_pod(pod, command + [f"http://{address(target)}:{PORT}{path}"])


def run(command, timeout_s):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as e:
        raise Failed(f"{' '.join(command[4:])}: not finished in {timeout_s} s") from e
    if done.returncode:
        raise Failed(f"{' '.join(command[4:])}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def wrk(connections, seconds, pod="client", counted=False, **options):
    """One run of wrk: its figures, with cpu_us_per_request and counters."""
    with Cost(counted) as cost:
        text = run(wrk_command(pod, connections, seconds, **options), seconds + 30)
    found = parse_wrk(text)
    found["cpu_us_per_request"], found["counters"] = cost.per_request(found["requests"])
    return found


def paced_command(pod, connections, rate, seconds, warmup_s=0.5, headers=(), target="server"):
    command = [LOAD, "paced", "-c", str(connections), "-r", str(rate), "-t", str(seconds), "-w", str(warmup_s)]
    for header in headers:
        command += ["-H", header]
    return in_pod(pod, command + [address(target), str(PORT), "/api/item"])


def paced(connections, rate, seconds, pod="client", counted=False, **options):
    """A constant rate; latencies from the moment at which each request was due."""
    with Cost(counted) as cost:
        found = json.loads(run(paced_command(pod, connections, rate, seconds, **options), seconds + 30))
    found["cpu_us_per_request"], found["counters"] = cost.per_request(found["requests"])
    return found


class Held:
    """Open connections that have had one answer each and stay until the block is left."""

    def __init__(self, connections, headers=(), pod="client"):
        command = [LOAD, "hold", "-c", str(connections)]
        for header in headers:
            command += ["-H", header]
        command += [address("server"), str(PORT), "/api/item"]
        self.command = in_pod(pod, ["prlimit", "--nofile=20000:20000", *command])
        self.open, self.errors = 0, 0

    def __enter__(self):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise Failed("hold: no connections")
        found = json.loads(line)
        self.open, self.errors = found["open"], found["errors"]
        return self

    def __exit__(self, *_):
        """What was cut meanwhile is an error too."""
        line, _ = self.process.communicate(timeout=30)
        self.errors += json.loads(line)["cut"]
