"""The tools that are compared: how each is started, and what it says it recorded."""

import gzip
import os
import re
import shutil
from dataclasses import dataclass, field


@dataclass
class Recording:
    events: int | None  # None: the tool's output could not be read
    lost: str  # a number, or as much of one as the tool tells


class Untraced:
    name = "nothing"
    kind = "untraced"
    majors_only = False

    def missing(self):
        """Why it cannot even be tried, if so."""
        return None

    def command(self, program, _output):
        return program

    def refusal(self, outcome):
        """Why it did not record, if so."""
        return outcome.complaint() if outcome.status != 0 else None

    def recording(self, _outcome, _output, _expected, _run):
        return Recording(None, "-")


@dataclass
class Pfrec(Untraced):
    binary: str
    flags: list = field(default_factory=list)
    called: str = "pfrec"
    kind = "pfrec"

    def __post_init__(self):
        self.name = " ".join([self.called, *self.flags])
        self.majors_only = "--major-only" in self.flags

    def command(self, program, output):
        return [self.binary, "-o", output, *self.flags, "--", *program]

    def refusal(self, outcome):
        if outcome.status != 0 and "unexpected argument" in outcome.stderr:
            return f"not supported by this pfrec: {outcome.complaint()}"
        return super().refusal(outcome)

    def recording(self, outcome, _output, _expected, _run):
        # What it prints for people; whatever it finds wrong with its own count is part of the answer.
        events = number(r"([\d,]+) page faults in ", outcome.stderr)
        lost = number(r" ([\d,]+) lost\b", outcome.stderr)
        if lost is None:
            losses = re.findall(r"LOST ([\d,]+) ", outcome.stderr)
            lost = sum(map(plain, losses)) if losses or "nothing lost" in outcome.stderr else None
        unbalanced = ("NOT BALANCED", "not checked")
        found = "".join(f" {words}" for words in unbalanced if f": {words}\n" in outcome.stderr)
        return Recording(events, ("?" if lost is None else str(lost)) + found)


@dataclass
class PfrecLive(Pfrec):
    """Counting in the kernel, without records. Standard output is its own then, so the program's takes another way."""

    def __post_init__(self):
        self.name = "pfrec -i 1000"

    def command(self, program, _output):
        shell = 'pfrec=$1; shift; exec "$pfrec" -i 1000 -- sh -c \'exec "$@" >&3\' sh "$@" 3>&1 >/dev/null'
        return ["sh", "-c", shell, "sh", self.binary, *program]


class Perf(Untraced):
    kind = "perf"

    def missing(self):
        return None if shutil.which("perf") else "no perf here: apt-get install linux-perf"


class PerfRecord(Perf):
    def __init__(self, *flags):
        self.flags = flags
        self.name = " ".join(["perf record -e page-faults -c1 -d", *flags])

    def command(self, program, output):
        return ["perf", "record", "-o", output, "-e", "page-faults", "-c1", "-d", *self.flags, "--", *program]

    def recording(self, _outcome, output, expected, run):
        report = run(["perf", "report", "-i", output, "--stats", "--stdio"], os.path.dirname(output)).stdout
        events = number(r"SAMPLE events: +(\d+)", report)
        if not re.search(r"LOST(_SAMPLES)? events: +[1-9]", report):
            return Recording(events, "0")
        # It keeps how often it lost something, but not how much.
        return Recording(events, f"~{max(0, expected - (events or 0))}")


class PerfTrace(Perf):
    name = "perf trace -F all --no-syscalls"

    def command(self, program, output):
        return ["perf", "trace", "-F", "all", "--no-syscalls", "-o", output, "--", *program]

    def recording(self, _outcome, output, _expected, _run):
        with open(output, encoding="utf-8", errors="replace") as file:
            text = file.read()
        return Recording(len(re.findall(r" (?:maj|min)fault \[", text)),
                         str(sum(map(int, re.findall(r"LOST (\d+) events", text)))))


class Bpftrace(Untraced):
    """Entry to return by a script; it has no address, which bpftrace cannot read from a software event."""

    kind = "bpftrace"
    SOFTWARE = ("software:page-faults:1", ["software:minor-faults:1", "software:major-faults:1"])
    # What most scripts do; needs a kernel with kprobes.
    KPROBE = ("kprobe:handle_mm_fault", ["kretprobe:handle_mm_fault"])

    def __init__(self, name, probes, each):
        self.name = name
        entry, returns = probes
        self.prints = "printf" in each
        self.script = f"{entry} /pid == cpid/ {{ @start[tid] = nsecs; }}\n" + "".join(
            f"{probe} /@start[tid]/ {{ {each} @events = count(); delete(@start[tid]); }}\n" for probe in returns)
        self.script += "END { clear(@start); }\n"

    def missing(self):
        return None if shutil.which("bpftrace") else "no bpftrace here: apt-get install bpftrace"

    def refusal(self, outcome):
        reason = super().refusal(outcome)
        if reason and "kprobe:" in self.script and not has_kprobes():
            return f"{reason} (kprobes are compiled out of this kernel)"
        return reason

    def command(self, program, output):
        return ["bpftrace", "-o", output, "-e", self.script, "-c", " ".join(program)]

    def recording(self, outcome, output, _expected, _run):
        with open(output, encoding="utf-8", errors="replace") as file:
            text = file.read()
        # Counted in the kernel, so it knows of lines that were lost on their way.
        events = number(r"@events: (\d+)", text)
        lost = sum(map(int, re.findall(r"Lost (\d+) events", text + outcome.stderr)))
        if self.prints:
            return Recording(len(re.findall(r"^F ", text, re.MULTILINE)), str(lost))
        return Recording(events, str(lost))


def all_tools(pfrec, before):
    histogram, line = "@ns = hist(nsecs - @start[tid]);", 'printf("F %d %d\\n", tid, nsecs - @start[tid]);'
    return [
        Untraced(),
        Pfrec(pfrec),
        *([Pfrec(before, called="pfrec before")] if before else []),
        PfrecLive(pfrec),
        Pfrec(pfrec, ["--major-only"]),
        Pfrec(pfrec, ["--stacks"]),
        Pfrec(pfrec, ["--breakdown"]),
        Pfrec(pfrec, ["--causes"]),
        # What a fault costs that a filter leaves out: at its completion, at its entry, most of them.
        Pfrec(pfrec, ["--min-latency", "10s"]),
        Pfrec(pfrec, ["--comm", "no-such-name"]),
        Pfrec(pfrec, ["--sample", "100"]),
        PerfRecord(),
        PerfRecord("-g"),
        PerfTrace(),
        Bpftrace("bpftrace software events, histogram", Bpftrace.SOFTWARE, histogram),
        Bpftrace("bpftrace software events, line each", Bpftrace.SOFTWARE, line),
        Bpftrace("bpftrace kprobes, histogram", Bpftrace.KPROBE, histogram),
    ]


def has_kprobes():
    """True also where the kernel does not tell how it was built."""
    try:
        with gzip.open("/proc/config.gz", "rt", encoding="ascii") as file:
            return "CONFIG_KPROBES=y\n" in file
    except OSError:
        return True


def plain(text):
    return int(text.replace(",", ""))


def number(pattern, text):
    found = re.search(pattern, text)
    return plain(found[1]) if found else None
