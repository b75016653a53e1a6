# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured, and how: a world of the rig with one peer in it, the loads through it, the proxies'
CPU and memory, Portcullis' own counters.
"""
import json
import os
import re
import resource
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
PORT = 8080
NODES = ("n1", "n2")
SERVERS = ("server", "near", "apart")
UNITS_US = {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}
RIG_TIMEOUT_S = 120
LOAD = os.path.join(HERE, "../build/release/bench/load/bench-load")

# Portcullis' counters: name in the report ▶ name at /metrics.
COUNTERS = {
    "sends": "portcullis_sends_total",
    "receives": "portcullis_receives_total",
    "lazy_sends": "portcullis_sends_without_completion_total",
    "records": "portcullis_tunnel_records_sealed_total",
    "frames": "portcullis_tunnel_frames_sent_total",
    "turns": "portcullis_turns_total",
    "completions": "portcullis_completions_total",
    "submissions": "portcullis_submissions_total",
    "queue_full": "portcullis_submission_queue_full_total",
    "waits_timed": "portcullis_waits_timed_total",
    "no_buffer": "portcullis_receive_buffers_missing_total",
    "copied_bytes": "portcullis_copied_bytes_total",
    "pool_objects": "portcullis_pool_objects_taken_total",
    "tls_allocations": "portcullis_tls_allocations_total",
    "requests": "portcullis_requests_total",
}


class Failed(Exception):
    """A measurement that gave no figure."""


def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except OSError:
        return ""


def place(cpus):
    """pinned: this process, and all that it starts, on one CPU (BENCH_CPU, else the last); what is not part
    of the way (policy-sync, the rules' watcher) goes to another one. all: everything anywhere."""
    count = os.cpu_count()
    os.environ.pop("BENCH_SIDE_CPU", None)
    if cpus == "all":
        os.sched_setaffinity(0, range(count))
        return
    cpu = int(os.environ.get("BENCH_CPU", count - 1))
    os.sched_setaffinity(0, {cpu})
    os.environ["BENCH_SIDE_CPU"] = str(count - 1 if cpu == 0 else 0)


# ---- processes -----------------------------------------------------------------------------------

def threads(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def thread_ns(pid, thread):
    """Its time on a CPU."""
    return int((read(f"/proc/{pid}/task/{thread}/schedstat").split() or ["0"])[0])


def process_tree(pid):
    """The process and its descendants."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        for thread in threads(pid):
            todo += [int(child) for child in read(f"/proc/{pid}/task/{thread}/children").split()]
    return found


def run(command, timeout_s):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as e:
        raise Failed(f"{' '.join(command[4:])}: not finished in {timeout_s} s") from e
    if done.returncode:
        raise Failed(f"{' '.join(command[4:])}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


# ---- wrk's words ---------------------------------------------------------------------------------

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


# ---- the world -----------------------------------------------------------------------------------

class World:
    """A world of its own with one peer in it; see rig.sh."""

    def __init__(self, peer, name, environment=None):
        self.peer, self.counted = peer, peer.startswith("portcullis")
        self.prefix = os.environ["BENCH_PREFIX"] + name
        self.dir = os.path.join(os.environ["BENCH_DIR"], name)
        self.environment = {**os.environ, "P": self.prefix, "W": self.dir, **(environment or {})}
        self.headers = []

    def rig(self, *words):
        return subprocess.Popen([os.path.join(HERE, "rig.sh"), *words], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                env=self.environment)

    def bring_up(self):
        """Starts to; join with wait_up, so that several worlds come up together."""
        self.coming = self.rig("up", self.peer)

    def wait_up(self):
        try:
            _, complaint = self.coming.communicate(timeout=RIG_TIMEOUT_S)
        except subprocess.TimeoutExpired as e:
            self.coming.kill()
            raise Failed(f"{self.peer}: not up in {RIG_TIMEOUT_S} s") from e
        if self.coming.returncode:
            raise Failed(f"{self.peer}: {complaint.strip()[-400:]}")
        token = read(f"{self.dir}/token").strip()
        self.headers = [f"Authorization: Bearer {token}"] if token else []

    def up(self):
        self.bring_up()
        self.wait_up()

    def address(self, pod):
        for line in read(f"{self.dir}/pods").splitlines():
            if line.split()[0] == pod:
                return line.split()[4]
        raise Failed(f"no pod {pod}")

    def in_pod(self, pod, command):
        return ["ip", "netns", "exec", f"{self.prefix}-p-{pod}", *command]

    def in_node(self, node, command):
        return ["ip", "netns", "exec", f"{self.prefix}-{node}", *command]

    # ---- the proxies' cost

    def processes(self, *names):
        """Process ids of what rig.sh started under these names, with their children."""
        found = []
        for name in names:
            pid = read(f"{self.dir}/pid/{name}").strip()
            if pid:
                found += process_tree(int(pid))
        return found

    def proxies(self):
        """Of both nodes; none for direct."""
        return self.processes(*(f"proxy-{node}" for node in NODES))

    def cpu_us(self):
        """Of the proxies, and of everything on the way: they, the servers, the load generators so far."""
        proxies = sum(thread_ns(pid, t) for pid in self.proxies() for t in threads(pid)) / 1e3
        servers = self.processes(*(f"server-{pod}" for pod in SERVERS))
        others = sum(thread_ns(pid, t) for pid in servers for t in threads(pid)) / 1e3
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return proxies, proxies + others + (spent.ru_utime + spent.ru_stime) * 1e6

    def threads_ns(self):
        """Node ▶ time on a CPU of each of its proxy's threads, by thread."""
        found = {}
        for node in NODES:
            pid = read(f"{self.dir}/pid/proxy-{node}").strip()
            found[node] = {thread: thread_ns(pid, thread) for thread in threads(pid)}
        return found

    def rss_kb(self):
        total = 0
        for pid in self.proxies():
            found = re.search(r"^Rss:\s+(\d+)", read(f"/proc/{pid}/smaps_rollup"), re.M)
            total += int(found[1]) if found else 0
        return total

    def metrics(self, node):
        """All samples of a node's /metrics, by name and labels."""
        found = {}
        text = run(self.in_node(node, ["curl", "-s", "-m", "2", "http://127.0.0.1:15020/metrics"]), 5)
        for line in text.splitlines():
            words = line.rsplit(maxsplit=1)
            if len(words) == 2 and not line.startswith("#"):
                found[words[0]] = float(words[1])
        return found

    def counters(self):
        """Sums over both nodes, of those that this build has."""
        total = {}
        for node in NODES if self.counted else ():
            have = self.metrics(node)
            for short, name in COUNTERS.items():
                if name in have:
                    total[short] = total.get(short, 0) + have[name]
        return total

    # ---- loads

    def header_words(self, headers=()):
        return [word for header in (*self.headers, *headers) for word in ("-H", header)]

    def wrk_command(self, connections, seconds, *, path="/api/item", headers=(), pod="client",
                    target="server", wrk_threads=1):
        return self.in_pod(pod, [
            "wrk", f"-t{min(wrk_threads, connections)}", f"-c{connections}", f"-d{seconds}s", "--latency",
            "--timeout", "10s", *self.header_words(headers), f"http://{self.address(target)}:{PORT}{path}"])

    def wrk(self, connections, seconds, **options):
        """One run of wrk: its figures, with cpu_us_per_request and counters."""
        command = self.wrk_command(connections, seconds, **options)
        return self.costed(lambda: parse_wrk(run(command, seconds + 30)))

    def paced_command(self, connections, rate, seconds, *, warmup_s=0.5, headers=(), pod="client",
                      target="server"):
        words = ["-c", str(connections), "-r", str(rate), "-t", str(seconds), "-w", str(warmup_s)]
        words += self.header_words(headers)
        return self.in_pod(pod, [LOAD, "paced", *words, self.address(target), str(PORT), "/api/item"])

    def paced(self, connections, rate, seconds, **options):
        """A constant rate; latencies count from the moment at which each request was due."""
        command = self.paced_command(connections, rate, seconds, **options)
        return self.costed(lambda: json.loads(run(command, seconds + 30)))

    def costed(self, load):
        """What the load found, and what the proxies spent on it."""
        counts = self.counters()
        proxies, way = self.cpu_us()
        found = load()
        proxies, way = (after - before for after, before in zip(self.cpu_us(), (proxies, way)))
        requests = found["requests"] or 1
        found["cpu_us_per_request"] = round(proxies / requests, 3)
        found["way_us_per_request"] = round(way / requests, 3)
        after = self.counters()
        found["counters"] = {k: round((v - counts.get(k, 0)) / requests, 4) for k, v in after.items()}
        return found

    def looped(self, connections, seconds):
        """Every connection asks again as soon as it has its answer; what opening them costs is not in it.
        rss_kb is with all of them open."""
        command = self.in_pod("client", [LOAD, "loop", "-c", str(connections), "-t", str(seconds),
                                         *self.header_words(), self.address("server"), str(PORT), "/api/item"])
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            line = process.stdout.readline()
            if not line:
                raise Failed("loop: no connections")

            def go():
                process.stdin.write("go\n")
                process.stdin.flush()
                return json.loads(process.stdout.readline() or "{}")

            found = self.costed(go)
            found["rss_kb"] = self.rss_kb()
            process.communicate(timeout=30)
        return found

    def held(self, connections):
        """rss_kb while that many connections, which have had an answer each, are open and idle."""
        command = self.in_pod("client", [LOAD, "hold", "-c", str(connections), *self.header_words(),
                                         self.address("server"), str(PORT), "/api/item"])
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            line = process.stdout.readline()
            if not line:
                raise Failed("hold: no connections")
            errors = json.loads(line)["errors"]
            resident = self.rss_kb()
            line, _ = process.communicate(timeout=30)
        return {"rss_kb": resident, "errors": errors + json.loads(line)["cut"]}
