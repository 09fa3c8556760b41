"""Counts the instructions of one thread by callgrind, for the benches that judge by counts rather than by time."""

import collections
import re
import subprocess

import harness

DRIVER = "librte_net_pcap"


class Profile:
    """Instructions by function and object file, of one thread, from callgrind's output."""

    def __init__(self, path):
        self.by_function = collections.Counter()
        # By function of the driver that is called from outside of it.
        self.driver_calls = collections.Counter()
        names, objects = {}, {}
        function = called = called_function = None
        obj = called_obj = ""
        of_call = False
        for line in path.read_text().splitlines():
            key, _, value = line.partition("=")
            if key == "ob":
                obj = self.resolve(objects, value)
            elif key == "fn":
                function = (obj, self.resolve(names, value))
            elif key == "cob":
                called_obj = self.resolve(objects, value)
            elif key == "cfn":
                called, called_obj = called_obj or obj, ""
                called_function = self.resolve(names, value)
            elif key == "calls":
                of_call = True
                if DRIVER in called and DRIVER not in obj:
                    self.driver_calls[called_function] += int(value.split()[0])
            elif line[:1] in "0123456789+-*" and function:
                # The line after `calls` is the cost of the called, counted where it is spent.
                if not of_call and len(words := line.split()) > 1:
                    self.by_function[function] += int(words[1])
                of_call = False

    @staticmethod
    def resolve(table, text):
        number, name = re.match(r"\((\d+)\)(?: (.*))?", text).groups()
        if name:
            table[number] = name
        return table.get(number, "?")

    def add(self, other):
        """Takes another thread's in."""
        self.by_function.update(other.by_function)
        self.driver_calls.update(other.driver_calls)

    def total(self):
        return sum(self.by_function.values())


def counted(program_class):
    """The same program, run by valgrind."""

    class Counted(program_class):
        def command(self):
            out = self.folder / "callgrind"
            valgrind = ["valgrind", "--tool=callgrind", "--fair-sched=yes", "--separate-threads=yes"]
            return [*valgrind, f"--callgrind-out-file={out}", *super().command()]

        def control(self, order):
            done = subprocess.run(["callgrind_control", order, str(self.process.pid)], capture_output=True, text=True)
            if done.returncode != 0:
                raise self.failed(f"callgrind_control {order}: {done.stderr.strip()}")

        def count(self, seconds):
            """The profile of all workers over `seconds`, and the packets in it. Each worker has a queue of its own."""
            self.control("-z")
            harness.pause(seconds)
            # The files are whole when this returns.
            self.control("-d")
            profiles = [Profile(path) for path in self.folder.glob("callgrind.*")]
            worker, *others = sorted(profiles, key=Profile.total)[-len(self.cpus):]
            for other in others:
                worker.add(other)
            # They receive by one function and send by another, which they call no more often: pollcast once for two bursts. Every
            # burst is full.
            return worker, max(worker.driver_calls.values()) * harness.BURST

    return Counted
