"""What was measured, as tables and as verdicts on the claims."""

import os
import platform
import random
import subprocess
from statistics import median

DEFAULT, MAJORS = "pfrec", "pfrec --major-only"
RECORD, TRACE = "perf record -e page-faults -c1 -d", "perf trace -F all --no-syscalls"
UNTRACED, BEFORE = "nothing", "pfrec before"
RESAMPLES = 2000


class Rounds:
    """Measurements by load, tool and round."""

    def __init__(self, samples):
        self.by_place = {}
        for sample in samples:
            rounds = self.by_place.setdefault((sample.load, sample.tool), {})
            rounds.setdefault(sample.round, []).append(sample)

    def has(self, load, tool):
        return (load, tool) in self.by_place

    def samples(self, load, tool):
        return [sample for each in self.by_place[load, tool].values() for sample in each]

    def values(self, load, tool, field):
        """One value per round; the untraced run has two in each."""
        rounds = self.by_place[load, tool]
        return [sum(getattr(sample, field) for sample in rounds[number]) / len(rounds[number])
                for number in sorted(rounds)]

    def added(self, load, tool, field="wall_ns"):
        """Nanoseconds per fault above the untraced run of the same round."""
        return [traced - untraced for traced, untraced in
                zip(self.values(load, tool, field), self.values(load, UNTRACED, field))]

    def slowdown(self, load, tool):
        return [traced / untraced for traced, untraced in
                zip(self.values(load, tool, "wall_ns"), self.values(load, UNTRACED, "wall_ns"))]


def table(header, rows):
    """The first column is text, the others are numbers."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())


def share(rounds, load, tool, of, field="wall_ns"):
    """What `tool` adds as a part of what `of` adds."""
    if tool in (UNTRACED, of) or not rounds.has(load, of):
        return "-"
    whole = median(rounds.added(load, of, field))
    return f"{median(rounds.added(load, tool, field)) / whole:.2f}" if whole > 0 else "noise"


def load_table(rounds, load, tools, reasons):
    """A tool that was not run has its line, too."""
    print(f"\n{load}")
    header = ["TOOL", "NS/FAULT", "SLOW-DOWN", "(MIN-MAX)", "ADDED_NS", "/RECORD", "/TRACE", "ADDED_CPU_NS", "EVENTS",
              "EXPECTED", "LOST", "BYTES", "CPU_S"]
    rows = []
    for tool in tools:
        if tool in reasons:
            continue
        slow = rounds.slowdown(load, tool)
        samples = rounds.samples(load, tool)
        last = samples[-1]
        added = ["-"] * 4 if tool == UNTRACED else [
            f"{median(rounds.added(load, tool)):.0f}", share(rounds, load, tool, RECORD),
            share(rounds, load, tool, TRACE), f"{median(rounds.added(load, tool, 'cpu_ns')):.0f}"]
        rows.append([
            tool, f"{median(rounds.values(load, tool, 'wall_ns')):.0f}",
            f"{median(slow):.3f}", f"({min(slow):.3f}-{max(slow):.3f})", *added,
            "-" if tool == UNTRACED else "?" if last.events is None else f"{last.events}",
            f"{last.expected}", max((sample.lost for sample in samples), key=lambda lost: (len(lost), lost)),
            f"{round(median(sample.output_bytes for sample in samples))}",
            f"{median(sample.recorder_cpu_s for sample in samples):.2f}" if tool != UNTRACED else "-"])
    table(header, rows)
    for tool in tools:
        if tool in reasons:
            print(f"{tool}  NOT RUN: {reasons[tool]}")
    both = rounds.by_place[load, UNTRACED].values()
    noise = median(abs(pair[0].wall_ns - pair[1].wall_ns) for pair in both)
    print(f"two untraced runs of a round differ by {noise:.0f} ns per fault (median)")


def programs_table(times):
    print("\nBPF programs, by kernel.bpf_stats_enabled (runs of their own; what measuring costs is in it)")
    # Not those that run once a thread or once a recording.
    rows = [[f"{load}: {tool}: {program}", str(runs), f"{total / runs:.0f}", f"{total / 1e6:.1f}"]
            for load, tool, program, total, runs in times if runs >= 1000]
    table(["LOAD: TOOL: PROGRAM", "RUNS", "NS_EACH", "TOTAL_MS"], rows)


def verdict(excess):
    """`excess` is how far each round is above the limit. The median of seven rounds of a shared machine is not
    the truth: the bootstrap's 90 % interval tells whether it is on one side of the limit."""
    few = "" if len(excess) >= 5 else f" (of {len(excess)} rounds only)"
    chance = random.Random(1)
    medians = sorted(median(chance.choices(excess, k=len(excess))) for _ in range(RESAMPLES))
    low, high = medians[RESAMPLES // 20], medians[-RESAMPLES // 20]
    if high <= 0:
        return "PASS" + few
    return "FAIL" + few if low > 0 else "UNCLEAR"


def judged(by_clock, by_cpu_time):
    """A microsecond more drowns in what a disk takes, but not in the CPU time."""
    found = verdict(by_clock)
    return f"UNCLEAR; by CPU time {verdict(by_cpu_time)}" if found == "UNCLEAR" else found


def claims(rounds, loads, reasons, cold):
    """(claim, what was measured, verdict), of all that is claimed of pfrec."""
    def part(load, tool, of, limit):
        claim = f"{load}: {tool} adds at most {limit} x what {of} adds"
        for name in (tool, of):
            if name in reasons or not rounds.has(load, name):
                return claim, f"{name} was not run", "NOT RUN"
        measured = f"{share(rounds, load, tool, of)} (CPU time: {share(rounds, load, tool, of, 'cpu_ns')})"
        excesses = ([mine - limit * other for mine, other in zip(rounds.added(load, tool, field), rounds.added(load, of, field))]
                    for field in ("wall_ns", "cpu_ns"))
        return claim, measured, judged(*excesses)

    for load in loads:
        yield part(load, DEFAULT, RECORD, 0.85)
        yield part(load, DEFAULT, TRACE, 0.25)
        if load in cold:
            claim = f"{load}: {DEFAULT} is less than 3 % above untraced"
            if rounds.has(load, DEFAULT):
                by_clock = rounds.slowdown(load, DEFAULT)
                # What a disk takes differs by more than that from run to run; what the CPU does for a fault, hardly.
                by_cpu = [1 + added / untraced for added, untraced in
                          zip(rounds.added(load, DEFAULT, "cpu_ns"), rounds.values(load, UNTRACED, "wall_ns"))]
                measured = " (CPU time: ".join(f"{100 * median(slow) - 100:+.1f} %" for slow in (by_clock, by_cpu))
                yield claim, f"{measured})", judged(*([each - 1.03 for each in slow] for slow in (by_clock, by_cpu)))
            else:
                yield claim, f"{DEFAULT} was not run", "NOT RUN"
        else:
            yield part(load, MAJORS, DEFAULT, 0.5)
        if rounds.has(load, BEFORE):
            yield part(load, DEFAULT, BEFORE, 1.1)
        claim = f"{load}: {DEFAULT} loses nothing"
        if rounds.has(load, DEFAULT):
            lost = sorted({sample.lost for sample in rounds.samples(load, DEFAULT)})
            yield claim, " or ".join(lost), "PASS" if lost == ["0"] else "FAIL"
        else:
            yield claim, f"{DEFAULT} was not run", "NOT RUN"


def print_all(samples, loads, tools, reasons, times, cold, pfrec, busy):
    """`busy` is the load average before it all. Returns the exit status."""
    rounds = Rounds(samples)
    version = subprocess.run([pfrec, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    print(f"{version} on Linux {platform.release()} {platform.machine()}, {os.cpu_count()} CPUs, "
          f"load average {busy:.1f} before, {len({sample.round for sample in samples})} rounds")
    print(LEGEND)
    for load in loads:
        load_table(rounds, load, tools, reasons)
    programs_table(times)
    print("\nClaims (UNCLEAR: too much noise for so few rounds)")
    rows = [list(row) for row in claims(rounds, loads, reasons, cold)]
    table(["CLAIM", "MEASURED", "VERDICT"], rows)
    return status(row[2] for row in rows)


def status(verdicts):
    """Also what is unclear by the clock and fails by CPU time has failed."""
    return 1 if any("FAIL" in each for each in verdicts) else 0


LEGEND = """
NS/FAULT      the walking threads' own time, first touch to last, by fault (median)
SLOW-DOWN     beside the untraced runs of the same round (median, least and most)
ADDED_NS      per fault above untraced; /RECORD and /TRACE: as a part of what these two add:
              `perf record -e page-faults -c1 -d` and `perf trace -F all --no-syscalls`
ADDED_CPU_NS  the same, of the threads' CPU time: less noisy where they wait for a disk
EVENTS        recorded; EXPECTED is the kernel's count, by the program's own getrusage at its end. It includes
              some hundred faults before exec, and lacks those of its exit (last round)
LOST          as the tool says, in the worst round; ~ where it tells only that it lost something. What is lost
              costs less: a tool that loses looks cheaper than it is
CPU_S         of the recorder itself: all its threads from start to end, by /proc/PID/stat of the ended process;
              not in it: the recorded program, and what the kernel does in interrupts"""
