"""The rows of bench/compare: what traffic, over what link, and which programs are compared there.

Three groups. `pcap`: net_pcap replays frames from memory, and the worker alone is measured. `vhost`: a virtio ring between two
processes. `kernel`: a veth pair between two network namespaces.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import harness

# Packets that go round at a time, where a program sends back what comes: 16 bursts, half a ring.
UNDER_WAY = 512
RING = harness.DESCRIPTORS
# The kernel's echo takes and gives so many datagrams in one call.
BATCH = 32


@dataclasses.dataclass
class Comparison:
    """One program's price or rate next to another's, and what is to be reached."""

    subject: str
    reference: str
    goal: float


@dataclasses.dataclass
class Row:
    """One kind of traffic. Each of `programs` is a function that makes a context in which it runs under that traffic: it gives
    a function that measures and returns a reading. What is in `optional` may be unable to run on this machine."""

    name: str
    title: str
    size: int
    programs: dict
    comparisons: list
    judged_by: str  # "cpu": ns of CPU a packet; "rate": packets a second
    ipv6: bool = False
    flows: int = 1
    sockets: int = 1
    optional: tuple = ()

    @property
    def group(self):
        return self.name.split("/")[0]

    def setup(self, setup):
        """`setup` with this row's traffic."""
        own = {"ipv6": self.ipv6, "size": self.size, "flows": self.flows, "sockets": self.sockets}
        return argparse.Namespace(**{**vars(setup), **own})


# pcap


@contextlib.contextmanager
def frames(setup):
    """`setup` with a file of this row's frames."""
    with tempfile.TemporaryDirectory(prefix="pollcast-bench.") as folder:
        setup.pcap = Path(folder) / "frames.pcap"
        harness.write_pcap(setup.pcap, setup.flows, setup.size, setup.ipv6, setup.sockets)
        yield setup


def replayed(make):
    @contextlib.contextmanager
    def run(setup):
        with frames(setup), make(setup) as program:
            yield program.measure

    return run


TESTPMD_MODES = ["io", "macswap", "5tswap"]


def makers():
    """The programs that are replayed to, by name; each is made of a setup, by a class that may be changed on the way."""

    def testpmd(mode):
        return lambda setup, wrap=lambda program: program: wrap(harness.Testpmd)(setup, mode)

    made = {f"testpmd {mode}": testpmd(mode) for mode in TESTPMD_MODES}
    made["pollcast"] = lambda setup, wrap=lambda program: program: wrap(harness.Pollcast)(setup)
    return made


def pcap_row(ipv6, size, flows, sockets=1):
    version, least = (6 if ipv6 else 4), harness.SIZE_MIN[ipv6]
    name = f"pcap/ipv{version}-{size}-{flows}" + (f"-{sockets}" if sockets > 1 else "")
    title = f"IPv{version}, {size:,} bytes, {flows:,} flow{'s' if flows > 1 else ''}"
    title += f", {sockets} sockets" if sockets > 1 else ""
    goal = 0.90 if flows == 1 else 0.85
    return Row(
        name=name,
        title=title,
        ipv6=ipv6,
        size=size,
        flows=flows,
        sockets=sockets,
        programs={name: replayed(make) for name, make in makers().items()},
        comparisons=[Comparison("pollcast", "testpmd 5tswap", goal if size == least else None)],
        judged_by="cpu",
    )


# vhost


class Traffic:
    """`pollcast bench` without end, until it is told to report."""

    def __init__(self, setup, device, *args, namespace_of=None):
        enter = ["nsenter", f"--net=/proc/{namespace_of}/ns/net"] if namespace_of else []
        self.command = [*enter, setup.pollcast, "bench", "--json", "--device", device, "--cpu", str(setup.main_cpu)]
        self.command += [] if setup.memory == "huge" else ["--no-huge"]
        self.command += ["--seconds", "3600", "--size", str(setup.size), "--descriptors", str(RING), *args]
        # EAL's runtime folder outlives one that is ended while it starts.
        self.prefix = f"pollcast-bench-{os.getpid()}-traffic"
        self.command += ["--file-prefix", self.prefix, "--from", f"{harness.PEER_ADDR}/24", f"{harness.PORT_ADDR}:{harness.ECHO_PORT}"]
        self.nice = setup.nice
        self.process = None

    def __enter__(self):
        self.out = tempfile.TemporaryFile("w+")
        self.errors = tempfile.TemporaryFile("w+")
        self.process = harness.begin(
            self.command, self.nice, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.errors
        )
        return self

    def report(self):
        """Ends it, and returns what it counted."""
        self.end()
        self.out.seek(0)
        try:
            report = json.load(self.out)
        except ValueError:
            self.errors.seek(0)
            raise harness.BenchError(f"the traffic end says: {self.errors.read().strip()[-1000:]}") from None
        if report["counts"]["wrong"]:
            raise harness.BenchError(f"{report['counts']['wrong']} wrong answers: {report['counts']}")
        return report

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __exit__(self, *_):
        self.end()
        harness.forget(self.prefix)
        self.out.close()
        self.errors.close()


def with_traffic(program, traffic):
    """A reading of `program` while `traffic` runs, and what became of the traffic."""

    def measure():
        try:
            program.await_packets()
        except harness.BenchError:
            # Rather what kept the traffic from starting, if something did.
            traffic.report()
            raise
        reading = program.measure()
        report = traffic.report()
        counts = {name: report["counts"][name] for name in ("sent", "answered", "lost", "wrong", "duplicated")}
        return {**reading, "verified": counts, "latency_ns": report["latency_ns"]}

    return measure


def on_vhost(setup, path, program):
    device = f"net_vhost0,iface={path}/vhost.sock,queues=1"
    return harness.Pollcast(setup, device) if program == "pollcast" else harness.Testpmd(setup, program.split()[1], device)


def virtio_user(path):
    return f"net_virtio_user0,path={path}/vhost.sock,queues=1,queue_size={RING}"


def verified(program):
    """A closed loop: pollcast bench asks, and looks at every answer."""

    @contextlib.contextmanager
    def run(setup):
        with tempfile.TemporaryDirectory(prefix="pollcast-bench.") as path, on_vhost(setup, path, program) as echo:
            # 5tswap does not say where it is.
            peer = [] if program == "pollcast" else ["--peer-mac", "02:00:00:00:00:02"]
            args = ["--in-flight", str(UNDER_WAY), "--idle", "spin", "--burst", str(harness.BURST), *peer]
            with Traffic(setup, virtio_user(path), *args) as traffic:
                yield with_traffic(echo, traffic)

    return run


def reflected(program):
    """A closed loop without a traffic end: testpmd 5tswap sends back what comes, so that the same packets go round for ever, as
    fast as the slower of the two turns them, which is the one with the vhost end: it copies."""

    @contextlib.contextmanager
    def run(setup):
        with tempfile.TemporaryDirectory(prefix="pollcast-bench.") as path, on_vhost(setup, path, program) as echo:
            mac = echo.ask("ports")[0]["mac"] if program == "pollcast" else "02:00:00:00:00:02"
            own = [f"--eth-peer=0,{mac}", f"--tx-ip={harness.PEER_ADDR},{harness.PORT_ADDR}", f"--txpkts={setup.size}"]
            own += [f"--tx-udp={harness.FIRST_SOURCE_PORT},{harness.ECHO_PORT}"]
            mirror = harness.Testpmd(
                setup, "5tswap", virtio_user(path), cpu=setup.main_cpu, first=UNDER_WAY // harness.BURST, own=own
            )
            with mirror:
                yield lambda: going_round(echo, mirror)

    return run


def going_round(echo, mirror):
    echo.await_packets()
    reading = echo.measure()
    rx, tx = mirror.packets()
    # The mirror holds one burst itself, and counts are read one after the other.
    if tx - rx < UNDER_WAY - 4 * harness.BURST:
        raise echo.failed(f"of {UNDER_WAY} packets that went round, {tx - rx} are left")
    return {**reading, "mirror": mirror.name, "under_way": tx - rx}


def vhost_row(name, title, run):
    return Row(
        name=f"vhost/{name}",
        title=title,
        size=60,
        programs={program: run(program) for program in ("testpmd 5tswap", "pollcast")},
        comparisons=[Comparison("pollcast", "testpmd 5tswap", 1.05)],
        judged_by="rate",
    )


# kernel


class KernelEcho(harness.Program):
    """An echo on a kernel socket, by recvmmsg and sendmmsg."""

    ends_by = signal.SIGTERM

    def command(self):
        self.name = "kernel, recvmmsg"
        s = self.setup
        return [s.echo, "--listen", f"0.0.0.0:{harness.ECHO_PORT}", "--batch", str(BATCH), "--cpu", str(s.cpu)]

    def packets(self):
        """The namespace's counters: in it nobody else has a socket."""
        net = Path(f"/proc/{self.process.pid}/net")
        if f":{harness.ECHO_PORT:04X} " not in (net / "udp").read_text():
            raise OSError("the socket is not bound yet")
        names, values = (line.split() for line in (net / "snmp").read_text().splitlines() if line.startswith("Udp: "))
        counts = dict(zip(names, values))
        return int(counts["InDatagrams"]), int(counts["OutDatagrams"])


class Veth:
    """A veth pair: `ve0` in this namespace, `ve1` in one of its own, both gone at the end."""

    def __enter__(self):
        # The other namespace lives as long as this cat, whose input ends with this script.
        self.holder = harness.begin(["unshare", "-n", "cat"], stdin=subprocess.PIPE)
        try:
            here, deadline = Path("/proc/self/ns/net").readlink(), time.monotonic() + 10
            while Path(f"/proc/{self.holder.pid}/ns/net").readlink() == here:
                if time.monotonic() > deadline:
                    raise harness.BenchError("no network namespace can be made")
                harness.pause(0.01)
            run("ip", "link", "add", "ve0", "type", "veth", "peer", "name", "ve1", "netns", str(self.holder.pid))
            there = ("nsenter", f"--net=/proc/{self.holder.pid}/ns/net")
            for end, where in (("ve0", ()), ("ve1", there)):
                # The kernel leaves checksums to a virtual link, and merges datagrams; no wire does.
                run(*where, "ethtool", "-K", end, "tx", "off", "gso", "off", "gro", "off")
                run(*where, "ip", "link", "set", end, "addrgenmode", "none", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(harness.BenchError):
            run("ip", "link", "del", "ve0")
        self.holder.stdin.close()
        self.holder.wait()


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise harness.BenchError(f"{' '.join(words)}: {done.stderr.strip()}")


def kernel_program(setup, name):
    """The echo of this name on ve0."""
    kind, device = name.split(", ")
    vdev = {"af_packet": "net_af_packet0,iface=ve0", "af_xdp": "net_af_xdp0,iface=ve0"}.get(device)
    if kind == "kernel":
        run("ip", "addr", "add", f"{harness.PORT_ADDR}/24", "dev", "ve0")
        return KernelEcho(setup, "ve0")
    program = harness.Pollcast(setup, vdev) if kind == "pollcast" else harness.Testpmd(setup, kind.split()[1], vdev)
    program.name = name
    return program


def over_veth(name):
    @contextlib.contextmanager
    def run_it(setup):
        with Veth() as veth, kernel_program(setup, name) as echo:
            peer = ["--peer-mac", "02:00:00:00:00:02"] if name.startswith("testpmd") else []
            # Of more the kernel's socket buffer loses some.
            args = ["--in-flight", "128", *peer]
            with Traffic(setup, "net_af_packet1,iface=ve1", *args, namespace_of=veth.holder.pid) as traffic:
                yield with_traffic(echo, traffic)

    return run_it


def kernel_row():
    kernel, names = "kernel, recvmmsg", ["pollcast, af_packet", "pollcast, af_xdp"]
    return Row(
        name="kernel/veth",
        title="veth pair, 60 bytes, verified",
        size=60,
        programs={name: over_veth(name) for name in [kernel, "testpmd 5tswap, af_packet", *names]},
        comparisons=[Comparison(name, kernel, 1.0) for name in names],
        judged_by="rate",
        optional=("pollcast, af_xdp",),
    )


def all_rows():
    rows = [pcap_row(ipv6, size, flows) for ipv6 in (False, True) for size in (harness.SIZE_MIN[ipv6], 1514) for flows in (1, 4096)]
    rows += [pcap_row(ipv6, harness.SIZE_MIN[ipv6], 4096, 64) for ipv6 in (False, True)]
    rows.append(vhost_row("verified", "vhost pair, 60 bytes, burst 32, every answer looked at", verified))
    rows.append(vhost_row("reflected", "vhost pair, 60 bytes, burst 32, sent back by testpmd", reflected))
    rows.append(kernel_row())
    return rows
