"""An environment of LMDB, and gets in it with the kernel's counts before and after each.

lmdb_gets.py make ENVIRONMENT RECORDS
lmdb_gets.py get ENVIRONMENT CALLS    prints `key,majors,minors` for each call
"""

import random
import resource
import sys

import lmdb

# Small enough to lie in the page of its key: a large one has pages of its own, read after the call of mdb_get.
VALUE = b"v" * 900


def key(number):
    return b"%08d" % number


def make(environment, records):
    with lmdb.open(environment, map_size=1 << 30, sync=False) as env:
        with env.begin(write=True) as txn:
            for number in range(records):
                txn.put(key(number), VALUE, append=True)
            txn.put(b"records", b"%d" % records)
        env.sync(True)


def faults():
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_majflt, usage.ru_minflt


def get(environment, calls):
    env = lmdb.open(environment, readonly=True, lock=False, readahead=False)
    with env.begin(buffers=True) as txn:
        records = int(bytes(txn.get(b"records")))
        order = random.Random(1).sample(range(records), calls)
        # Everything but the pages of the records is in use before the first call that counts.
        rows = [(0, 0, 0, 0, 0)] * calls
        keys = [key(number) for number in order]
        for _ in range(100):
            faults()
        for index, wanted in enumerate(keys):
            majors, minors = faults()
            value = txn.get(wanted)
            majors_after, minors_after = faults()
            rows[index] = (majors, minors, majors_after, minors_after, len(value))
    print("key,majors,minors")
    for number, (majors, minors, majors_after, minors_after, length) in zip(order, rows):
        assert length == len(VALUE)
        print(f"{number},{majors_after - majors},{minors_after - minors}")


if __name__ == "__main__":
    action, where, amount = sys.argv[1:]
    {"make": make, "get": get}[action](where, int(amount))
