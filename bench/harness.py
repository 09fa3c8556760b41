"""What the benches share: the frames, the programs under measurement, and the readings of one run.

Only the standard library. Unless it is given another device, a program has a net_pcap that replays a file from memory without
end and drops what is sent: nothing goes anywhere.
"""

import contextlib
import ctypes
import json
import mmap
import os
import random
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
# From here on there are 5,000 ports of which an echo refuses none by default, and of which the kernel hands out none.
FIRST_SOURCE_PORT = 20000
# The second and later sockets of a row with several.
FIRST_SOCKET_PORT = 7000

BURST = 32
DESCRIPTORS = 1024
# Of one testpmd: its 16,384 buffers take 40.
MEMORY_MB = 256


class BenchError(Exception):
    """Something that the person at the keyboard can mend, in one sentence."""


def ones_sum(data):
    """RFC 1071: the folded sum of the 16-bit words of `data`."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def udp_datagram(source_port, port, length, pseudo):
    """A UDP datagram with `length` bytes of payload; `pseudo` makes its pseudo-header, given its length."""
    payload = bytes((source_port + i) & 0xFF for i in range(length))
    udp_len = 8 + len(payload)
    udp = struct.pack("!HHHH", source_port, port, udp_len, 0) + payload
    udp_sum = 0xFFFF ^ ones_sum(pseudo(udp_len) + udp)
    return udp[:6] + struct.pack("!H", udp_sum or 0xFFFF) + udp[8:]


def udp_frame(source_port, size, port=ECHO_PORT):
    """An Ethernet frame of `size` bytes that a host answers: right lengths, right checksums."""
    src, dst = socket.inet_aton(PEER_ADDR), socket.inet_aton(PORT_ADDR)
    udp = udp_datagram(source_port, port, size - 42, lambda length: src + dst + struct.pack("!HH", 17, length))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + src + dst
    ip = ip[:10] + struct.pack("!H", 0xFFFF ^ ones_sum(ip)) + ip[12:]
    return PORT_MAC + PEER_MAC + b"\x08\x00" + ip + udp


def udp_frame6(source_port, size, port=ECHO_PORT):
    """The same over IPv6."""
    src, dst = (socket.inet_pton(socket.AF_INET6, addr) for addr in (PEER_ADDR6, PORT_ADDR6))
    udp = udp_datagram(source_port, port, size - 62, lambda length: src + dst + struct.pack("!II", length, 17))
    ip = struct.pack("!IHBB", 6 << 28 | source_port, len(udp), 17, 64) + src + dst
    return PORT_MAC + PEER_MAC + b"\x86\xdd" + ip + udp


# The least that a frame has: over IPv6 one with the payload that the least has over IPv4.
SIZE_MIN = {False: 60, True: 80}


def socket_ports(sockets):
    """The UDP ports that so many sockets of the echo are bound to."""
    return [ECHO_PORT, *range(FIRST_SOCKET_PORT, FIRST_SOCKET_PORT + sockets - 1)]


def write_pcap(path, flows, size, ipv6=False, sockets=1, first=0):
    """A capture file with one frame a flow, from the flow `first` on. With several sockets the flows are spread over them, in an order
    without a pattern (the same each time), so that the socket of the last frame says nothing of the next one's."""
    ports = socket_ports(sockets)
    questions = [(FIRST_SOURCE_PORT + flow, ports[flow % sockets]) for flow in range(first, first + flows)]
    if sockets > 1:
        random.Random(1).shuffle(questions)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for at, (source_port, port) in enumerate(questions):
            frame = (udp_frame6 if ipv6 else udp_frame)(source_port, size, port)
            file.write(struct.pack("<IIII", 0, at, len(frame), len(frame)) + frame)


def free_hugepages():
    """Free hugepages of the default size, in MiB."""
    text = Path("/proc/meminfo").read_text()
    free = int(re.search(r"HugePages_Free:\s+(\d+)", text)[1])
    size_kb = int(re.search(r"Hugepagesize:\s+(\d+)", text)[1])
    return free * size_kb // 1024


def memory_mode(asked):
    """`huge` or `none`, for every program alike. There may be two at a time."""
    if asked != "auto":
        return asked
    return "huge" if free_hugepages() >= 3 * MEMORY_MB else "none"


def eal_memory(mode):
    # In one file, so that the other end of a vhost pair can map it.
    return ["--single-file-segments", *(["--in-memory"] if mode == "huge" else ["--no-huge", "--no-shconf"])]


def thread_times(pid):
    """For each thread of `pid`: nanoseconds on a CPU, and nanoseconds ready but waiting for one."""
    times = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            on_cpu, waited, _ = (task / "schedstat").read_text().split()
            times[task.name] = (int(on_cpu), int(waited))
    return times


# Linux, prctl(2): the signal that a program gets when whoever started it is no more.
PR_SET_PDEATHSIG = 1

ENDINGS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def end_in_pauses():
    """From now on Ctrl-C and the like are heard in `pause` alone, so that whatever has been begun is also put away."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)


def pause(seconds):
    """Waits, and is interrupted by what ends this script."""
    if signal.sigtimedwait(ENDINGS, seconds):
        raise KeyboardInterrupt


def begin(command, nice=0, **pipes):
    """Starts a program that is told to end when this script is no more, however that ended. It has a session of its own: Ctrl-C is
    for this script, which then ends what it has begun, in order."""
    libc = ctypes.CDLL(None)

    def in_child():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        if nice:
            # A session has a share of the CPUs of its own: within it, a nice value weighs against nobody else.
            os.setpriority(os.PRIO_PROCESS, 0, nice)
            with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as share:
                share.write(str(nice))

    return subprocess.Popen(command, start_new_session=True, preexec_fn=in_child, **pipes)


def replaying(*files):
    """A net_pcap with a queue for each of these files, whose frames come again and again."""
    return ",".join(["net_pcap0", *(f"rx_pcap={file}" for file in files), "infinite_rx=1"])


def forget(prefix):
    """Takes away what a program with this EAL prefix left: EAL its runtime folder at every exit, pollcast its lock if it was killed."""
    shutil.rmtree(Path("/var/run/dpdk") / prefix, ignore_errors=True)
    Path(f"/run/pollcast/{prefix}.lock").unlink(missing_ok=True)


def line_ns(one, other):
    """Nanoseconds that a cache line takes from one CPU to the other and back, at best. This script's own loops are in it: about 150.

    A virtual machine's CPUs are now cores of one cache and now of two, as its host likes; a ring between them is then half as fast."""
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        # On lines of their own, and not on neighbours that are fetched together.
        question, answer, end, trips = 0, 1024, 255, 50
        if (child := os.fork()) == 0:
            with contextlib.suppress(BaseException):
                ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                os.sched_setaffinity(0, {other})
                said = 0
                while said != end:
                    if (asked := page[question]) != said:
                        page[answer] = said = asked
            os._exit(0)
        best, word, before = float("inf"), 0, os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {one})
            deadline = time.monotonic() + 0.1
            while time.monotonic() < deadline:
                began = time.perf_counter_ns()
                for _ in range(trips):
                    page[question] = word = word % (end - 1) + 1
                    # More often than any answer takes, for there may be none.
                    for _ in range(10**7):
                        if page[answer] == word:
                            break
                best = min(best, (time.perf_counter_ns() - began) / trips)
        finally:
            page[question] = end
            os.sched_setaffinity(0, before)
            os.waitpid(child, 0)
    return best


class Program:
    """A running program with one worker, or as many as `setup.cpus` has, in a folder of its own that goes with it.

    `device` is what it has for a port: by default net_pcap, which brings its own traffic, and of which the start waits for the
    first packet. With any other the start waits until the program can be asked, and traffic is the caller's to bring.
    """

    name = "?"
    ends_by = signal.SIGINT

    @property
    def cpus(self):
        """The CPUs of its workers."""
        return getattr(self.setup, "cpus", None) or [self.setup.cpu]

    def __init__(self, setup, device=None):
        self.setup = setup
        self.other_device = device
        self.folder = self.log = self.prefix = self.process = None

    def __enter__(self):
        try:
            self.folder = Path(tempfile.mkdtemp(prefix=f"pollcast-bench.{os.getpid()}."))
            self.prefix = self.folder.name.replace(".", "-")
            self.log = self.folder / "log"
            self.start()
            self.await_packets(0 if self.other_device else 1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        with open(self.log, "wb") as log:
            self.process = begin(
                self.command(), getattr(self.setup, "nice", 0), stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )

    def __exit__(self, *_):
        if self.process:
            if self.process.poll() is None:
                self.process.send_signal(self.ends_by)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            forget(self.prefix)

    def device(self):
        return self.other_device or replaying(self.setup.pcap)

    def failed(self, what):
        tail = self.log.read_text(errors="replace").splitlines()[-15:]
        if (status := self.process.poll()) is not None:
            what += f"; it ended with status {status}"
        return BenchError(f"{self.name}: {what}; it said:\n  " + "\n  ".join(tail))

    def await_packets(self, count=1):
        """Returns once it says that it has received so many packets."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError, ValueError, KeyError, subprocess.SubprocessError):
                if self.packets()[0] >= count:
                    return
            pause(0.05)
        raise self.failed("no packet was seen within 20 s" if count else "it did not start")

    def sample(self):
        """Packets received and sent, each thread's times, and the clock: as nearly at one time as can be."""
        began, before = time.monotonic(), thread_times(self.process.pid)
        rx, tx = self.packets()
        ended, after = time.monotonic(), thread_times(self.process.pid)
        times = {tid: tuple((a + b) / 2 for a, b in zip(after[tid], start)) for tid, start in before.items() if tid in after}
        return rx, tx, times, (began + ended) / 2

    def measure(self):
        """The readings of one run: packets, and the CPU time of its workers together."""
        pause(self.setup.warm_up)
        rx, tx, before, began = self.sample()
        pause(self.setup.seconds)
        rx_after, tx_after, after, ended = self.sample()
        rx, tx, seconds = rx_after - rx, tx_after - tx, ended - began
        # The workers are the threads that do most.
        spent = {tid: after[tid][0] - start for tid, (start, _) in before.items() if tid in after}
        workers = sorted(spent, key=spent.get)[-len(self.cpus):]
        if getattr(self.setup, "lossy", False):
            # What it had no time for, it dropped: what it sent is what it did.
            rx = tx
        # A burst may be in its hands at either look.
        if rx == 0 or tx < rx * 0.99 - 2 * BURST:
            raise self.failed(f"{rx} packets received and only {tx} sent: it does not do its work")
        cpu, waited = sum(spent[tid] for tid in workers), sum(after[tid][1] - before[tid][1] for tid in workers)
        return {
            "program": self.name,
            "packets": rx,
            "seconds": seconds,
            "packets_per_second": rx / seconds,
            "cpu_ns": cpu,
            "waited_ns": waited,
            "waited_share": waited / (cpu + waited),
            "ns_per_packet": cpu / rx,
        }


class Testpmd(Program):
    """DPDK's own test program, in one of its forward modes, on a CPU of its own or that of what else runs.

    With `first` it begins by sending so many bursts of packets of its own making, as `own` arguments describe them."""

    def __init__(self, setup, mode, device=None, cpu=None, first=0, own=()):
        super().__init__(setup, device)
        self.mode, self.first, self.own = mode, first, own
        self.own_cpu = cpu
        self.name = f"testpmd {mode}"
        self.ready = False

    @property
    def cpus(self):
        return super().cpus if self.own_cpu is None else [self.own_cpu]

    def command(self):
        s = self.setup
        lcores = ",".join([f"0@{s.main_cpu}", *(f"{lcore}@{cpu}" for lcore, cpu in enumerate(self.cpus, 1))])
        eal = ["--lcores", lcores, "--no-pci", "--file-prefix", self.prefix]
        eal += ["-m", str(MEMORY_MB), *eal_memory(s.memory), "--vdev", self.device()]
        own = [f"--forward-mode={self.mode}", f"--nb-cores={len(self.cpus)}", f"--burst={BURST}", "--total-num-mbufs=16384"]
        own += [f"--rxd={DESCRIPTORS}", f"--txd={DESCRIPTORS}", f"--rxq={len(self.cpus)}", f"--txq={len(self.cpus)}", *self.own]
        # Its first statistics, which say that it is ready, come once the CPU's time stamp counter is past the period: since boot, not
        # since its start.
        own += ["--interactive"] if self.first else ["--stats-period=10"]
        return [s.testpmd, *eal, "--", *own]

    def is_ready(self):
        """Whether it has started its port. Asked for statistics before that, it may end by SIGSEGV."""
        if not self.ready:
            said = self.log.read_text(errors="replace")
            self.ready = ("testpmd> " if self.first else "Port statistics") in said
            if self.ready and self.first:
                self.process.stdin.write(f"start tx_first {self.first}\n".encode())
                self.process.stdin.flush()
        return self.ready

    def packets(self):
        """Packets received and sent, from DPDK's telemetry socket."""
        if not self.is_ready():
            raise OSError("it starts")
        path = f"/var/run/dpdk/{self.prefix}/dpdk_telemetry.v2"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as telemetry:
            telemetry.settimeout(2)
            telemetry.connect(path)
            telemetry.recv(1024)
            telemetry.send(b"/ethdev/stats,0")
            stats = json.loads(telemetry.recv(65536))["/ethdev/stats"]
        return stats["ipackets"], stats["opackets"]


# The default configuration, but for what it runs on.
CONFIG = """\
[eal]
hugepages = "{hugepages}"
file_prefix = "{prefix}"

[ctl]
socket = "{socket}"

[workers]
cpus = [{cpus}]
control_cpu = {main_cpu}
{workers}

[[port]]
device = "{device}"
{addresses}

[[service]]
kind = "echo"
listen = [{listen}]
"""


class Pollcast(Program):
    """pollcast with its echo service. Of `setup`, `ipv6`, `sockets` and `idle` may be missing."""

    name = "pollcast"
    ends_by = signal.SIGTERM

    def command(self):
        s = self.setup
        self.socket = self.folder / "ctl.sock"
        config = self.folder / "bench.toml"
        ipv6, idle = getattr(s, "ipv6", False), getattr(s, "idle", None)
        any_address = "[::]" if ipv6 else "0.0.0.0"
        config.write_text(
            CONFIG.format(
                hugepages="required" if s.memory == "huge" else "none",
                prefix=self.prefix,
                socket=self.socket,
                cpus=", ".join(map(str, self.cpus)),
                main_cpu=s.main_cpu,
                workers=f'idle = "{idle}"' if idle else "",
                device=self.device(),
                # Nobody on a file's other side would say that the address is taken.
                addresses=f'addresses = ["{PORT_ADDR6}/64"]\ndad_transmits = 0' if ipv6
                else f'addresses = ["{PORT_ADDR}/24"]',
                listen=", ".join(f'"{any_address}:{port}"' for port in socket_ports(getattr(s, "sockets", 1))),
            )
        )
        return [s.pollcast, "run", str(config)]

    def ask(self, command):
        """What the control socket answers to this."""
        with socket.socket(socket.AF_UNIX) as ctl:
            ctl.settimeout(5)
            ctl.connect(str(self.socket))
            ctl.sendall(json.dumps({"command": command}).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                if not (more := ctl.recv(1 << 20)):
                    raise OSError("closed")
                answer += more
        return json.loads(answer)["body"]

    def packets(self):
        """Packets received and sent, from the control socket."""
        (port,) = self.ask("stats")["ports"]
        return port["engine"]["rx"], port["engine"]["tx"]


def spread(values):
    """Median, least and greatest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def cpu_model():
    found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else os.uname().machine
