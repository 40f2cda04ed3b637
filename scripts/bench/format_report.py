"""Sizes and speeds of the format beside its rivals, as tables and as verdicts on the claims."""

from statistics import median

from recordings import PERF, PERF_Z, PFREC
from report import status, table

PFZ, FEW, ENTROPY = "pfz", "pfz: tid, latency, class", "order-0 entropy"
RAW, RAW_FAST, PARQUET = "struct + zstd 3", "struct + zstd 1", "Parquet, zstd 3"
RIVALS = {RAW: "raw_zstd3", RAW_FAST: "raw_zstd1"}
# What the others may at most be, and must at least.
OF_ENTROPY, OF_RAW, OF_PARQUET = 1.10, 0.40, 0.40
OF_PERF, OF_PERF_Z = 1 / 8, 0.8
ENCODE, DECODE, DECODE_FEW = 2.0, 1.6, 3.0


def speeds(values):
    return [f"{median(values):.2f}", f"{max(values):.2f}"]


def source_table(title, source, parquet, pfz_bytes):
    """`source` is what format_bench says, `parquet` what parquet.py does, or why it does not."""
    print(f"\n{title}: {source['events']:,} events, {100 * source['inversions']:.1f} % of them start before the one "
          "in front of them")
    size, rounds = source["bytes_per_event"], source["rounds"]

    def line(name, per_event, encode, decode):
        return [name, f"{per_event:.3f}", f"{pfz_bytes / per_event:.3f}",
                *(speeds(encode) if encode else ["-"] * 2), *(speeds(decode) if decode else ["-"] * 2)]

    def of(direction, name):
        return [each[direction][name] for each in rounds]

    rows = [line(PFZ, pfz_bytes, of("encode", "ours"), of("decode", "ours")),
            [FEW, "-", "-", "-", "-", *speeds(of("decode", "few"))],
            line(ENTROPY, size["entropy"], None, None)]
    rows += [line(name, size[key], of("encode", key), of("decode", key)) for name, key in RIVALS.items()]
    if isinstance(parquet, dict):
        rows.append(line(PARQUET, parquet["bytes"] / parquet["events"], parquet["encode"], parquet["decode"]))
    table(["", "BYTES/EVENT", "PFZ/THIS", "ENCODE_M/S", "(BEST)", "DECODE_M/S", "(BEST)"], rows)
    if not isinstance(parquet, dict):
        print(f"{PARQUET}  NOT RUN: {parquet}")
    bits = [f"{name} {each:.2f}" for name, each in source["entropy_bits_per_event"].items() if each >= 0.005]
    print(f"entropy by column, bits per event: {', '.join(bits)}")


def recordings_table(recordings, reasons):
    for load in dict.fromkeys(recording.load for recording in recordings):
        print(f"\n{load}")
        mine = {recording.tool: recording for recording in recordings if recording.load == load}
        rows = []
        for recording in mine.values():
            ratio = mine[PFREC].bytes_per_event / recording.bytes_per_event if PFREC in mine else None
            rows.append([recording.tool, f"{recording.events}", f"{recording.walked}-{recording.expected}",
                         recording.lost, f"{recording.file_bytes}", f"{recording.bytes_per_event:.3f}",
                         "-" if ratio is None else f"{ratio:.3f}", f"{1000 * recording.read_back_s:.1f}",
                         f"{recording.events / recording.read_back_s / 1e6:.2f}"])
        table(["TOOL", "EVENTS", "FAULTS", "LOST", "BYTES", "BYTES/EVENT", "PFZ/THIS", "READ_MS", "READ_M/S"], rows)
    for tool, reason in reasons.items():
        print(f"{tool}  NOT RUN: {reason}")


def at_most(claim, measured, limit):
    return [claim, f"{measured:.3f}", "PASS" if measured <= limit else "FAIL"]


def at_least(claim, measured, limit):
    return [claim, f"{measured:.2f}", "PASS" if measured >= limit else "FAIL"]


def size_claims(mix, parquet):
    size = mix["bytes_per_event"]
    ours = size["ours"]
    yield at_most(f"synthetic mix: at most {OF_ENTROPY:.2f} x its order-0 entropy", ours / size["entropy"], OF_ENTROPY)
    yield at_most(f"synthetic mix: at most {OF_RAW:.2f} x {RAW}", ours / size["raw_zstd3"], OF_RAW)
    claim = f"synthetic mix: at most {OF_PARQUET:.2f} x {PARQUET}"
    if isinstance(parquet, dict):
        yield at_most(claim, ours / (parquet["bytes"] / parquet["events"]), OF_PARQUET)
    else:
        yield [claim, parquet, "NOT RUN"]


def speed_claims(mix):
    """Ratios within a round, in which the codecs take turns."""
    def ratio(direction, name, other_direction, other):
        return median(each[direction][name] / each[other_direction][other] for each in mix["rounds"])

    yield at_least(f"encode: at least {ENCODE:.1f} x the speed of {RAW}",
                   ratio("encode", "ours", "encode", "raw_zstd3"), ENCODE)
    yield at_least(f"decode all: at least {DECODE:.1f} x the speed of {RAW}",
                   ratio("decode", "ours", "decode", "raw_zstd3"), DECODE)
    yield at_least(f"decode tid, latency, class: at least {DECODE_FEW:.1f} x the speed of decode all",
                   ratio("decode", "few", "decode", "ours"), DECODE_FEW)


def recording_claims(loads, recordings, reasons):
    """Of cold files and anonymous memory. perf may lose events: what counts is bytes per event that it has."""
    by_place = {(recording.load, recording.tool): recording for recording in recordings}
    for load in loads:
        if load.startswith("cached"):
            continue
        ours = by_place.get((load, PFREC))
        claim = f"{load}: pfrec has every fault"
        if ours is None:
            yield [claim, reasons.get(PFREC, "was not run"), "NOT RUN"]
        else:
            flaw = ours.flaw()
            yield [claim, flaw or "yes", "FAIL" if flaw else "PASS"]
        for other, limit, words in ((PERF, OF_PERF, "1/8 of"), (PERF_Z, OF_PERF_Z, f"{OF_PERF_Z} x")):
            claim = f"{load}: at most {words} {other}"
            theirs = by_place.get((load, other))
            missing = PFREC if ours is None else other if theirs is None else None
            if missing:
                yield [claim, f"{missing}: {reasons.get(missing, 'was not run')}", "NOT RUN"]
            else:
                yield at_most(claim, ours.bytes_per_event / theirs.bytes_per_event, limit)


def print_claims(rows):
    """Returns the exit status."""
    print("\nClaims (what was NOT RUN is not shown)")
    table(["CLAIM", "MEASURED", "VERDICT"], rows)
    verdicts = [row[2] for row in rows]
    print(", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("PASS", "FAIL", "NOT RUN")))
    return status(verdicts)


LEGEND = """
BYTES/EVENT   of the whole file. The struct has 56 bytes, in blocks of 32,768; it and Parquet lack the thread's name
PFZ/THIS      bytes of the trace as a part of these
ENCODE_M/S, DECODE_M/S
              millions of events per second on one thread, in memory, median of the rounds. struct and pfz take
              turns block by block; Parquet (pyarrow) runs by itself
order-0 entropy
              of the bytes of the residuals that formats/SPEC.md documents, plane by plane and block by block,
              computed in the bench; what a coder needs to tell its probabilities is not in it
FAULTS        the kernel's counts, by the program's getrusage: of its walk, and of the whole process but its exit
READ_MS       perf script with numbers only, to /dev/null; pfz from the file to columns in memory (least of several)"""
