"""What the trace format takes in bytes and time, beside its rivals: made-up mixes, and recordings of real programs.

Started by scripts/bench.sh, as root, which only the recordings need.
"""

import json
import os
import platform
import shutil
import sys

import bench
import format_report as report
import recordings
from bench import note, output_of
from measure import run

HERE = os.path.dirname(os.path.abspath(__file__))
MIXES = [("blend", "Synthetic mix, 8 threads"), ("stress", "Stress: 1024 threads")]


class Bench:
    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.program = os.path.join(options.bin, "examples", "format_bench")

    def mix(self, name):
        note(f"{name}: trace and structs")
        events, rounds = str(self.options.events), str(self.options.runs)
        return json.loads(output_of([self.program, "mix", name, events, rounds])), self.parquet(name)

    def recording(self, trace):
        rounds = str(self.options.runs)
        return json.loads(output_of([self.program, "file", trace, rounds])) | {"parquet": self.parquet(trace)}

    def parquet(self, source):
        """What parquet.py says, or why it was not run."""
        if self.options.no_parquet:
            return self.options.no_parquet
        note("the same columns in Parquet")
        columns = os.path.join(self.directory, "columns")
        try:
            output_of([self.program, "columns", source, columns, str(self.options.events)])
            # It writes for seconds at 3 million events a second: fewer rounds do.
            rounds = str(min(self.options.runs, 3))
            return json.loads(output_of([self.options.python, "-B", os.path.join(HERE, "parquet.py"), columns, rounds]))
        finally:
            shutil.rmtree(columns, ignore_errors=True)


def measure_all(options, directory):
    busy = bench.load_average()
    runner = Bench(options, directory)
    mixes = [(title, *runner.mix(name)) for name, title in MIXES]
    names, recorded, reasons, analyses = recordings.record_all(options, directory, runner.recording)
    if options.raw:
        with open(options.raw, "w", encoding="utf-8") as file:
            json.dump({"mixes": mixes, "recordings": [vars(each) for each in recorded], "analyses": analyses}, file,
                      indent=1)

    version = run([os.path.join(options.bin, "pfrec"), "--version"], directory).stdout.strip()
    print(f"{version} on Linux {platform.release()} {platform.machine()}, {os.cpu_count()} CPUs, "
          f"load average {busy:.1f} before, {options.runs} rounds")
    print(report.LEGEND)
    for title, source, parquet in mixes:
        report.source_table(title, source, parquet, source["bytes_per_event"]["ours"])
    print("\n\nRecordings of real programs, by pfrec and by perf")
    report.recordings_table(recorded, reasons)
    print("\n\nThe traces of these recordings (the size is that of the file; the speed is that of writing it anew)")
    for load, source in analyses.items():
        report.source_table(load, source, source["parquet"], source["file_bytes"] / source["events"])
    claims = [*report.size_claims(*mixes[0][1:]), *report.speed_claims(mixes[0][1])]
    claims += report.recording_claims(names, recorded, reasons)
    return report.print_claims(claims)


def main():
    parser = bench.parser()
    parser.add_argument("--python", help="one that has pyarrow and numpy")
    parser.add_argument("--no-parquet", metavar="REASON", help="why there is none")
    options = parser.parse_args()
    options.events = 1_000_000 if options.quick else 10_000_000
    if not options.python and not options.no_parquet:
        parser.error("one of --python and --no-parquet is needed")
    return bench.main(options, runs=5, quick_runs=3, measure=measure_all)


if __name__ == "__main__":
    sys.exit(main())
