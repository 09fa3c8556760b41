"""What the benches share: the frames, the two programs under measurement, and the readings of one run.

Only the standard library. Nothing here sends anything anywhere: net_pcap replays a file from memory, and what is
transmitted to it is dropped.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path

# net_pcap makes this address up for its first port, and has no call to change it.
PORT_MAC = bytes.fromhex("027063617000")
PEER_MAC = bytes.fromhex("020000000001")
PORT_ADDR = "198.18.0.2"
PEER_ADDR = "198.18.0.1"
PORT_ADDR6 = "2001:db8::2"
PEER_ADDR6 = "2001:db8::1"
ECHO_PORT = 7
FIRST_SOURCE_PORT = 1024

BURST = 32
DESCRIPTORS = 1024
MEMORY_MB = 512


class BenchError(Exception):
    """Something that the person at the keyboard can mend, in one sentence."""


def ones_sum(data):
    """RFC 1071: the folded sum of the 16-bit words of `data`."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def udp_datagram(source_port, length, pseudo):
    """A UDP datagram with `length` bytes of payload; `pseudo` makes its pseudo-header, given its length."""
    payload = bytes((source_port + i) & 0xFF for i in range(length))
    udp_len = 8 + len(payload)
    udp = struct.pack("!HHHH", source_port, ECHO_PORT, udp_len, 0) + payload
    udp_sum = 0xFFFF ^ ones_sum(pseudo(udp_len) + udp)
    return udp[:6] + struct.pack("!H", udp_sum or 0xFFFF) + udp[8:]


def udp_frame(source_port, size):
    """An Ethernet frame of `size` bytes that a host answers: right lengths, right checksums."""
    src, dst = socket.inet_aton(PEER_ADDR), socket.inet_aton(PORT_ADDR)
    udp = udp_datagram(source_port, size - 42, lambda length: src + dst + struct.pack("!HH", 17, length))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + src + dst
    ip = ip[:10] + struct.pack("!H", 0xFFFF ^ ones_sum(ip)) + ip[12:]
    return PORT_MAC + PEER_MAC + b"\x08\x00" + ip + udp


def udp_frame6(source_port, size):
    """The same over IPv6."""
    src, dst = (socket.inet_pton(socket.AF_INET6, addr) for addr in (PEER_ADDR6, PORT_ADDR6))
    udp = udp_datagram(source_port, size - 62, lambda length: src + dst + struct.pack("!II", length, 17))
    ip = struct.pack("!IHBB", 6 << 28 | source_port, len(udp), 17, 64) + src + dst
    return PORT_MAC + PEER_MAC + b"\x86\xdd" + ip + udp


# The least that a frame has: over IPv6 one with the payload that the least has over IPv4.
SIZE_MIN = {False: 60, True: 80}


def write_pcap(path, flows, size, ipv6=False):
    """A capture file with one frame a flow."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for flow in range(flows):
            frame = (udp_frame6 if ipv6 else udp_frame)(FIRST_SOURCE_PORT + flow, size)
            file.write(struct.pack("<IIII", 0, flow, len(frame), len(frame)) + frame)


def free_hugepages():
    """Free hugepages of the default size, in MiB."""
    text = Path("/proc/meminfo").read_text()
    free = int(re.search(r"HugePages_Free:\s+(\d+)", text)[1])
    size_kb = int(re.search(r"Hugepagesize:\s+(\d+)", text)[1])
    return free * size_kb // 1024


def memory_mode(asked):
    """`huge` or `none`, for every program alike."""
    if asked != "auto":
        return asked
    return "huge" if free_hugepages() >= 2 * MEMORY_MB else "none"


def eal_memory(mode):
    return ["--in-memory"] if mode == "huge" else ["--no-huge", "--no-shconf"]


def thread_times(pid):
    """For each thread of `pid`: nanoseconds on a CPU, and nanoseconds ready but waiting for one."""
    times = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            on_cpu, waited, _ = (task / "schedstat").read_text().split()
            times[task.name] = (int(on_cpu), int(waited))
    return times


class Program:
    """A running program on net_pcap, in a folder of its own that goes with it."""

    name = "?"

    def __init__(self, setup):
        self.setup = setup
        self.folder = Path(tempfile.mkdtemp(prefix="pollcast-bench."))
        self.prefix = self.folder.name.replace(".", "-")
        self.log = self.folder / "log"
        self.process = None

    def __enter__(self):
        try:
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen(
                    self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )
            self.await_traffic()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM if self.name == "pollcast" else signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        # EAL leaves its runtime folder behind at every exit.
        shutil.rmtree(Path("/var/run/dpdk") / self.prefix, ignore_errors=True)

    def device(self):
        return f"net_pcap0,rx_pcap={self.setup.pcap},infinite_rx=1"

    def await_traffic(self):
        """Returns once packets flow."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError, ValueError, KeyError, subprocess.SubprocessError):
                if self.packets()[0] > 0:
                    return
            time.sleep(0.1)
        tail = self.log.read_text(errors="replace").splitlines()[-15:]
        raise BenchError(f"{self.name}: no packet was seen within 20 s; it said:\n  " + "\n  ".join(tail))

    def measure(self):
        """The readings of one run: packets, and the worker's CPU time."""
        time.sleep(self.setup.warm_up)
        pid = self.process.pid
        rx, tx = self.packets()
        before = thread_times(pid)
        time.sleep(self.setup.seconds)
        rx_after, tx_after = self.packets()
        after = thread_times(pid)
        rx, tx = rx_after - rx, tx_after - tx
        # The worker is the thread that never rests.
        spent = {tid: after[tid][0] - start for tid, (start, _) in before.items() if tid in after}
        worker = max(spent, key=spent.get)
        if rx == 0 or tx < rx * 0.99:
            raise BenchError(f"{self.name}: {rx} packets received and only {tx} sent: it does not do its work")
        return {
            "program": self.name,
            "packets": rx,
            "cpu_ns": spent[worker],
            "waited_ns": after[worker][1] - before[worker][1],
            "ns_per_packet": spent[worker] / rx,
        }


class Testpmd(Program):
    """DPDK's own test program, in one of its forward modes."""

    def __init__(self, setup, mode):
        super().__init__(setup)
        self.mode = mode
        self.name = f"testpmd {mode}"

    def command(self):
        s = self.setup
        eal = ["--lcores", f"0@{s.main_cpu},1@{s.cpu}", "--no-pci", "--file-prefix", self.prefix]
        eal += ["-m", str(MEMORY_MB), *eal_memory(s.memory), "--vdev", self.device()]
        own = [f"--forward-mode={self.mode}", "--nb-cores=1", "--stats-period=3600", f"--burst={BURST}"]
        own += [f"--rxd={DESCRIPTORS}", f"--txd={DESCRIPTORS}", "--total-num-mbufs=16384"]
        return [s.testpmd, *eal, "--", *own]

    def packets(self):
        """Packets received and sent, from DPDK's telemetry socket."""
        path = f"/var/run/dpdk/{self.prefix}/dpdk_telemetry.v2"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as telemetry:
            telemetry.settimeout(2)
            telemetry.connect(path)
            telemetry.recv(1024)
            telemetry.send(b"/ethdev/stats,0")
            stats = json.loads(telemetry.recv(65536))["/ethdev/stats"]
        return stats["ipackets"], stats["opackets"]


CONFIG = """\
[eal]
hugepages = "{hugepages}"
memory_mb = {memory_mb}
file_prefix = "{prefix}"

[ctl]
socket = "{socket}"

[workers]
cpus = [{cpu}]
control_cpu = {main_cpu}
idle = "spin"
burst = {burst}

[[port]]
device = "{device}"
{addresses}
rx_descriptors = {descriptors}
tx_descriptors = {descriptors}

[[service]]
kind = "echo"
listen = ["{any_address}:{echo_port}"]
"""


class Pollcast(Program):
    """pollcast with its echo service."""

    name = "pollcast"

    def command(self):
        s = self.setup
        self.socket = self.folder / "ctl.sock"
        config = self.folder / "bench.toml"
        ipv6 = getattr(s, "ipv6", False)
        config.write_text(
            CONFIG.format(
                hugepages="required" if s.memory == "huge" else "none",
                memory_mb=MEMORY_MB,
                prefix=self.prefix,
                socket=self.socket,
                cpu=s.cpu,
                main_cpu=s.main_cpu,
                burst=BURST,
                device=self.device(),
                # Nobody on a file's other side would say that the address is taken.
                addresses=f'addresses = ["{PORT_ADDR6}/64"]\ndad_transmits = 0' if ipv6
                else f'addresses = ["{PORT_ADDR}/24"]',
                any_address="[::]" if ipv6 else "0.0.0.0",
                descriptors=DESCRIPTORS,
                echo_port=ECHO_PORT,
            )
        )
        return [s.pollcast, "run", str(config)]

    def packets(self):
        """Packets received and sent, from the control socket."""
        ask = [self.setup.pollcast, "ctl", "--socket", str(self.socket), "--json", "stats"]
        answer = json.loads(subprocess.run(ask, check=True, capture_output=True, timeout=5).stdout)
        (port,) = answer.get("body", answer)["ports"]
        return port["engine"]["rx"], port["engine"]["tx"]


def spread(values):
    """Median, least and greatest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def cpu_model():
    found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else os.uname().machine
