"""How fast pfanalyze answers, and in how much memory: beside decoding alone, perf on faults of the same kind, and DuckDB and
polars on Parquet of the same columns.

Started by scripts/bench.sh, as root, which only perf record needs. Everything was run once before, and what a command reads is
brought into the page cache right before it, which some machines empty by and by; in each round all of it runs once, and what is
compared most closely several times, in turns.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import analyze_report as report
import bench
import tools
from bench import note, output_of
from measure import run

HERE = os.path.dirname(os.path.abspath(__file__))
MIX = "blend"
PAGE = os.sysconf("SC_PAGE_SIZE")
CPUS = 2
# A shared machine is a third faster or slower from one second to the next.
TURNS = 8
# What each verb is asked. A verb that is in neither list, or that pfanalyze does not have, is an error: a list that
# nobody minds leaves out what was renamed.
VERBS = {
    "threads": [], "files": [], "causes": [], "percentiles": [], "heatmap": [], "regions": ["--file", "/data/vectors"], "timeline": [], "memory": [],
    "sql": ["SELECT tid, count(*), sum(latency_ns) FROM faults GROUP BY tid"],
    # Asked otherwise, or of traces that have them.
    "diff": None, "events": None, "queries": None, "stacks": None,
}
# They count nothing.
NOT_MEASURED = {"info", "verify", "repair", "help"}
# For what would take too long, or too much memory, of more.
EVENTS_AT_MOST = 10_000_000


@dataclass
class Case:
    """One command that is measured."""

    subject: str
    question: str
    events: int
    command: list
    # Its input.
    reads: str
    # It tells its own time: what is measured is not all of the process.
    tells: bool = False


@dataclass
class Sample:
    subject: str
    question: str
    events: int
    round: int
    turn: int
    wall_s: float
    cpu_s: float
    peak_bytes: int


def warm(path):
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def take(case, number, turn):
    for path in (shutil.which(case.command[0]), case.reads):
        warm(path)
    start = time.perf_counter()
    with subprocess.Popen(case.command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          stdout=subprocess.PIPE if case.tells else subprocess.DEVNULL) as process:
        said, complaint = (process.stdout.read() if case.tells else b""), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(case.command)}: {complaint.decode('utf-8', 'replace').strip()[-300:]}")
    if case.tells:
        wall_s = json.loads(said)["seconds"]
    return Sample(case.subject, case.question, case.events, number, turn, wall_s, usage.ru_utime + usage.ru_stime,
                  usage.ru_maxrss * 1024)


def check_verbs(help_text):
    listed = help_text.partition("Commands:\n")[2].partition("\n\n")[0]
    known = set(re.findall(r"^  (\w+)", listed, re.MULTILINE))
    if astray := known ^ (set(VERBS) | NOT_MEASURED):
        raise RuntimeError(f"verbs of pfanalyze that are not measured, or measured and not there: {', '.join(sorted(astray))}")


class Bench:
    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.pfanalyze = os.path.join(options.bin, "pfanalyze")
        self.examples = os.path.join(options.bin, "examples")
        help_text = output_of([self.pfanalyze, "--help"])
        check_verbs(help_text)
        self.reasons = {}

    def traces(self):
        """(events, path), the smallest first."""
        for events in self.options.events:
            path = os.path.join(self.directory, f"{events}.pfz")
            note(f"make a trace of {events:,} events")
            output_of([os.path.join(self.examples, "format_bench"), "trace", MIX, path, str(events)])
            yield events, path

    def of_trace(self, events, path):
        """Cases; those of one list are measured in turns."""
        info = json.loads(output_of([self.pfanalyze, "info", path, "--format", "json"]))
        middle_ns, part_ns = round(info["duration_s"] * 5e8), round(info["duration_s"] * 5e6)
        window = ["--from", f"{middle_ns - part_ns}ns", "--to", f"{middle_ns + part_ns}ns"]
        yield [Case(report.DECODE, report.REPORT, events, [os.path.join(self.examples, "decode"), path], path),
               Case(report.OURS, report.REPORT, events, [self.pfanalyze, path], path),
               Case(report.OURS, report.WINDOW, events, [self.pfanalyze, path, *window], path)]
        for verb, arguments in VERBS.items():
            if arguments is not None:
                yield [Case(report.OURS, verb, events, [self.pfanalyze, verb, path, *arguments], path)]
        yield [Case(report.OURS, "diff", events, [self.pfanalyze, "diff", path, path], path)]
        if events <= EVENTS_AT_MOST:
            yield [Case(report.OURS, "events", events, [self.pfanalyze, "events", path, "--format", "csv"], path)]

    def of_parquet(self, events):
        """The same columns, and the same questions."""
        if self.options.no_engines:
            self.reasons["DuckDB"] = self.reasons["polars"] = self.options.no_engines
            return
        note(f"the same {events:,} events in Parquet")
        columns, path = os.path.join(self.directory, "columns"), os.path.join(self.directory, f"{events}.parquet")
        engines = [self.options.python, "-B", os.path.join(HERE, "engines.py")]
        try:
            output_of([os.path.join(self.examples, "format_bench"), "columns", MIX, columns, str(events)])
            output_of([*engines, "write", columns, path])
        finally:
            shutil.rmtree(columns, ignore_errors=True)
        for engine, subject in (("duckdb", "DuckDB"), ("polars", "polars")):
            for question in ("threads", report.PLAIN_THREADS, "heatmap"):
                # It keeps all latencies for exact quantiles: gigabytes.
                if (subject, question) == ("polars", "threads") and events > EVENTS_AT_MOST:
                    continue
                yield [Case(subject, question, events, [*engines, engine, question, path, str(CPUS)], path,
                            tells=True)]

    def of_queries(self):
        """The mix has none: a trace with one for each hundred faults."""
        events, path = min(max(self.options.events), EVENTS_AT_MOST), os.path.join(self.directory, "queries.pfz")
        note(f"a trace of {events:,} events in queries")
        output_of([os.path.join(self.examples, "synthetic"), path, str(events), "16", str(events // 100)])
        yield [Case(report.OURS, "queries", events, [self.pfanalyze, "queries", path], path)]

    def record(self, tool, program, output):
        """How many faults `tool` says it recorded of `program`, or None; then self.reasons has why."""
        note(f"{tool.name} of {self.options.perf_faults:,} faults")
        reason = tool.missing()
        if not reason:
            outcome = run(tool.command(program, output), self.directory)
            reason = tool.refusal(outcome)
        if reason:
            self.reasons[tool.name] = reason
            return None
        recording = tool.recording(outcome, output, self.options.perf_faults, run)
        if not recording.events or recording.lost != "0":
            raise RuntimeError(f"{tool.name} recorded {recording.events} faults and lost {recording.lost}")
        return recording.events

    def of_perf(self):
        """The same program under perf and under pfrec, the same questions: a line for each fault without names of
        functions, since pfanalyze prints none there; and the table of each, with names where it has them."""
        faults = self.options.perf_faults
        program = [os.path.join(self.options.bin, "mmap-workload"), "--anon", "-p", "seq", "--size",
                   str(faults * PAGE >> 20), "-c", str(faults), "--format", "json"]
        pfrec = os.path.join(self.options.bin, "pfrec")
        data, trace, stacks = (os.path.join(self.directory, name) for name in ("perf.data", "perf.pfz", "stacks.pfz"))
        ours = self.record(tools.Pfrec(pfrec, ["--query", "none"]), program, trace)
        theirs = self.record(tools.PerfRecord(), program, data)
        if ours and theirs:
            yield [Case(report.OURS, report.TABLE, ours, [self.pfanalyze, trace], trace),
                   Case(report.PERF_REPORT, report.TABLE, theirs, ["perf", "report", "--stdio", "-i", data], data)]
            fields = "comm,pid,tid,time,event,addr,ip"
            yield [Case(report.OURS, report.LINES, ours, [self.pfanalyze, "events", trace, "--format", "csv"],
                        trace),
                   Case(report.PERF_SCRIPT, report.LINES, theirs,
                        ["perf", "script", "-F", fields, "-i", data], data)]
        with_stacks = self.record(tools.Pfrec(pfrec, ["--stacks", "--query", "none"]), program, stacks)
        if with_stacks:
            yield [Case(report.OURS, "stacks", with_stacks, [self.pfanalyze, "stacks", stacks], stacks)]


def order(cases, number):
    """Another one is first in every round, and every second round runs backwards."""
    start = number * 7 % len(cases)
    line = cases[start:] + cases[:start]
    return line[::-1] if number % 2 else line


def in_turns(together, turns):
    """(turn, case), to and fro."""
    for turn in range(turns if len(together) > 1 else 1):
        for case in together[::-1] if turn % 2 else together:
            yield turn, case


def measure_all(options, directory):
    busy = bench.load_average()
    needed = sum(options.events) * 6 + max(options.parquet) * (56 + 12)
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise RuntimeError(f"{directory} has {free >> 20:,} MiB free, and {needed >> 20:,} are needed: give --dir")
    measuring = Bench(options, directory)
    cases = []
    for events, path in measuring.traces():
        cases += measuring.of_trace(events, path)
    for events in options.parquet:
        cases += measuring.of_parquet(events)
    cases += measuring.of_queries()
    cases += measuring.of_perf()
    # What is claimed is claimed of two CPUs.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CPUS])
    samples = []
    for number in range(options.runs + 1):
        note(f"round {number} of {options.runs}" if number else "everything once, to fill the caches")
        for together in order(cases, number):
            for turn, case in in_turns(together, TURNS if number else 1):
                sample = take(case, number, turn)
                # The first one only warms up.
                if number:
                    samples.append(sample)
    # The tables have the order of the cases, and the rounds theirs.
    places = [(case.subject, case.question, case.events) for together in cases for case in together]
    samples.sort(key=lambda sample: places.index((sample.subject, sample.question, sample.events)))
    if options.raw:
        with open(options.raw, "w", encoding="utf-8") as file:
            json.dump([asdict(sample) for sample in samples], file, indent=0)
    version = output_of([measuring.pfanalyze, "--version"]).strip()
    print(f"{version} on Linux {platform.release()} {platform.machine()}, {len(os.sched_getaffinity(0))} of {os.cpu_count()} "
          f"CPUs, load average {busy:.1f} before, {options.runs} rounds")
    return report.print_all(samples, options.events, measuring.reasons)


def main():
    parser = bench.parser()
    parser.add_argument("--python", help="one that has duckdb, polars and pyarrow")
    parser.add_argument("--no-engines", metavar="REASON", help="why there is none")
    options = parser.parse_args()
    if not options.python and not options.no_engines:
        parser.error("one of --python and --no-engines is needed")
    million = 1_000_000
    options.events = [million, 10 * million] if options.quick else [million, 10 * million, 100 * million]
    options.parquet = [10 * million] if options.quick else [10 * million, 100 * million]
    options.perf_faults = 1 << 17 if options.quick else 1 << 21
    return bench.main(options, runs=5, quick_runs=3, measure=measure_all)


if __name__ == "__main__":
    sys.exit(main())
