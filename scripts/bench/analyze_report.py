"""What was measured of pfanalyze, as tables and as verdicts on the claims."""

from statistics import median

from report import status, table, verdict

DECODE, OURS, PERF_REPORT, PERF_SCRIPT = "decoding alone", "pfanalyze", "perf report --stdio", "perf script"
TABLE, LINES = "the table of one program", "a line for each of its faults"
REPORT, WINDOW, PLAIN_THREADS = "report", "report, 1 % of the time", "threads without quantiles"
MIB = 1 << 20
OF_DECODING, OF_FULL, GROWTH = 1.6, 0.05, 1.1
PEAK_MIB = 512
TIMES_REPORT, TIMES_SCRIPT = 15, 1


class Rounds:
    """Measurements by subject, question and number of events."""

    def __init__(self, samples):
        self.by_place = {}
        for sample in samples:
            self.by_place.setdefault((sample.subject, sample.question, sample.events), []).append(sample)

    def of(self, subject, question=None):
        """Number of events, and samples in the order of rounds, of all that fit."""
        fitting = [(events, samples) for (whose, what, events), samples in self.by_place.items()
                   if whose == subject and question in (None, what)]
        return sorted(fitting, key=lambda each: each[0])

    def largest(self, subject, question=None, events=None):
        """Of the most events, or of exactly `events`; None without one."""
        fitting = [each for each in self.of(subject, question) if events in (None, each[0])]
        return fitting[-1] if fitting else None


def speeds_table(rounds, events):
    rows = []
    for (subject, question, number), samples in rounds.by_place.items():
        if number != events:
            continue
        seconds = median(sample.wall_s for sample in samples)
        rows.append([f"{subject}: {question}", f"{seconds:.3f}", f"{min(sample.wall_s for sample in samples):.3f}",
                     f"{events / seconds / 1e6:.1f}", f"{1e9 * seconds / events:.1f}",
                     f"{median(sample.cpu_s for sample in samples):.2f}",
                     f"{max(sample.peak_bytes for sample in samples) / MIB:.0f}"])
    print(f"\n{events:,} events")
    table(["", "WALL_S", "(BEST)", "M_EVENTS/S", "NS/EVENT", "CPU_S", "PEAK_MIB"], rows)


def per_event(found):
    """One number for each round."""
    events, samples = found
    turns = {}
    for sample in samples:
        turns.setdefault(sample.round, []).append(sample.wall_s / events)
    return [median(each) for each in turns.values()]


def ratio(claim, ours, theirs, limit):
    """Ours is at most `limit` times theirs, turn by turn."""
    mine, other = ([sample.wall_s for sample in samples] for _, samples in (ours, theirs))
    share = median(a / b for a, b in zip(mine, other))
    return [claim, f"{share:.3f}", verdict([a - limit * b for a, b in zip(mine, other)])]


def faster(claim, ours, theirs, times):
    """Ours takes at most one part in `times` of theirs, round by round."""
    mine, other = per_event(ours), per_event(theirs)
    factor = median(b / a for a, b in zip(mine, other))
    return [claim, f"{factor:.1f} x", verdict([times * a - b for a, b in zip(mine, other)])]


def claims(rounds, events, reasons):
    most = max(events)
    full = rounds.largest(OURS, REPORT, most)
    yield ratio(f"{most:,} events: the report takes at most {OF_DECODING} x decoding alone",
                full, rounds.largest(DECODE, REPORT, most), OF_DECODING)
    yield ratio(f"{most:,} events: 1 % of the time costs at most {100 * OF_FULL:.0f} % of all",
                rounds.largest(OURS, WINDOW, most), full, OF_FULL)
    peaks = {}
    for (subject, what, _), samples in rounds.by_place.items():
        if subject == OURS:
            peaks[what] = max(peaks.get(what, 0), *(sample.peak_bytes for sample in samples))
    worst = max(peaks, key=peaks.get)
    yield [f"up to {most:,} events: no question needs more than {PEAK_MIB} MiB", f"{peaks[worst] / MIB:.0f} ({worst})",
           "PASS" if peaks[worst] <= PEAK_MIB * MIB else "FAIL"]
    yield growth(rounds, events)
    yield beside_engine(rounds, reasons)
    for subject, question, times in ((PERF_REPORT, TABLE, TIMES_REPORT), (PERF_SCRIPT, LINES, TIMES_SCRIPT)):
        claim = f"{question}: per fault at least {times} x as fast as {subject}"
        ours, theirs = rounds.largest(OURS, question), rounds.largest(subject, question)
        yield faster(claim, ours, theirs, times) if ours and theirs else [claim, "; ".join(reasons.values()), "NOT RUN"]


def growth(rounds, events):
    """Of the report: a window of 1 % has too few events for its memory to have settled."""
    few, most = 10_000_000, 100_000_000
    claim = f"the report of {most:,} events takes at most {100 * GROWTH - 100:.0f} % more memory than of {few:,}"
    if most not in events:
        return [claim, "only in a full run", "NOT RUN"]
    peaks = [median(sample.peak_bytes for sample in rounds.largest(OURS, REPORT, number)[1]) for number in (few, most)]
    share = peaks[1] / peaks[0]
    return [claim, f"{share:.2f} x", "PASS" if share <= GROWTH else "FAIL"]


def beside_engine(rounds, reasons):
    claim = "threads: faster than DuckDB on Parquet of the same columns"
    theirs = rounds.largest("DuckDB", "threads")
    if not theirs:
        return [claim, reasons["DuckDB"], "NOT RUN"]
    return faster(f"{theirs[0]:,} events: {claim}", rounds.largest(OURS, "threads", theirs[0]), theirs, 1)


def print_all(samples, events, reasons):
    """Returns the exit status."""
    rounds = Rounds(samples)
    print(LEGEND)
    for number in sorted({number for _, _, number in rounds.by_place}):
        speeds_table(rounds, number)
    for subject, reason in reasons.items():
        print(f"{subject}  NOT RUN: {reason}")
    print("\nClaims (UNCLEAR: too much noise for so few rounds)")
    rows = list(claims(rounds, events, reasons))
    table(["CLAIM", "MEASURED", "VERDICT"], rows)
    return status(row[2] for row in rows)


LEGEND = """
Events of the mix of `bench.sh format`: 8 threads that read files and memory, as recorders meet them. Each command runs once in
each round, right after its input was read to its end, so that it is in the page cache; decoding alone, the report and 1 % of
the time run eight times in each, to and fro. Medians of all.
WALL_S        of the whole process, output to /dev/null; of DuckDB and polars only the question itself, without the start of
              Python and its imports
CPU_S         user and system time of the process
PEAK_MIB      the most memory that was resident (ru_maxrss), pages of mapped files among it, and of DuckDB and polars
              Python with its modules; the worst round
threads       DuckDB's quantiles are approximate, too, those of polars are exact; neither has the names of threads
heatmap       faults by 1,024 parts of the time and 16 MiB of addresses; pfanalyze has finer ones, and draws them
decoding alone
              of the columns that the report needs, with the same reader on as many CPUs, and no question"""
