"""The programs that are recorded: mmap-workload, whose faults are known, and the files it walks."""

import json
import os
from dataclasses import dataclass

MB = 1 << 20
COLD_FILE_MB = 256
# Fault-around maps up to 16 pages for one fault if they are cached. So only every 16th page of the cached
# file is: a sparse file, read once with read-ahead off. MADV_RANDOM alone does not switch fault-around off.
STRIDE = 16
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Load:
    name: str
    arguments: list
    is_cold: bool


@dataclass
class Walk:
    """What the program says of its own run; the kernel counted the faults, by its getrusage(2)."""

    wall_ns: float  # per fault, from the first touch to the last, summed over the threads
    cpu_ns: float  # per fault, CPU time of the walking threads
    walk_majors: int
    walk_minors: int
    majors: int  # of the process, from its fork to the report
    minors: int

    @classmethod
    def parse(cls, text):
        report, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
        threads = report["threads"]

        def total(field):
            return sum(thread[field] for thread in threads)

        faults = total("majors") + total("minors")
        return cls((total("end_ns") - total("begin_ns")) / faults, total("cpu_ns") / faults,
                   total("majors"), total("minors"),
                   report["process"]["majors"], report["process"]["minors"])


def prepare(directory, workload, run, quick):
    """Makes the files, and returns the loads."""
    scale = 4 if quick else 1
    cold_touches, minors = 16000 // scale, 655360 // scale
    cold = os.path.join(directory, "cold")
    with open(cold, "wb") as file:
        for _ in range(COLD_FILE_MB):
            file.write(os.urandom(MB))
        os.fsync(file.fileno())
    cached = os.path.join(directory, "cached")
    with open(cached, "wb") as file:
        file.truncate(minors * STRIDE * PAGE)

    def arguments(threads, touches, *rest):
        return ["-t", str(threads), "--split", "-c", str(touches // threads), "--format", "json", *rest]

    loads = []
    for threads in (1, 2):
        many = f"{threads} thread" + "s" * (threads > 1)
        size = str(minors * PAGE // MB)
        cached_walk = ["-f", cached, "-p", "stride", "-s", str(STRIDE), "--advice", "random"]
        loads += [
            Load(f"cold file, random, {many}",
                 arguments(threads, cold_touches, "-f", cold, "--evict", "-p", "random"), True),
            Load(f"cached file, {many}", arguments(threads, minors, *cached_walk), False),
            Load(f"anonymous memory, {many}",
                 arguments(threads, minors, "--anon", "-p", "seq", "--size", size), False),
        ]
    warm_up = run([workload, *loads[1].arguments], directory)
    if warm_up.status != 0:
        raise RuntimeError(f"cannot read the file into the page cache: {warm_up.complaint()}")
    return loads
