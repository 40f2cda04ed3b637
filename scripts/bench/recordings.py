"""The same programs recorded by pfrec and by perf: how large the files are, and how long it takes to read them back."""

import os
import subprocess
import time
from dataclasses import dataclass

import loads
import tools
from bench import note
from measure import run
from overhead import remove, usable

# Faults of the program's exit, which its own getrusage at its end cannot count.
AT_EXIT = 500
TIMES_READ = 3
# What is in a page fault of both; without the names of functions, which cost perf more than all else.
FIELDS = "pid,tid,time,event,ip,addr"


@dataclass
class Recording:
    load: str
    tool: str
    events: int
    walked: int  # faults of the walk alone
    expected: int  # and those of the whole process, but its exit
    lost: str
    file_bytes: int
    read_back_s: float

    @property
    def bytes_per_event(self):
        return self.file_bytes / self.events

    def flaw(self):
        """What is wrong with it, if so."""
        if self.lost != "0":
            return f"lost {self.lost}"
        if not self.walked <= self.events <= self.expected + AT_EXIT:
            return f"has {self.events} events of {self.walked} to {self.expected} faults"
        return None


PFREC, PERF, PERF_Z = "pfrec", tools.PerfRecord().name, tools.PerfRecord("-z").name


def record_all(options, directory, analyse):
    """Returns the names of the loads, the recordings, why some tools have none, and what `analyse` says of each trace,
    by load."""
    workload, pfrec = (os.path.join(options.bin, name) for name in ("mmap-workload", "pfrec"))
    note("prepare the files, and try every tool")
    all_loads = loads.prepare(directory, workload, run, options.quick)
    good, reasons = usable([tools.Pfrec(pfrec), tools.PerfRecord(), tools.PerfRecord("-z")], workload, directory)
    recordings, analyses = [], {}
    for load in all_loads:
        for tool in good:
            note(f"{load.name}: {tool.name}")
            output = os.path.join(directory, "output")
            recording = record(load, tool, [workload, *load.arguments], output)
            if tool.name == PFREC:
                analyses[load.name] = analyse(output)
                recording.read_back_s = analyses[load.name]["read_back_s"]
            else:
                recording.read_back_s = perf_reads_back(output)
            recordings.append(recording)
            remove(output)
    return [load.name for load in all_loads], recordings, reasons, analyses


def record(load, tool, program, output):
    outcome = run(tool.command(program, output), os.path.dirname(output))
    if reason := tool.refusal(outcome):
        raise RuntimeError(f"{tool.name} failed on {load.name}: {reason}")
    walk = loads.Walk.parse(outcome.stdout)
    if load.is_cold != (walk.walk_majors > walk.walk_minors):
        note(f"warning: {load.name}: {walk.walk_majors} major and {walk.walk_minors} minor faults under {tool.name}: "
             "is --dir on a disk, and is there enough memory?")
    expected = walk.majors + walk.minors
    recorded = tool.recording(outcome, output, expected, run)
    if not recorded.events:
        raise RuntimeError(f"{tool.name} on {load.name}: how many events it has could not be read")
    return Recording(load.name, tool.name, recorded.events, walk.walk_majors + walk.walk_minors, expected,
                     recorded.lost, os.path.getsize(output), 0)


def perf_reads_back(output):
    seconds = []
    for _ in range(TIMES_READ):
        start = time.perf_counter()
        done = subprocess.run(["perf", "script", "-i", output, "-F", FIELDS], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        seconds.append(time.perf_counter() - start)
        if done.returncode != 0:
            raise RuntimeError(f"perf script cannot read it back: {done.stderr.strip()}")
    return min(seconds)
