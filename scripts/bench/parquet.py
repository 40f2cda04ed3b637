"""Columns in Parquet, as pyarrow writes them: dictionaries and zstd level 3, one thread, in memory.

Started by format.py with the Python of a virtual environment that has pyarrow and numpy. Prints JSON.
"""

import json
import os
import sys
import time

import numpy
import pyarrow
import pyarrow.parquet


def load(directory):
    with open(os.path.join(directory, "columns.json"), encoding="utf-8") as file:
        columns = json.load(file)["columns"]
    return pyarrow.table({column["name"]: numpy.fromfile(os.path.join(directory, column["file"]), column["dtype"])
                          for column in columns})


def write(table):
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink, compression="zstd", compression_level=3, use_dictionary=True)
    return sink.getvalue()


def read(stored):
    return pyarrow.parquet.ParquetFile(pyarrow.BufferReader(stored)).read(use_threads=False)


def timed(work, argument):
    start = time.perf_counter()
    result = work(argument)
    return result, time.perf_counter() - start


def main():
    directory, rounds = sys.argv[1], int(sys.argv[2])
    pyarrow.set_cpu_count(1)
    table = load(directory)
    if read(write(table)) != table:
        sys.exit("error: what comes back is not what was written")
    encode, decode = [], []
    for _ in range(rounds):
        stored, seconds = timed(write, table)
        encode.append(table.num_rows / seconds / 1e6)
        _, seconds = timed(read, stored)
        decode.append(table.num_rows / seconds / 1e6)
    json.dump({"version": pyarrow.__version__, "events": table.num_rows, "bytes": stored.size,
               "encode": encode, "decode": decode}, sys.stdout)


if __name__ == "__main__":
    main()
