"""DuckDB and polars on Parquet, with the questions of `pfanalyze threads` and `heatmap`: one question per process.

    engines.py write DIRECTORY FILE          the columns of format_bench as Parquet
    engines.py (duckdb|polars) QUESTION FILE THREADS

Started by analyze.py with the Python of a virtual environment that has them. Prints JSON: seconds of the question alone, without
the start of Python and what it imports, and the rows of the answer.
"""

import json
import os
import sys
import time

# Columns and rows of the heatmap: a part of the time, and 16 MiB of addresses.
TIMES, ADDRESS_SHIFT = 1024, 24
ROWS_AT_ONCE = 1 << 20
# The lowest two bits of the class: a fault that failed is neither major nor minor.
SQL = {
    "threads": """
        SELECT pid, tid, count(*) FILTER (class & 3 = 1) AS major, count(*) FILTER (class & 3 = 0) AS minor,
            count(*) FILTER (class & 2 = 2) AS failed, sum(latency_ns) AS total, avg(latency_ns) AS mean,
            max(latency_ns) AS max, min(latency_ns) AS min,
            approx_quantile(latency_ns, 0.5) AS p50, approx_quantile(latency_ns, 0.99) AS p99
        FROM faults GROUP BY pid, tid ORDER BY total DESC""",
    "threads without quantiles": """
        SELECT pid, tid, count(*) FILTER (class & 3 = 1) AS major, count(*) FILTER (class & 3 = 0) AS minor,
            count(*) FILTER (class & 2 = 2) AS failed, sum(latency_ns) AS total, avg(latency_ns) AS mean,
            max(latency_ns) AS max, min(latency_ns) AS min
        FROM faults GROUP BY pid, tid ORDER BY total DESC""",
    "heatmap": f"""
        SELECT (ts_ns - first) // width AS time, address >> {ADDRESS_SHIFT} AS place, count(*) AS count
        FROM faults, (SELECT min(ts_ns) AS first, (max(ts_ns) - min(ts_ns)) // {TIMES} + 1 AS width FROM faults)
        GROUP BY ALL""",
}


def write(directory, path):
    import numpy
    import pyarrow
    import pyarrow.parquet

    with open(os.path.join(directory, "columns.json"), encoding="utf-8") as file:
        columns = json.load(file)
    arrays = {column["name"]: numpy.memmap(os.path.join(directory, column["file"]), column["dtype"], mode="r")
              for column in columns["columns"]}
    writer = None
    for start in range(0, columns["rows"], ROWS_AT_ONCE):
        part = pyarrow.table({name: array[start:start + ROWS_AT_ONCE] for name, array in arrays.items()})
        writer = writer or pyarrow.parquet.ParquetWriter(path, part.schema, compression="zstd", compression_level=3)
        writer.write_table(part)
    writer.close()
    return {"rows": columns["rows"], "bytes": os.path.getsize(path)}


def ask_duckdb(question, path, threads):
    import duckdb

    database = duckdb.connect()
    database.execute(f"SET threads = {threads}")
    start = time.perf_counter()
    database.execute(f"CREATE VIEW faults AS SELECT * FROM read_parquet('{path}')")
    rows = database.execute(SQL[question]).fetchall()
    return {"seconds": time.perf_counter() - start, "rows": len(rows), "version": duckdb.__version__}


def ask_polars(question, path, threads):
    # Read when it is imported.
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars
    from polars import col

    start = time.perf_counter()
    faults = polars.scan_parquet(path)
    if question == "heatmap":
        first, last = faults.select(col("ts_ns").min().alias("first"), col("ts_ns").max().alias("last")).collect().row(0)
        width = (last - first) // TIMES + 1
        answer = faults.group_by(((col("ts_ns") - first) // width).alias("time"),
                                 (col("address") // (1 << ADDRESS_SHIFT)).alias("place")).agg(polars.len())
    else:
        latency, kind = col("latency_ns"), col("class") & 3
        columns = [(kind == 1).sum().alias("major"), (kind == 0).sum().alias("minor"), (kind >= 2).sum().alias("failed"),
                   latency.sum().alias("total"), latency.mean().alias("mean"), latency.max().alias("max"),
                   latency.min().alias("min")]
        if question == "threads":
            columns += [latency.quantile(0.5).alias("p50"), latency.quantile(0.99).alias("p99")]
        answer = faults.group_by("pid", "tid").agg(columns).sort("total", descending=True)
    rows = answer.collect(engine="streaming")
    return {"seconds": time.perf_counter() - start, "rows": len(rows), "version": polars.__version__}


def main():
    what, *arguments = sys.argv[1:]
    if what == "write":
        result = write(*arguments)
    else:
        result = {"duckdb": ask_duckdb, "polars": ask_polars}[what](*arguments)
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
