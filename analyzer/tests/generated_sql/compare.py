"""Compares answers of pfanalyze with those of DuckDB on the same rows: `compare.py FILE...`, one file for each trace.

Whole and decimal numbers, text and truth values are equal to the last digit, floating-point numbers to 1e-9. Rows are compared
in order where the question has ORDER BY, and as a bag otherwise. Where DuckDB itself gives an error, such as an overflow of a
type that it chose, there is nothing to compare with: such questions are counted.
"""

import json
import math
import sys
import threading
import time
from collections import Counter
from decimal import Decimal

import duckdb

LEAST_ANSWERED = 0.9
# Seconds after which DuckDB gives up on a question.
LONGEST = 10


def asked_of(connection, question):
    watch = threading.Timer(LONGEST, connection.interrupt)
    watch.start()
    try:
        return connection.execute(question).fetchall()
    finally:
        watch.cancel()


def load(connection, tables):
    for name, table in tables.items():
        columns = ", ".join(f'"{column}" {of}' for column, of in table["columns"])
        connection.execute(f"CREATE TABLE {name} ({columns})")
        rows = [[ours(value) for value in row] for row in table["rows"]]
        if rows:
            marks = ", ".join("?" for _ in table["columns"])
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
        # Comparable with pfanalyze, whose whole numbers never overflow, and with plain SQL: times and sizes are 64 bits.
        for column, of in table["columns"]:
            if of == "HUGEINT" and column not in ("address", "ip", "latency_ns"):
                connection.execute(f'ALTER TABLE {name} ALTER "{column}" TYPE BIGINT')


def ours(value):
    if isinstance(value, dict):
        if "float" in value:
            return float(value["float"].replace("NaN", "nan"))
        number = Decimal(value["number"])
        return int(number) if number == number.to_integral_value() else number
    return value


def theirs(value):
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value


def equal(one, two):
    if one is None or two is None or isinstance(one, (str, bool)) or isinstance(two, (str, bool)):
        return type(one) is type(two) and one == two
    if isinstance(one, float) or isinstance(two, float):
        one, two = float(one), float(two)
        if math.isnan(one) or math.isnan(two):
            return math.isnan(one) and math.isnan(two)
        return math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-12)
    return one == two


def floating(rows):
    """The columns that have a floating-point number."""
    return {place for row in rows for place, value in enumerate(row) if isinstance(value, float)}


def key(row, coarse):
    """Sorts rows: by exact values first, then by floating-point numbers, coarsely, for their last digits may differ."""
    def of(value):
        kind = 0 if value is None else 1 if isinstance(value, bool) else 2 if isinstance(value, str) else 3
        return kind, "" if value is None else value
    def roughly(value):
        return (0, "") if value is None or isinstance(value, (str, bool)) else (1, f"{float(value):.10e}")
    return ([of(value) for place, value in enumerate(row) if place not in coarse],
            [roughly(value) for place, value in enumerate(row) if place in coarse])


def difference(one, two, is_ordered):
    """The first rows that differ, or None."""
    if len(one) != len(two):
        return f"{len(one)} rows", f"{len(two)} rows"
    if not is_ordered:
        coarse = floating(one) | floating(two)
        one, two = (sorted(rows, key=lambda row: key(row, coarse)) for rows in (one, two))
    pairs = zip(one, two)
    return next(((a, b) for a, b in pairs if len(a) != len(b) or not all(map(equal, a, b))), None)


def main():
    counts, reasons, wrong = Counter(), Counter(), []
    began = time.monotonic()
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            trace = json.load(file)
        connection = duckdb.connect(config={"threads": 1})
        load(connection, trace["tables"])
        for asked in trace["asked"]:
            question = asked["question"]
            try:
                expected = [[theirs(value) for value in row] for row in asked_of(connection, question)]
                error = None
            except duckdb.Error as problem:
                expected, error = None, str(problem).splitlines()[0]
            if "refused" in asked:
                if error:
                    counts["refused by both"] += 1
                else:
                    counts["refused"] += 1
                    reasons[asked["refused"][:70]] += 1
                    wrong += [f"REFUSED {asked['refused']}\n  {question}"] if "--refused" in sys.argv else []
            elif error:
                counts["answered, and DuckDB gives an error"] += 1
                reasons["DuckDB: " + error[:60]] += 1
                if not any(word in error for word in ("Out of Range", "Conversion", "out of range", "Overflow", "INTERRUPT")):
                    wrong.append(f"DUCKDB {error}\n  {question}")
            else:
                got = [[ours(value) for value in row] for row in asked["rows"]]
                differing = difference(got, expected, "ORDER BY" in question.rsplit(")", 1)[-1])
                if differing is None:
                    counts["equal"] += 1
                else:
                    counts["different"] += 1
                    wrong.append(f"DIFFERENT\n  {question}\n  ours   {differing[0]}\n  DuckDB {differing[1]}")
    total = sum(counts.values())
    asked = counts["equal"] + counts["different"] + counts["refused"]
    share = (asked - counts["refused"]) / max(asked, 1)
    print(f"{total} questions: {dict(counts)}; of those that DuckDB answers {share:.1%} are answered ({time.monotonic() - began:.0f} s)")
    for reason, count in reasons.most_common(25):
        print(f"  {count:5} {reason}")
    for text in wrong[:60]:
        print(text)
    if wrong or share < LEAST_ANSWERED:
        sys.exit(1)


main()
