"""Every number of pfanalyze once more, by DuckDB, from the CSV that `pfanalyze events` writes.

    recompute.py PFANALYZE TRACE...

Needs the package duckdb. What is asked and what must come out is in questions.py. The last line of standard output says how
much was compared. Exit status: 0 all agree, 1 some do not, or a verb is not listed.
"""

import csv
import io
import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import duckdb

from questions import ELSEWHERE, VERBS
from two_traces import DIFF

NUMBERS = {"ts_ns": "UBIGINT", "latency_ns": "UBIGINT", "pid": "UINTEGER", "tid": "UINTEGER", "cpu": "USMALLINT",
           "address": "UBIGINT", "retries": "UTINYINT", "ip": "UBIGINT", "file_offset": "UBIGINT", "blocked_ns": "UBIGINT",
           "runqueue_ns": "UBIGINT", "reclaim_ns": "UBIGINT", "lock_ns": "UBIGINT", "query_id": "UBIGINT",
           "stack_id": "UINTEGER", "weight": "UBIGINT", "major": "BOOLEAN", "failed": "BOOLEAN",
           "interruptions": "UTINYINT", "signal": "UTINYINT", "abandoned": "BOOLEAN",
           "pages_read": "UINTEGER", "sleep_stack_id": "UINTEGER", "read_offset": "UBIGINT"}
# Quantiles are within one percent, all else is exact.
ABOUT = re.compile(r"(wall_|wait_)?p\d+(_9+)?_[mu]s")
# Digits behind the point of a unit, which is then a whole number of nanoseconds.
UNITS = {"_s": 9, "_ms": 6, "_us": 3, "_percent": 3}
MACROS = """
    CREATE MACRO pick(values, per_100k) AS list_sort(values)[greatest(1, (len(values) * per_100k + 99999) // 100000)];
    CREATE MACRO plain(text) AS replace(text, '.', '')::HUGEINT;
    CREATE MACRO share(part, whole) AS
        CASE WHEN whole IS NULL THEN NULL WHEN whole = 0 THEN 0
        ELSE (coalesce(part, 0)::HUGEINT * 100000 + whole // 2) // whole END;"""


@dataclass
class Filter:
    arguments: list
    where: str
    # Of a query, and of its faults; None where the filter is about single faults.
    where_query: str | None = None
    where_in_query: str | None = None


class Trace:
    def __init__(self, pfanalyze, path, other, folder):
        self.pfanalyze, self.path, self.other = pfanalyze, path, other
        self.db = duckdb.connect()
        self.db.execute("SET threads = 1; SET preserve_insertion_order = true;" + MACROS)
        self.info = info = json.loads(self.ask(["info", "--format", "json"]))
        self.page_size = info.get("page_size") or 4096
        self.load("faults", path, folder)
        self.load("others", other, folder)
        threads = f"{folder}/threads.csv"
        with open(threads, "w", encoding="utf-8", newline="") as file:
            file.write(self.ask(["sql", "SELECT pid, tid, comm FROM threads", "--format", "csv"]))
        self.db.execute(f"CREATE TABLE threads AS SELECT pid::UINTEGER AS pid, tid::UINTEGER AS tid, comm FROM {all_text(threads)}")
        self.has = set()
        if info["queries"]:
            self.has.add("queries")
            self.read_queries(info["start_ns"])
        if self.db.execute("SELECT count(stack_id) FROM faults").fetchone()[0]:
            self.has.add("stacks")
        if info["blocks"] == 1:
            self.has.add("one block")
        self.busiest = self.db.execute(
            "SELECT file FROM faults WHERE file LIKE '/%' GROUP BY file ORDER BY count(*) DESC, file LIMIT 1").fetchone()
        if self.busiest:
            self.busiest = self.busiest[0]
            self.has.add("files")

    def load(self, name, path, folder):
        """All faults of a trace as a table."""
        info = json.loads(self.ask(["info", "--format", "json"], path))
        events = f"{folder}/{name}.csv"
        with open(events, "w", encoding="utf-8", newline="") as file:
            file.write(self.ask(["events", "--format", "csv"], path))
        self.db.execute(f"CREATE OR REPLACE TABLE texts AS SELECT row_number() OVER () AS ord, * FROM {all_text(events)}")
        columns = [row[0] for row in self.db.execute("DESCRIBE texts").fetchall()]
        typed = [f"nullif({name}, '')::{NUMBERS[name]} AS {name}" if name in NUMBERS else
                 name if name == "ord" else f"coalesce({name}, '') AS {name}" if name == "comm" else
                 f"nullif({name}, '') AS {name}" for name in columns]
        if "weight" not in columns:
            typed.append("1::UBIGINT AS weight")
        page_size = info.get("page_size") or 4096
        start_ns = info["start_ns"]
        self.db.execute(f"""
            CREATE TABLE {name} AS
            SELECT *, greatest(ts_ns::HUGEINT - {start_ns}, 0) AS since, ts_ns::HUGEINT + latency_ns - {start_ns} AS ends,
                coalesce(file, '[' || kind || ']') AS label,
                CASE WHEN failed THEN 'failed' WHEN major THEN 'major' ELSE 'minor' END AS class,
                CASE WHEN file_offset IS NULL THEN [pid::VARCHAR, '', (address // {page_size})::VARCHAR]
                    ELSE ['', file, file_offset::VARCHAR] END AS page,
                blocked_ns + runqueue_ns::HUGEINT <= latency_ns AS adds_up,
                CASE WHEN adds_up THEN blocked_ns END AS part_blocked, CASE WHEN adds_up THEN runqueue_ns END AS part_runqueue,
                CASE WHEN adds_up THEN latency_ns - blocked_ns - runqueue_ns END AS part_cpu,
                CASE WHEN adds_up THEN reclaim_ns END AS part_reclaim, CASE WHEN adds_up THEN lock_ns END AS part_lock
            FROM (SELECT {', '.join(typed)} FROM texts)""")

    def read_queries(self, start_ns):
        """Their records are not in the events; `queries --slowest` has them one by one."""
        text = self.ask(["queries", "--slowest", "1000", "--format", "json"])
        rows = json.loads(text, parse_float=str)
        self.db.execute("CREATE TABLE q (query_id UBIGINT, parent_id UBIGINT, pid UINTEGER, tid UINTEGER, name VARCHAR, "
                        "text VARCHAR, label VARCHAR, since HUGEINT, wall HUGEINT, wall_or_so HUGEINT, wait HUGEINT, "
                        "major UBIGINT, minor UBIGINT)")

        def plain(text):
            return None if text is None else int(text.replace(".", ""))

        for order, row in enumerate(rows):
            wall = plain(row["wall_ms"])
            self.db.execute("INSERT INTO q VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [
                row["query_id"], row["parent_id"], row["pid"], row["tid"], row["name"], row["text"],
                label(row), plain(row["begin_s"]) or 0, wall, -order, plain(row["wait_ms"]),
                row["major"], row["minor"]])

    def ask(self, arguments, path=None):
        verb, rest = (arguments[:1], arguments[1:]) if arguments and arguments[0][0] != "-" else ([], arguments)
        path = path or self.path
        done = subprocess.run([self.pfanalyze, *verb, path, *rest], capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.path}: {' '.join(arguments)}: {done.stderr.decode()}")
        return done.stdout.decode()

    def filters(self):
        yield Filter([], "true", "true", "true")
        values = self.db.execute("""
            SELECT median(latency_ns)::UBIGINT, max(since)::UBIGINT // 3, arg_min(tid, ord), max(tid), arg_min(comm, ord),
                arg_max(label, ord), count(*) FROM faults""").fetchone()
        if not values[-1]:
            return
        latency, third, tid, other, comm, label, _ = values
        yield Filter(["--major"], "class = 'major'")
        yield Filter(["--failed"], "class = 'failed'")
        yield Filter(["--min-latency", f"{latency}ns"], f"latency_ns >= {latency}")
        window = f"since >= {third} AND since < {2 * third + 1}"
        if third:
            yield Filter(["--from", f"{third}ns", "--to", f"{2 * third + 1}ns"], window, window, "true")
        threads = f"tid IN ({tid}, {other})"
        yield Filter(["--tid", f"{tid},{other}"], threads, threads, threads)
        for name, column, value in [("--comm", "comm", comm), ("--file", "label", label)]:
            if value and not re.search(r"[*?,\\']|^-", value):
                yield Filter([name, value], f"{column} = '{value}'")

    def select(self, question, chosen):
        """The tables that the texts find."""
        in_queries = question.arguments[:1] == ["queries"]
        where = "true" if question.whole else chosen.where_in_query if in_queries else chosen.where
        # Each as often as it counts, which for whole rows is not asked for.
        self.db.execute(f"CREATE OR REPLACE TEMP TABLE f AS SELECT faults.* FROM faults, range(weight::BIGINT) WHERE {where}")
        by_file = "--file" in chosen.arguments
        self.db.execute(f"CREATE OR REPLACE TEMP TABLE g AS SELECT others.* FROM others, range(weight::BIGINT) WHERE {where}")
        self.db.execute(f"CREATE OR REPLACE TEMP TABLE passing AS SELECT * FROM faults WHERE {where}")
        self.db.execute("CREATE OR REPLACE TEMP TABLE asked AS SELECT $1::BOOLEAN AS by_file, $2::UBIGINT AS start_ns, "
                        "$3::UBIGINT AS page_size, $4::BOOLEAN AS is_sampled, $5::VARCHAR AS busiest, $6::HUGEINT AS begin_ns, "
                        "$7::HUGEINT AS end_ns, $8::BOOLEAN AS sees_failed",
                        [by_file, self.info["start_ns"], self.page_size, self.info["sample"] > 1, self.busiest,
                         *self.window(chosen.arguments), self.sees_failed()])
        if "queries" in self.has and chosen.where_query:
            self.db.execute(f"CREATE OR REPLACE TEMP TABLE p AS {CHOSEN_QUERIES.format(where=chosen.where_query)}")

    def window(self, arguments):
        """From when on, and until when."""
        start = self.info["start_ns"]

        def given(name, default):
            return start + int(arguments[arguments.index(name) + 1].removesuffix("ns")) if name in arguments else default

        return given("--from", start), given("--to", 1 << 70)

    def sees_failed(self):
        blind = "failed faults" in self.info.get("cannot_see", [])
        return not blind or self.db.execute("SELECT count(*) FROM faults WHERE failed").fetchone()[0] > 0

    def write(self, text):
        """What pfanalyze wrote, as a table of text; with a column `file` even where it has none."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", suffix=".csv") as file:
            file.write(text)
            file.flush()
            no_file = "" if "file" in text.partition("\n")[0].split(",") else ", '' AS file"
            heads = text.partition("\n")[0].split(",")
            if "address" in heads and "file_offset" not in heads:
                no_file += ", '' AS file_offset"
            self.db.execute(f"CREATE OR REPLACE TEMP TABLE written AS SELECT *{no_file} FROM {all_text(file.name)}")
        # Pages of a sample are called so.
        heads = text.partition("\n")[0].split(",")
        missing = [f", NULL AS {name}" for name in ["pages", "pages_seen"] if name not in heads]
        self.db.execute(f"CREATE OR REPLACE TEMP VIEW spread AS SELECT *{''.join(missing)} FROM written")


# With whether they run inside others of their name, and whether inside one of those whose length is known.
CHOSEN_QUERIES = """
    WITH RECURSIVE chosen AS (SELECT * FROM q WHERE {where}),
    around AS (
        SELECT query_id, label, parent_id AS outer_id, 1 AS depth FROM chosen WHERE parent_id IS NOT NULL
        UNION ALL
        SELECT around.query_id, around.label, q.parent_id, depth + 1 FROM around JOIN q ON q.query_id = outer_id
        WHERE q.parent_id IS NOT NULL AND depth < 256),
    inside AS (
        SELECT around.query_id AS query_id, bool_or(chosen.wall IS NOT NULL) AS in_known
        FROM around JOIN chosen ON chosen.query_id = outer_id AND chosen.label = around.label GROUP BY around.query_id)
    SELECT chosen.*, in_known IS NOT NULL AS is_inside, coalesce(in_known, false) AS is_inside_known
    FROM chosen LEFT JOIN inside USING (query_id)"""


def all_text(path):
    """All is text: what looks empty, or like a date, is then not guessed at."""
    return (f"read_csv('{path}', header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', "
            "nullstr = '\\0', strict_mode = true, parallel = false)")


def label(row):
    """What pfanalyze calls it, as far as the texts of these traces need it: strings are literals."""
    text = re.sub("'[^']*'", "?", row["text"] or "") + ("…" if row["text_cut"] else "")
    return text or row["name"]


def table(text, question):
    """Heads, and rows of text: what was written, digit by digit."""
    if question.member is None:
        rows = list(csv.reader(io.StringIO(text, newline="")))
        return rows[0], rows[1:]
    if question.member == "lines":
        objects = [json.loads(line, parse_int=str, parse_float=str) for line in text.splitlines()]
    else:
        whole = json.loads(text, parse_int=str, parse_float=str)
        objects = whole.get(question.member, []) if question.member else whole
        objects = [objects] if isinstance(objects, dict) else objects
    heads = list(objects[0]) if objects else []
    return heads, [["" if row[head] is None else str(row[head]) for head in heads] for row in objects]


def digits(head):
    return next((digits for unit, digits in UNITS.items() if head.endswith(unit)), None)


def agree(head, written, expected):
    if expected is None:
        return written == ""
    if isinstance(expected, float):
        return written != "" and abs(float(written) - expected) <= 1e-9 * abs(expected)
    if digits(head) is None:
        return written.lower() == str(expected).lower() if isinstance(expected, bool) else written == str(expected)
    whole, _, fraction = written.partition(".")
    if len(fraction) != digits(head):
        return False
    if ABOUT.fullmatch(head):
        return abs(int(whole + fraction) - expected) * 100 <= expected
    return int(whole + fraction) == expected


def compare(trace, question, chosen):
    """What is wrong, in words."""
    trace.select(question, chosen)
    if question.of == "stacks" and not trace.db.execute("SELECT count(stack_id) FROM f").fetchone()[0]:
        return []
    filters = [] if question.whole else chosen.arguments
    form = "csv" if question.member is None else "json"
    places = {"{busiest}": trace.busiest, "{other}": trace.other}
    arguments = [places.get(argument, argument) for argument in question.arguments]
    text = trace.ask([*arguments, "--format", form, *filters])
    heads, rows = table(text, question)
    if question.gives_wrong:
        trace.write(text)
    found = trace.db.execute(question.sql)
    names, expected = [column[0] for column in found.description], found.fetchall()
    if question.gives_wrong:
        return [str(row) for row in expected[:5]]
    wrong = []
    if len(rows) != len(expected):
        wrong.append(f"{len(rows)} rows instead of {len(expected)}")
    # Pages of a sample are called so, and a column without anything in it is left out.
    heads = ["pages" if head == "pages_seen" else head for head in heads]
    for place, name in enumerate(names):
        if rows and name not in heads and any(row[place] for row in expected) and not (name == "weight" or question.whole):
            wrong.append(f"{name} is missing")
    if not question.whole:
        wrong += [f"{head} is not recomputed" for head in heads if head not in names and head not in question.without]
    for index, (row, right) in enumerate(zip(rows, expected)):
        for name, value in zip(names, right):
            if name in heads and not agree(name, row[heads.index(name)], value):
                wrong.append(f"row {index}, {name}: {row[heads.index(name)]} instead of {value}")
    return wrong[:10]


def unlisted(pfanalyze):
    text = subprocess.run([pfanalyze, "--help"], capture_output=True, text=True, check=True).stdout
    commands = text.partition("Commands:\n")[2].partition("\n\n")[0]
    verbs = set(re.findall(r"^  (\S+)", commands, re.MULTILINE)) | {"report"}
    return sorted(verbs ^ {*VERBS, *ELSEWHERE})


def is_asked(trace, question, chosen, turn):
    """Whether it makes sense of this trace with this filter, which is the one of that number."""
    if question.of and question.of not in trace.has or question.whole and chosen.arguments:
        return False
    if question.of == "queries" and not chosen.where_query:
        return False
    if question.whole_file and "--file" in chosen.arguments:
        return False
    # Times are those of one recording.
    if question.sql == DIFF and "--from" in chosen.arguments:
        return False
    return question.turn is None or turn == 0 or question.turn % 4 == turn % 4


def recompute(pfanalyze, path, other):
    """How much was compared of one trace, how much was wrong, and what."""
    count, wrong = 0, []
    with tempfile.TemporaryDirectory() as folder:
        trace = Trace(pfanalyze, path, other, folder)
    for turn, chosen in enumerate(trace.filters()):
        for question in [question for questions in VERBS.values() for question in questions]:
            if not is_asked(trace, question, chosen, turn):
                continue
            count += 1
            if problems := compare(trace, question, chosen):
                words = " ".join([*question.arguments, question.member or "", *chosen.arguments])
                wrong.append(f"{path}: {words}\n    " + "\n    ".join(problems))
    return count, wrong


def main():
    pfanalyze, *traces = sys.argv[1:]
    count, wrong = 0, []
    if names := unlisted(pfanalyze):
        wrong.append(f"not in questions.py, or not in pfanalyze: {', '.join(names)}")
    # Each is compared with the next one.
    others = [*traces[1:], traces[0]]
    with ProcessPoolExecutor() as pool:
        for counted, found in pool.map(recompute, [pfanalyze] * len(traces), traces, others):
            count += counted
            wrong += found
    for words in wrong:
        print(words)
    print(f"{count} comparisons by DuckDB {duckdb.__version__}, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
