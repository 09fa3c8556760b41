"""What bench/latency has read, as the tables of README.md and bench/README.md."""

import re
import statistics

BEGIN, END = "<!-- bench/latency: begin -->", "<!-- bench/latency: end -->"
PERCENTILES = ["p50", "p99", "p999"]
# One that is asked after 100 ms of silence.
SILENT = "10"
# What README.md has room for.
SHORT_LINKS, SHORT_RATES = ["tap", "veth", "virtio"], [SILENT, "1k", "10k"]


def median(result, link, echo, pick):
    return statistics.median(pick(readings[link][echo]) for readings in result["rounds"])


def round_trip(result, link, echo, rate, percentile):
    """Microseconds."""
    return median(result, link, echo, lambda reading: reading["rates"][rate]["latency_ns"][percentile]) / 1e3


def waking(result, link, echo):
    """Microseconds that an answer after a silence takes longer than that of the same program which spins; None for one that does."""
    if not echo.startswith("adaptive"):
        return None
    return round_trip(result, link, echo, SILENT, "p50") - round_trip(result, link, "spin", SILENT, "p50")


def per_second(rate):
    return f"{rate.replace('k', ',000')}/s"


def number(us):
    return f"{us:.1f}" if us < 100 else f"{us:.0f}"


def percentiles(rate):
    """What is told of a rate: of a few answers after a silence, their middle."""
    return PERCENTILES[:1] if rate == SILENT else PERCENTILES


def named(rate):
    return f"{per_second(rate)}: " + ", ".join(p.replace("p999", "p99.9") for p in percentiles(rate))


def row(result, link, echo, rates):
    idle = median(result, link, echo, lambda reading: reading["idle_share"])
    late = waking(result, link, echo)
    cells = [link, echo, f"{idle:.1%}", "" if late is None else number(late)]
    for rate in rates:
        cells.append(", ".join(number(round_trip(result, link, echo, rate, p)) for p in percentiles(rate)))
    return "| " + " | ".join(cells) + " |"


def table(result, links, rates):
    heads = ["link", "echo", "CPU, idle", "waking", *map(named, rates)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    lines += [row(result, link, echo, rates) for link in links for echo in result["rounds"][0][link]]
    count = len(result["rounds"])
    return "\n".join([*lines, "", f"Microseconds, medians of {count} rounds, {result['when']}: {result['where']}."])


def write(path, block):
    before = path.read_text()
    if BEGIN not in before or END not in before:
        raise ValueError(f"{path} has no lines {BEGIN} and {END}")
    whole = f"{BEGIN}\n{block}\n{END}"
    path.write_text(re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: whole, before, count=1, flags=re.DOTALL))


def write_both(root, result):
    """The short table of the project's README, and the whole one beside the bench."""
    links = list(result["rounds"][0])
    short = [link for link in SHORT_LINKS if link in links] or links
    rates = list(next(iter(result["rounds"][0][links[0]].values()))["rates"])
    write(root / "README.md", table(result, short, [rate for rate in SHORT_RATES if rate in rates]))
    write(root / "bench" / "README.md", table(result, links, rates))
