"""What bench/compare says: medians, spreads and ratios of its readings, as text and in the READMEs."""

import re
import statistics

import harness

BEGIN = "<!-- bench/compare: begin -->"
END = "<!-- bench/compare: end -->"
# A worker that waits longer for its CPU shares its caches with others, too.
WAITED_NOTE = 0.05


# Two distances between CPUs: one cache's cores, and those of two.
FARTHER = 1.5


def lines_between(readings):
    """How far the CPUs were from each other in a round, or in several: see harness.line_ns."""
    return [ns for reading in readings.values() for ns in reading.get("line_ns", [])]


def moved(readings):
    """Whether the CPUs came nearer to each other in this round, or went apart."""
    lines = lines_between(readings)
    return bool(lines) and max(lines) > FARTHER * min(lines)


def summary(row, rounds, instructions, unable):
    """A row's figures: of each program, and of each comparison."""
    names = [name for name in row.programs if name not in unable]
    # If the CPUs moved in every round, that is all that there is.
    every, rounds = rounds, [readings for readings in rounds if not moved(readings)] or rounds
    programs = {}
    for name in names:
        readings = [readings[name] for readings in rounds]
        programs[name] = {
            key: harness.spread([reading[key] for reading in readings])
            for key in ("ns_per_packet", "packets_per_second", "waited_share")
        }
        if name in instructions:
            programs[name]["instructions"] = instructions[name]
        if "verified" in readings[0]:
            programs[name]["lost"] = sum(reading["verified"]["lost"] for reading in readings)
    comparisons = [compared(c, rounds, row.judged_by) for c in row.comparisons if {c.subject, c.reference} <= set(names)]
    return {
        "name": row.name,
        "title": row.title,
        "ip_version": 6 if row.ipv6 else 4,
        "frame_bytes": row.size,
        "flows": row.flows,
        "sockets": row.sockets,
        "judged_by": row.judged_by,
        "programs": programs,
        "comparisons": comparisons,
        "unable": unable,
        "readings": every,
    }


def compared(comparison, rounds, judged_by):
    """The ratios of one program's price and rate to another's. `best` is that of the two best rounds."""
    ours = [readings[comparison.subject] for readings in rounds]
    theirs = [readings[comparison.reference] for readings in rounds]

    def ratios(key, better, ratio):
        spread = harness.spread([ratio(a[key], b[key]) for a, b in zip(ours, theirs)])
        return {**spread, "best": ratio(better(a[key] for a in ours), better(b[key] for b in theirs))}

    found = {
        "subject": comparison.subject,
        "reference": comparison.reference,
        "goal": comparison.goal,
        "cpu": ratios("ns_per_packet", min, lambda a, b: b / a),
        "rate": ratios("packets_per_second", max, lambda a, b: a / b),
    }
    found["reached"] = None if comparison.goal is None else found[judged_by]["median"] >= comparison.goal
    return found


def machine(result):
    return f"{result['cpu']}, {result['cpus']} CPUs, Linux {result['kernel']}, {result['dpdk']}, memory: {result['memory']}"


def waited_most(result):
    """How long a worker waited for its CPU, at most, as a share of the time that it wanted one."""
    return max(program["waited_share"]["max"] for row in result["rows"] for program in row["programs"].values())


def spread_of(figures, scale=1.0, digits=1):
    median, least, greatest = (figures[key] * scale for key in ("median", "min", "max"))
    return f"{median:.{digits}f} ({least:.{digits}f}-{greatest:.{digits}f})"


def ratio_of(ratio):
    return f"{spread_of(ratio, digits=2)}, best {ratio['best']:.2f}"


def goal_of(comparison):
    if comparison["goal"] is None:
        return ""
    return f"{comparison['goal']:.2f} {'reached' if comparison['reached'] else 'not yet'}"


COLUMNS = ["", "ns of CPU a packet", "million a second", "instructions (own)", "waited", "price's ratio", "rate's ratio", "goal"]


def lines_of(row):
    """The cells of a row's lines, one line a program."""
    lines = []
    for name, figures in row["programs"].items():
        count = figures.get("instructions")
        cells = [
            f"  {name}",
            spread_of(figures["ns_per_packet"]),
            spread_of(figures["packets_per_second"], 1e-6, 2),
            f"{count['all']:.0f} ({count['own']:.0f})" if count else "",
            f"{figures['waited_share']['median']:.0%}",
        ]
        for c in row["comparisons"]:
            if c["subject"] == name:
                cells += [ratio_of(c["cpu"]), ratio_of(c["rate"]), goal_of(c)]
        lines.append(cells + [""] * (len(COLUMNS) - len(cells)))
    return lines


def text(result):
    """The whole table."""
    table = [COLUMNS]
    headings = {}
    for row in result["rows"]:
        headings[len(table)] = row
        table += lines_of(row)
    widths = [max(len(cells[at]) for cells in table) for at in range(len(COLUMNS))]
    out = [f"{machine(result)}; {result['rounds']} rounds of {result['seconds']:g} s each: median (least-greatest)"]
    for at, cells in enumerate(table):
        if row := headings.get(at):
            judged = "price" if row["judged_by"] == "cpu" else "rate"
            references = ", ".join(dict.fromkeys(c["reference"] for c in row["comparisons"]))
            out.append(f"{row['name']}: {row['title']}; judged by {judged}, next to {references}")
        out.append("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip())
    for row in result["rows"]:
        out += [f"{row['name']}: {name} cannot run here: {why}" for name, why in row["unable"].items()]
        if lines := [ns for readings in row["readings"] for ns in lines_between(readings)]:
            count = sum(moved(readings) for readings in row["readings"])
            out.append(f"{row['name']}: a cache line goes from CPU to CPU and back in {min(lines):.0f} to {max(lines):.0f} ns, of which 150 are the "
                       f"script's; rounds in which that changed, and which are not compared: {count}")
        lost = {name: figures["lost"] for name, figures in row["programs"].items() if figures.get("lost")}
        out += [f"{row['name']}: {name}: {count} packets had no answer" for name, count in lost.items()]
    if (most := waited_most(result)) > WAITED_NOTE:
        out.append(f"note: a worker waited for its CPU up to {most:.0%} of the time: others use this machine, and its caches")
    return "\n".join(out)


def price(figures):
    return f"{figures['ns_per_packet']['median']:.1f}"


def million(figures):
    return f"{figures['packets_per_second']['median'] / 1e6:.2f}"


def markdown(result):
    """The short table: one line a comparison."""
    out = [
        "| | next to | ns of CPU a packet: it, pollcast | million a second: it, pollcast | instructions: it, pollcast "
        "| **ratio**: median (spread), best | goal |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        for c in row["comparisons"]:
            ours, theirs = row["programs"][c["subject"]], row["programs"][c["reference"]]
            pair = [figures.get("instructions") for figures in (theirs, ours)]
            counts = f"{pair[0]['all']:.0f}, {pair[1]['all']:.0f}" if all(pair) else ""
            ratio = c[row["judged_by"]]
            on = c["subject"].partition(", ")[2]
            cells = [
                row["title"] + (f": {on}" if on else ""),
                c["reference"].replace("testpmd 5tswap", "`5tswap`"),
                f"{price(theirs)}, {price(ours)}",
                f"{million(theirs)}, {million(ours)}",
                counts,
                f"**{ratio['median']:.2f}** ({ratio['min']:.2f} to {ratio['max']:.2f}), {ratio['best']:.2f}",
                f"{c['goal']:.2f}" if c["goal"] else "",
            ]
            out.append("| " + " | ".join(cells) + " |")
    out += ["", f"{result['rounds']} rounds of {result['seconds']:g} s, {result['date']}: {machine(result)}; a worker waited for its "
            f"CPU at most {waited_most(result):.0%} of the time."]
    return "\n".join(out)


def short(function):
    """A function's last two names, without what they are generic over."""
    name = function.partition(": ")[2] or function
    if of_trait := re.match(r"<(?:\w+::)*(\w+)(?:<.*>)? as .*>::(\w+)$", name):
        return "::".join(of_trait.groups())
    name = re.sub(r"::<impl .*>", "", name)
    while (plain := re.sub(r"<[^<>]*>", "", name)) != name:
        name = plain
    return "::".join(name.split("::")[-2:])


def where_it_goes(row):
    """Where the time goes of a row that is short of its goal: what `io` costs, too, and the rest, spread by instructions."""
    programs = row["programs"]
    count = programs.get("pollcast", {}).get("instructions")
    if not count or "functions" not in count or not any(c["reached"] is False for c in row["comparisons"]):
        return None
    ours, theirs, io = (programs[name]["ns_per_packet"]["median"] for name in ("pollcast", "testpmd 5tswap", "testpmd io"))
    own = [(short(name), n) for name, n in count["functions"] if name.startswith("pollcast")]
    scale = (ours - io) / count["own"]
    parts = [f"`{name}` {n * scale:.1f}" for name, n in own if n * scale >= 0.05]
    listed = sum(n for _, n in own if n * scale >= 0.05)
    return (f"{row['title']}: {ours:.1f} ns, {ours - theirs:.1f} more than `5tswap`. Of them {io:.1f} are the driver's, as of `io`; the other "
            f"{ours - io:.1f}, by instructions: {', '.join(parts)}, others {(count['own'] - listed) * scale:.1f}.")


def long_markdown(result):
    """The whole table, and where the time goes of what is short of its goal."""
    notes = [f"- {note}" for row in result["rows"] if (note := where_it_goes(row))]
    return "\n".join([f"{result['date']}:", "", "```", text(result), "```", "", *notes])


def write_markdown(folder, result):
    """Replaces what is between the two comments in the project's README and in that of the benches."""
    replace(folder / "README.md", markdown(result))
    replace(folder / "bench" / "README.md", long_markdown(result))


def replace(path, block):
    before = path.read_text()
    if BEGIN not in before or END not in before:
        raise harness.BenchError(f"{path} has no lines {BEGIN} and {END}")
    block = f"{BEGIN}\n{block.strip()}\n{END}"
    path.write_text(re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: block, before, count=1, flags=re.DOTALL))
