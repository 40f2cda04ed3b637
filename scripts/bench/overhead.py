"""What recording costs the recorded program: pfrec and other tools on the same loads, interleaved.

Started by scripts/bench.sh, as root. The time is the program's own, from its first touch to its last; starting
and stopping the tools is not in it. All comparisons are within a round, so that what disturbs the machine for a
while disturbs all tools.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass

import bpfstats
import bench
import loads
import report
import tools
from bench import note
from measure import run


@dataclass
class Sample:
    load: str
    tool: str
    round: int
    wall_ns: float
    cpu_ns: float
    events: int | None
    expected: int
    lost: str
    output_bytes: int
    recorder_cpu_s: float


def usable(all_tools, workload, directory):
    """Tries every tool on a small program. Returns those that record, and why the others do not."""
    good, reasons = [], {}
    program = [workload, "--anon", "--size", "1", "-c", "16", "--format", "json"]
    for tool in all_tools:
        output = os.path.join(directory, "try")
        reason = tool.missing() or tool.refusal(run(tool.command(program, output), directory))
        remove(output)
        if reason:
            reasons[tool.name] = reason
            note(f"NOT RUN  {tool.name}: {reason}")
        else:
            good.append(tool)
    return good, reasons


def remove(output):
    for name in (output, f"{output}.old"):
        if os.path.exists(name):
            os.unlink(name)


def measure(load, tool, number, workload, directory):
    output = os.path.join(directory, "output")
    outcome = run(tool.command([workload, *load.arguments], output), directory)
    if reason := tool.refusal(outcome):
        raise RuntimeError(f"{tool.name} failed on {load.name}: {reason}")
    walk = loads.Walk.parse(outcome.stdout)
    if load.is_cold != (walk.walk_majors > walk.walk_minors):
        note(f"warning: {load.name}: {walk.walk_majors} major and {walk.walk_minors} minor faults under {tool.name}: "
             "is --dir on a disk, and is there enough memory?")
    expected = walk.majors + (0 if tool.majors_only else walk.minors)
    recording = tool.recording(outcome, output, expected, run)
    size = os.path.getsize(output) if os.path.exists(output) else 0
    # Before it is written back, which would disturb the next one.
    remove(output)
    return Sample(load.name, tool.name, number, walk.wall_ns, walk.cpu_ns, recording.events, expected,
                  recording.lost, size, outcome.cpu_s)


def order(all_tools, number):
    """Everybody moves on from round to round, and every second round runs backwards, so that nobody always comes
    first, or after the same one. The untraced run, which all are compared with, has two places."""
    others = [tool for tool in all_tools if tool.kind != "untraced"]
    untraced = [tool for tool in all_tools if tool.kind == "untraced"]
    half = len(others) // 2
    line = untraced + others[:half] + untraced + others[half:]
    start = number * 7 % len(line)
    line = line[start:] + line[:start]
    return line[::-1] if number % 2 else line


def program_times(load, tool, workload, directory):
    """Run time of pfrec's BPF programs, in a run of its own: measuring it costs time, too."""
    with bpfstats.Statistics():
        programs = bpfstats.Programs("pf_")
        output = os.path.join(directory, "output")
        run(tool.command([workload, *load.arguments], output), directory, programs.hold_new)
        remove(output)
        return [(load.name, tool.name, *figures) for figures in programs.finish()]


def measure_all(options, directory):
    workload, pfrec = (os.path.join(options.bin, name) for name in ("mmap-workload", "pfrec"))
    busy = bench.load_average()
    note("prepare the files, and try every tool")
    all_loads = wanted(loads.prepare(directory, workload, run, options.quick), options.load)
    candidates = tools.all_tools(pfrec, options.before and os.path.abspath(options.before))
    chosen = [tool for tool in candidates if tool.kind == "untraced"]
    chosen += wanted([tool for tool in candidates if tool.kind != "untraced"], options.tool)
    good, reasons = usable(chosen, workload, directory)
    if "nothing" in reasons:
        raise RuntimeError(f"mmap-workload does not run: {reasons['nothing']}")
    samples = []
    for number in range(options.runs):
        for load in all_loads:
            note(f"round {number + 1} of {options.runs}: {load.name}")
            for tool in order(good, number):
                samples.append(measure(load, tool, number, workload, directory))
    note("BPF statistics")
    times = []
    for load in all_loads:
        for tool in good:
            if tool.kind == "pfrec":
                times += program_times(load, tool, workload, directory)
    if options.raw:
        with open(options.raw, "w", encoding="utf-8") as file:
            json.dump([asdict(sample) for sample in samples], file, indent=0)
    return report.print_all(samples, [load.name for load in all_loads], [tool.name for tool in chosen],
                            reasons, times, {load.name for load in all_loads if load.is_cold}, pfrec, busy)


def wanted(things, texts):
    names = {thing.name for thing in things}

    def is_wanted(name):
        # A whole name is that one only.
        return not texts or any(name == text or (text in name and text not in names) for text in texts)

    chosen = [thing for thing in things if is_wanted(thing.name)]
    if not chosen:
        raise RuntimeError(f"no name contains {' or '.join(texts)}; there are: {', '.join(t.name for t in things)}")
    return chosen


def main():
    parser = bench.parser()
    parser.add_argument("--load", action="append")
    parser.add_argument("--tool", action="append")
    parser.add_argument("--before")
    return bench.main(parser.parse_args(), runs=7, quick_runs=3, measure=measure_all)


if __name__ == "__main__":
    sys.exit(main())
