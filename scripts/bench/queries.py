"""What probes cost the calls that they are on: not attached to, attached to and recorded, attached to in a
process that is not recorded.

Started by scripts/bench.sh, as root. Prints nanoseconds of CPU time per call: the median of all batches, and the range of the
middle half of them.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from statistics import median, quantiles

import report
from measure import run

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "calls.c")
BATCHES = 15
MANY, FEW = 20_000_000, 20_000
IDS = "usdt:{program}:calls:work_begin..work_end,id=arg0"
# What is measured: its name, the kind of calls, whether the program has probes, the query, who is recorded.
CASES = [
    ("call, as it is", "call", False, None, None),
    ("USDT probes in the code, not attached to", "usdt", True, None, None),
    ("USDT, id", "usdt", True, IDS, "program"),
    ("USDT, id and text of 84 bytes", "usdt", True, IDS + ",text=arg1", "program"),
    ("func", "call", True, "func:{program}:work", "program"),
    ("func whose first instruction is single-stepped", "leaf", True, "func:{program}:leaf", "program"),
    ("USDT, in a process that is not recorded", "usdt", True, IDS, "other"),
    ("func, in a process that is not recorded", "call", True, "func:{program}:work", "other"),
]


def build(directory, probes):
    program = os.path.join(directory, "probed" if probes else "plain")
    subprocess.run(["cc", "-O2", *(["-DPROBES"] if probes else []), "-o", program, SOURCE], check=True)
    return program


def recorder(pfrec, program, query, trace, target):
    return [pfrec, "-o", trace, "--query", query.format(program=program), *target]


def recorded(pfrec, program, kind, query, directory):
    trace = os.path.join(directory, "trace")
    command = recorder(pfrec, program, query, trace, ["--", program, kind, str(BATCHES), str(FEW)])
    outcome = run(command, directory)
    if outcome.status != 0 or "pfrec: nothing lost" not in outcome.stderr:
        raise RuntimeError(f"{' '.join(command)}: {outcome.stderr}")
    return outcome


def beside(pfrec, program, kind, query, directory):
    """Another process of the same program is recorded, and has its probes."""
    trace = os.path.join(directory, "trace")
    other = subprocess.Popen([program, "call", "1000", "1"], stdout=subprocess.DEVNULL)
    command = recorder(pfrec, program, query, trace, ["-p", str(other.pid)])
    tool = subprocess.Popen(command, cwd=directory, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not os.path.exists(f"{trace}.partial") or os.path.getsize(f"{trace}.partial") == 0:
            if time.monotonic() > deadline or tool.poll() is not None:
                raise RuntimeError(f"{' '.join(command)} does not record")
            time.sleep(0.1)
        time.sleep(1)
        return run([program, kind, str(BATCHES), str(FEW)], directory)
    finally:
        tool.send_signal(signal.SIGINT)
        other.kill()
        other.wait()
        tool.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    arguments = parser.parse_args()
    pfrec = os.path.join(arguments.bin, "pfrec")
    rows = []
    with tempfile.TemporaryDirectory(prefix="pfrec-bench-") as directory:
        try:
            programs = {probes: build(directory, probes) for probes in (False, True)}
        except (OSError, subprocess.CalledProcessError) as problem:
            sys.exit(f"error: {problem}: this needs cc and sys/sdt.h: apt-get install gcc systemtap-sdt-dev")
        for name, kind, probes, query, who in CASES:
            print(name, file=sys.stderr, flush=True)
            program = programs[probes]
            if who == "program":
                outcome = recorded(pfrec, program, kind, query, directory)
            elif who == "other":
                outcome = beside(pfrec, program, kind, query, directory)
            else:
                outcome = run([program, kind, str(BATCHES), str(MANY)], directory)
            times = [float(line) for line in outcome.stdout.split()]
            low, _, high = quantiles(times, n=4)
            rows.append([name, f"{median(times):.1f}", f"{low:.1f} to {high:.1f}"])
    report.table(["", "ns per call", "middle half"], rows)


if __name__ == "__main__":
    main()
