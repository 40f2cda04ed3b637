"""Tests of pfz.py, with the examples of SPEC.md and with traces built here from its text.

    test_pfz.py [SPEC.md] [options of unittest]

Without a path, SPEC.md is looked for next to this file and in the folder above.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import pfz

HERE = Path(__file__).resolve().parent
TRACE_ID = b"0123456789abcdef"


def spec_text() -> str:
    given = [Path(os.environ["PFZ_SPEC"])] if "PFZ_SPEC" in os.environ else []
    for path in [*given, HERE / "SPEC.md", HERE.parent / "SPEC.md"]:
        if path.is_file():
            return path.read_text("utf-8")
    raise unittest.SkipTest("SPEC.md not found")


def fenced(language: str) -> list[str]:
    match = re.search(rf"^```{language}\n(.*?)^```", spec_text(), re.S | re.M)
    assert match
    return match[1].splitlines()


def example() -> bytes:
    return bytes.fromhex("".join(line.split("#")[0] for line in fenced("hex")))


# --- A writer, as small as the tests allow --------------------------------------------------------------------------


def zstd(data: bytes) -> bytes:
    try:
        from compression.zstd import compress
    except ImportError:
        try:
            from zstandard import compress
        except ImportError:
            from pyzstd import compress
    return compress(data)


def header(**changes: int) -> bytes:
    f = {"major": 1, "minor": 0, "incompat": 0, "compat": 0, "clock": 1} | changes
    raw = pfz.HEADER.pack(pfz.FILE_MAGIC, *f.values(), TRACE_ID, 5, bytes(12), 0)[:60]
    return raw + struct.pack("<I", pfz.crc32c(raw))


def frame(kind: int, payload: bytes, sequence: int, events: int = 0, codec: int = 1) -> bytes:
    raw = pfz.FRAME.pack(pfz.SYNC, kind, codec, 0, len(payload), events, sequence, pfz.crc32c(payload), 0)[:28]
    return raw + struct.pack("<I", pfz.crc32c(TRACE_ID + raw)) + payload


def u32(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def u64(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def string(text: str) -> bytes:
    return u64(len(text.encode())) + text.encode()


def strings(*texts: str) -> bytes:
    return u64(len(texts)) + b"".join(map(string, texts))


def meta(page_size: int = 4096, sample: int = 1, more: bytes = b"") -> bytes:
    return (
        strings("rec", "host", "6.1", "x86_64")[8:] + u32(page_size, 2) + u64(1 << 30) + strings("ls", "a b") + strings()
        + strings("t", "b", "e")[8:] + strings() + u64(1000) + strings() + u32(sample) + more
    )  # fmt: skip


def comms(first: int, *names: str) -> bytes:
    return u32(0, first) + strings(*names)


def objects(first: int, *entries: tuple[int, str]) -> bytes:
    body = b"".join(bytes([kind]) + u32(8, 1) + u64(77) + string(path) for kind, path in entries)
    return u32(1, first) + u64(len(entries)) + body


def packed(data: bytes) -> bytes:
    return u32(len(data)) + zstd(data)


def plane(data: bytes, how: int) -> bytes:
    if how == 2 and data and len(set(data)) == 1:
        return u32(data[0] | 2 << 30)
    if how == 0:
        out = zstd(data)
        return u32(len(out)) + out
    return u32(len(data) | 1 << 30) + data


def planes(numbers: list[int], width: int, how: int) -> bytes:
    split = [bytes(n >> 8 * i & 255 for n in numbers) for i in range(width)]
    return bytes([sum(any(p) << i for i, p in enumerate(split))]) + b"".join(plane(p, how) for p in split if any(p))


def store(numbers: list[int], width: int, storage: int, k: int, how: int) -> bytes:
    if storage == 0:
        return planes(numbers, width, how)
    if storage == 2:
        names = list(dict.fromkeys(numbers))
        places = [names.index(n) for n in numbers]
        return u32(len(names)) + planes(names, width, how) + planes(places, 1 if len(names) <= 256 else 2, how)
    classes, bits = [], ""
    for v in numbers:
        shift = max(0, v.bit_length() - 1 - k)
        class_ = shift * 2**k + v // 2**shift
        size = 64 if class_ >= 255 else shift
        classes.append(min(class_, 255))
        bits += "".join(str(v >> i & 1) for i in range(size))
    bits += "0" * (-len(bits) % 8)
    return plane(bytes(classes), how) + bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))


def zigzag(d: int, width: int) -> int:
    d &= (1 << 8 * width) - 1
    if d >> 8 * width - 1:
        d -= 1 << 8 * width
    return 2 * d if d >= 0 else -2 * d - 1


def transform(columns: dict[int, list[int]], id_: int, kind: int, width: int) -> list[int]:
    values = columns[id_]
    if kind == 0:
        return values
    if kind == 1:
        return [zigzag(v - b, width) for v, b in zip(values, [0, *values])]
    if kind == 2:
        out, row = [], 0
        for length in columns[pfz.RUN_LENGTH]:
            for i in range(length):
                end = min(values) if i == 0 else values[row - 1] + columns[pfz.LATENCY][row - 1]
                out.append(zigzag(values[row] - end, width))
                row += 1
        return out
    if kind == 4:
        return [zigzag(latency - v, width) for latency, v in zip(columns[pfz.LATENCY], values)]
    slots: dict[int, tuple[int, int, int]] = {}
    out = []
    for row, object_ in enumerate(columns[pfz.OBJECT]):
        slot = slots.get(object_ % 256, (0, 0, 0))
        if slot[0] != object_:
            slot = (object_, 0, 0)
        object_page = columns[pfz.OBJECT_PAGE][row]
        if kind == 3:
            out.append(zigzag(values[row] - (slot[1] + object_page - slot[2]), width))
        else:
            out.append(zigzag(object_page - slot[2], width))
        slots[object_ % 256] = (object_, columns[pfz.PAGE][row], object_page)
    return out


def sample_columns(rng: random.Random, rows: int, extra: bool = True) -> dict[int, list[int]]:
    lengths = []
    while sum(lengths) < rows:
        lengths.append(rng.randint(1, min(5, rows - sum(lengths))))
    runs = len(lengths)

    def some(bits: int, count: int = rows) -> list[int]:
        return [rng.getrandbits(rng.randint(0, bits)) for _ in range(count)]

    keys: set[tuple[int, int, int]] = set()
    while len(keys) < runs:
        keys.add((*some(32, 2), rng.randint(0, 3)))
    pids, tids, comms = map(list, zip(*sorted(keys)))
    columns = {
        1: pids, 2: tids, 3: comms, 4: lengths, 16: some(64), 17: some(64),
        21: [rng.choice([0, 1, 2, 3, 257, 258]) for _ in range(rows)], 22: some(64), 18: some(52), 19: some(12), 20: some(64),
        23: some(16), 24: some(6), 25: some(8),
    }  # fmt: skip
    if extra:
        columns |= {26: some(64), 27: some(64), 28: some(64), 29: some(64), 30: some(22), 31: some(64)}
        columns |= {32: some(8), 33: some(6), 34: some(22), 35: some(32), 36: some(8)}
    return columns


def statistics(c: dict[int, list[int]]) -> bytes:
    ranges = [f(c[i]) for i in (pfz.PAGE, pfz.LATENCY, pfz.RUN_PID, pfz.RUN_TID) for f in (min, max)]
    failed = sum(v >> 1 & 1 for v in c[24])
    end = min(2**64 - 1, max(t + latency for t, latency in zip(c[17], c[16])))
    return pfz.STATISTICS.pack(
        len(c[16]), len(set(zip(c[1], c[2]))), sum(v & 3 == 1 for v in c[24]), failed, min(c[17]), max(c[17]), end, *ranges
    )


def block(columns: dict[int, list[int]], choose=lambda id_: (0, 0, 0, 1), odd: dict[int, tuple[int, int, int]] | None = None) -> bytes:
    """An EVENTS payload; `choose` gives transform, storage, parameter, kind of plane; `odd` replaces what the directory says."""
    directory = data = b""
    for id_ in columns:
        width = pfz.EVENT_COLUMNS[id_].width if id_ in pfz.EVENT_COLUMNS else 8
        t, storage, k, how = choose(id_)
        body = store(transform(columns, id_, t, width), width, storage, k, how)
        t, storage, k = (odd or {}).get(id_, (t, storage, k))
        directory += bytes([id_, t, storage, k]) + u32(len(body))
        data += body
    head = statistics(columns) + u32(len(columns[1]), len(columns)) + directory
    return head + u32(pfz.crc32c(head)) + data


def trace(*records: tuple[int, bytes] | tuple[int, bytes, int], first: int = 0) -> bytes:
    return header() + b"".join(frame(r[0], r[1], first + i, *r[2:]) for i, r in enumerate(records))


def footer(payload: bytes = u32(50, 0) + bytes(50)) -> tuple[int, bytes]:
    return pfz.FOOTER, payload


def ended(data: bytes) -> bytes:
    """A trace with FOOTER and TRAILER; its last record must be the footer of `footer()`."""
    size = 32 + len(footer()[1])
    raw = struct.pack("<QI", len(data) - size, size)
    return data + raw + u32(pfz.crc32c(TRACE_ID + raw)) + pfz.TRAILER_MAGIC


def load(data: bytes) -> tuple[pfz.Trace, list]:
    t = pfz.Trace(data)
    return t, [record for _, record in t.walk()]


def run(command: str, data: bytes) -> tuple[int, str, str]:
    with tempfile.NamedTemporaryFile() as file, io.StringIO() as out, io.StringIO() as err:
        file.write(data)
        file.flush()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = pfz.main([command, file.name])
        return status, out.getvalue(), err.getvalue()


def one_block(rows: int = 6, seed: int = 1) -> tuple[int, bytes, int]:
    return pfz.EVENTS, block(sample_columns(random.Random(seed), rows)), rows


class Examples(unittest.TestCase):
    def test_crc32c(self) -> None:
        self.assertEqual(pfz.crc32c(b"123456789"), 0xE3069283)
        self.assertEqual(pfz.crc32c(bytes(32)), 0x8A9136AA)
        data = random.Random(1).randbytes(100)
        for at in range(101):
            self.assertEqual(pfz.crc32c(data[at:], pfz.crc32c(data[:at])), pfz.crc32c(data))

    def test_worked_example(self) -> None:
        data = example()
        t, records = load(data)
        self.assertEqual((t.damage, t.notes), ([], []))
        self.assertEqual(t.header.trace_id, b"an example trace")
        self.assertEqual((t.meta.recorder, t.meta.start_ns, t.meta.sample), ("pfrec 0.1.0", 999_000, 1))
        self.assertEqual(t.footer.index, [pfz.IndexEntry(0x11A, records[2].statistics)])
        status, out, err = run("events", data)
        self.assertEqual((status, err), (0, ""))
        cells = dict(zip(*csv.reader(io.StringIO(out))))
        self.assertEqual(
            cells,
            {
                "ts_ns": "1000000", "latency_ns": "1500", "pid": "7", "tid": "8", "comm": "app", "cpu": "3",
                "address": str(0x7F0000001234), "major": "true", "access": "read", "origin": "user", "retries": "0",
                "failed": "false", "ip": cells["ip"], "kind": "unknown", "file": "", "file_offset": "", "blocked_ns": "",
                "runqueue_ns": "", "reclaim_ns": "", "lock_ns": "", "stack_id": "", "query_id": "",
                "interruptions": "", "signal": "", "abandoned": "false", "pages_read": "", "sleep_stack_id": "", "read_offset": "",
            },
        )  # fmt: skip
        self.assertEqual(int(cells["ip"]), 0x401000)
        _, out, _ = run("records", data)
        self.assertEqual(out.split("\n")[2], "282\tEVENTS\t286\t1\t2")

    def test_columns(self) -> None:
        for line in fenced("columns"):
            match = re.fullmatch(r"(\w+) +([\d ]+?)  +([0-9a-f ]+)", line)
            assert match
            name, rest, data = match[1], match[2].split(), bytes.fromhex(match[3])
            storage = ["planes", "classes", "names"].index(name)
            k = int(rest.pop(0)) if storage == 1 else 0
            stored = pfz.Stored(0, storage, k, memoryview(data))
            self.assertEqual(list(pfz.read_numbers(stored, 4, 2)), [int(n) for n in rest], line)
            self.assertEqual(store([int(n) for n in rest], 2, storage, k, 2 if "80" in line and storage == 0 else 1), data)

    def test_each_flipped_byte_is_noticed(self) -> None:
        data = example()
        for at in range(len(data)):
            damaged = data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :]
            if at < 64:
                self.assertRaises(pfz.Refused, pfz.Trace, damaged)
            else:
                self.assertTrue(load(damaged)[0].damage, at)

    def test_each_cut(self) -> None:
        data = example()
        for size in range(len(data)):
            if size < 64:
                self.assertRaises(pfz.Refused, pfz.Trace, data[:size])
            else:
                t, _ = load(data[:size])
                self.assertEqual((t.damage, len(t.notes)), ([], 1), size)


class Blocks(unittest.TestCase):
    def check(self, columns: dict[int, list[int]], payload: bytes, rows: int) -> None:
        read = pfz.decode_events(memoryview(payload), rows)
        self.assertEqual(read.unreadable, {})
        self.assertEqual({i: list(v) for i, v in read.columns.items()}, {i: columns[i] for i in read.columns})
        self.assertEqual(read.columns.keys(), columns.keys() & pfz.EVENT_COLUMNS.keys())

    def test_transforms_and_storages(self) -> None:
        rng = random.Random(7)
        for trial in range(200):
            rows = rng.choice([1, 2, 17, 300])
            columns = sample_columns(rng, rows, trial % 2 == 0)
            if trial % 3 == 0:
                columns[200] = [1] * rows  # unknown

            def choose(id_: int) -> tuple[int, int, int, int]:
                transforms = pfz.EVENT_COLUMNS[id_].transforms if id_ in pfz.EVENT_COLUMNS else (0,)
                storage = rng.randrange(3)
                return rng.choice(transforms), storage, rng.randrange(7) if storage == 1 else 0, rng.randrange(3)

            order = list(columns)
            rng.shuffle(order)
            columns = {i: columns[i] for i in order}
            self.check(columns, block(columns, choose), rows)

    def test_largest_block(self) -> None:
        rng = random.Random(3)
        columns = sample_columns(rng, 65_536)
        self.check(columns, block(columns), 65_536)

    def test_classes_at_their_bounds(self) -> None:
        values = [0, 1, 2**64 - 1, *(2**i + d for i in range(1, 64) for d in (-1, 0, 1))]
        for k in range(7):
            data = memoryview(store(values, 8, 1, k, 1))
            self.assertEqual(list(pfz.read_numbers(pfz.Stored(0, 1, k, data), len(values), 8)), values)
        for bad in ("01000040 41", "01000040 09 01", "01000040 08 83", "01000040 08", "01000040 08 01 00", "010000c0"):
            with self.assertRaises(pfz.Bad):
                pfz.read_numbers(pfz.Stored(0, 1, 0, memoryview(bytes.fromhex(bad))), 1, 1)

    def test_floor_of_log2(self) -> None:
        self.assertEqual([v.bit_length() - 1 for v in (1, 2, 3, 1000)], [math.floor(math.log2(v)) for v in (1, 2, 3, 1000)])

    def test_bad_columns(self) -> None:
        for bad in ("ff", "", "00 00", "04 07000080", "01 00010080", "01 050000c0", "01 03000040 010203", "01 04000040 0102"):
            with self.assertRaises(pfz.Bad):
                pfz.read_numbers(pfz.Stored(0, 0, 0, memoryview(bytes.fromhex(bad))), 4, 2)
        for bad in ("00000000 00 00", "01000100 00 00", "01000000 00 01 010000c0", "01000000 00 01 01000080"):
            with self.assertRaises(pfz.Bad):
                pfz.read_numbers(pfz.Stored(0, 2, 0, memoryview(bytes.fromhex(bad))), 4, 2)

    def test_zstd_of_another_size(self) -> None:
        for data in (zstd(bytes(4)), zstd(bytes(6)), zstd(bytes(1 << 26)), zstd(bytes(5))[:-1], zstd(bytes(5)) + b"x", b"", b"garbage"):
            with self.assertRaises(pfz.Bad):
                pfz.unzstd(memoryview(data), 5)
        self.assertEqual(pfz.unzstd(memoryview(zstd(bytes(5))), 5), bytes(5))
        self.assertEqual(pfz.unzstd(memoryview(zstd(b"")), 0), b"")

    def test_statistics_must_be_exact(self) -> None:
        columns = sample_columns(random.Random(5), 30)
        good = block(columns)
        for at in range(0, 92, 4):
            raw = bytearray(good)
            raw[at] ^= 1
            end = 96 + 8 * len(columns)
            raw[end : end + 4] = u32(pfz.crc32c(raw[:end]))
            with self.assertRaises(pfz.Bad, msg=str(at)):
                pfz.decode_events(memoryview(raw), 30)

    def test_head_must_be_whole(self) -> None:
        columns = sample_columns(random.Random(5), 3)
        raw = bytearray(block(columns))
        raw[98] ^= 1
        with self.assertRaisesRegex(pfz.Bad, "head"):
            pfz.decode_events(memoryview(raw), 3)

    def test_unreadable_columns(self) -> None:
        columns = sample_columns(random.Random(5), 30)

        def choose(id_: int) -> tuple[int, int, int, int]:
            return pfz.EVENT_COLUMNS[id_].transforms[-1], 0, 0, 1

        cases = {
            (16, (0, 3, 0)): {16, 17, 26}, (16, (0, 1, 7)): {16, 17, 26}, (16, (6, 0, 0)): {16, 17, 26}, (20, (1, 2, 1)): {20},
            (21, (9, 0, 0)): {18, 21, 22}, (4, (0, 9, 0)): {4, 17}, (24, (200, 0, 0)): {24}, (1, (0, 0, 1)): {1},
        }  # fmt: skip
        for (id_, odd), unreadable in cases.items():
            payload = block(columns, choose, {id_: odd})
            self.assertEqual(pfz.decode_events(memoryview(payload), 30).unreadable.keys(), unreadable)
            status, out, err = run("events", trace((1, meta()), (4, payload, 30)))
            self.assertEqual((status, out.count("\n"), err.count("column")), (3, 31, len(unreadable)))
        with self.assertRaises(pfz.Bad):
            pfz.decode_events(memoryview(block(columns, choose, {20: (2, 0, 0)})), 30)

    def test_missing_columns(self) -> None:
        columns = sample_columns(random.Random(5), 3)
        for id_ in range(1, 30):
            if id_ in columns:
                payload = bytearray(block(columns))
                at = 96 + 8 * list(columns).index(id_)
                payload[at] = 222
                end = 96 + 8 * len(columns)
                payload[end : end + 4] = u32(pfz.crc32c(payload[:end]))
                with self.assertRaisesRegex(pfz.Bad, "lacks"):
                    pfz.decode_events(memoryview(payload), 3)


class Rows(unittest.TestCase):
    def test_cells(self) -> None:
        columns = {
            1: [7, 7], 2: [8, 9], 3: [1, 5], 4: [2, 3], 16: [10, 20, 30, 40, 50], 17: [100, 200, 300, 400, 500],
            21: [1, 2, 3, 4, 0], 22: [3, 0, 5, 0, 0], 18: [1, 2, 3, 4, 5], 19: [0, 1, 2, 3, 4], 20: [9] * 5, 23: [1] * 5,
            24: [0b000001, 0b010100, 0b101000, 0b111100, 0b000011], 25: [0, 1, 2, 3, 4], 30: [0, 4, 0, 0, 0],
            26: [1] * 5, 27: [2] * 5, 28: [3] * 5, 29: [4] * 5,
        }  # fmt: skip
        records = [(1, meta(16384)), (2, comms(1, 'a,"b')), (2, objects(1, (1, "/x"), (2, "/y"), (5, "/z"), (77, ""))), (4, block(columns), 5), footer()]
        status, out, err = run("events", ended(trace(*records)))
        self.assertEqual((status, err), (0, ""))
        rows = list(csv.DictReader(io.StringIO(out)))
        self.assertEqual(list(rows[0]), pfz.CSV_COLUMNS)
        _, out, err = run("events", ended(trace((1, meta(0)), *records[1:])))
        self.assertEqual(([r["file_offset"] for r in csv.DictReader(io.StringIO(out))][0], err.count("page size")), ("12288", 1))
        for name, cells in {
            "comm": ['a,"b', 'a,"b', "unknown#5", "unknown#5", "unknown#5"], "kind": ["file", "anon", "shm", "unknown", "unknown"],
            "file": ["/x", "", "/z", "", ""], "file_offset": [str(3 * 16384), "", str(5 * 16384), "", ""],
            "address": ["4096", "8193", "12290", "16387", "20484"], "major": ["true", "false", "false", "false", "false"],
            "failed": ["false", "false", "false", "false", "true"], "access": ["", "read", "write", "exec", ""],
            "origin": ["user", "kernel", "gup", "gup_remote", "user"], "stack_id": ["", "4", "", "", ""], "query_id": [""] * 5,
            "tid": ["8", "8", "9", "9", "9"], "lock_ns": ["4"] * 5,
        }.items():  # fmt: skip
            self.assertEqual([row[name] for row in rows], cells, name)

    def test_witnesses(self) -> None:
        columns = sample_columns(random.Random(5), 8) | {34: [7] * 8, 35: [512] * 8, 36: [0, 1, 2, 4, 28, 8, 63, 224], 37: [5] * 8}
        read = pfz.decode_events(memoryview(block(columns)), 8)
        self.assertEqual(
            [tuple(read.witnesses(row)) for row in range(8)],
            [
                (None,) * 5, (7, None, None, None, None), (None, 512, None, None, None), (None, None, False, None, None),
                (None, None, True, False, None), (None,) * 5, (7, 512, True, True, None), (None, None, None, None, -3),
            ],
        )  # fmt: skip
        without = {id_: values for id_, values in columns.items() if id_ < 34}
        self.assertEqual(pfz.decode_events(memoryview(block(without)), 8).witnesses(3), (None,) * 5)
        at_page = {id_: values for id_, values in columns.items() if id_ != 37}
        self.assertEqual(pfz.decode_events(memoryview(block(at_page)), 8).witnesses(7).pages_before, 0)
        for id_ in (26, 29, 32, 33, 34, 35, 36):
            lacking = {other: values for other, values in columns.items() if other != id_}
            with self.assertRaisesRegex(pfz.Bad, "lacks"):
                pfz.decode_events(memoryview(block(lacking)), 8)
        with self.assertRaises(pfz.Bad):
            pfz.decode_events(memoryview(block(columns | {34: [4_194_305] * 8})), 8)

    def test_comm_of_id_0_is_unknown(self) -> None:
        columns = sample_columns(random.Random(5), 1) | {3: [0]}
        _, out, _ = run("events", trace((1, meta()), (4, block(columns), 1)))
        self.assertEqual(next(csv.DictReader(io.StringIO(out)))["comm"], "unknown")


class SmallRecords(unittest.TestCase):
    def test_meta(self) -> None:
        t, _ = load(trace((1, meta(more=b"later"))))
        self.assertEqual((t.damage, t.meta.command, t.meta.page_size), ([], ["ls", "a b"], 4096))
        for bad in (meta(sample=0), meta()[:-1], string("x" * 65_537) + meta(), b"\x01" + bytes(7) + b"\xff" + meta()):
            with self.assertRaises(pfz.Bad):
                pfz.decode_meta(memoryview(bad))

    def test_dictionaries(self) -> None:
        frames = u32(2, 1) + u64(1) + u32(1) + u64(64)
        stacks = u32(3, 1) + u64(2) + u32(0, 1) + b"\x02" + u32(1, 1) + b"\0"
        inlined = u64(1) + string("i") + string("h") + u32(3)
        symbols = u32(4) + u64(1) + u32(1) + string("main") + u64(4) + string("m.c") + u32(9) + inlined
        ids = u32(5) + u64(1) + u32(1) + u64(3) + b"abc"
        t, _ = load(trace((1, meta()), *((2, p) for p in (comms(1, "a", "b"), comms(2, "c", "d"), frames, stacks, symbols, ids))))
        self.assertEqual(t.damage, [])
        self.assertEqual(t.comms, {1: "a", 2: "b", 3: "d"})
        self.assertEqual((t.frames, t.stacks), ({1: (1, 64)}, {1: (0, 1, 2), 2: (1, 1, 0)}))
        self.assertEqual((t.symbols, t.build_ids), ({1: ("main", 4, "m.c", 9, [("i", "h", 3)])}, {1: b"abc"}))
        for bad in (
            comms(0, "a"), comms(4_194_304, "a", "b"), comms(1, "a") + b"x", comms(1, "a")[:-1], u32(6, 1) + u64(0), u32(0, 1) + u64(65_537),
            u32(3, 1) + u64(1) + u32(1, 1) + b"\0", u32(3, 2) + u64(1) + u32(3, 1) + b"\0", u32(5) + u64(1) + u32(1) + u64(0),
            u32(5) + u64(1) + u32(1) + u64(65) + bytes(65), u32(4) + u64(1) + u32(0) + string("") + u64(0) + string("") + u32(0) + u64(0),
            u32(4) + u64(1) + u32(1) + string("") + u64(0) + string("") + u32(0) + u64(256) + bytes(256 * 20),
            u32(2, 1) + u64(1) + u32(4_194_305) + u64(64), u32(3, 1) + u64(1) + u32(0, 4_194_305) + b"\0",
        ):  # fmt: skip
            with self.assertRaises(pfz.Bad):
                pfz.decode_dict(memoryview(bad))

    def test_limit_of_all_dictionaries(self) -> None:
        big = "x" * 65_536
        records = [(2, comms(1 + 100 * i, *[big] * 100)) for i in range(42)]
        t, _ = load(trace((1, meta()), *records, records[0]))
        self.assertEqual((len(t.damage), len(t.comms)), (2, 256 * 2**20 // 65_544))

    def test_timeline(self) -> None:
        entries = [u32(0) + u64(1, 2, 3) + u32(4, 5, 6), u32(1, 7) + b"\1", u32(2, 8, 9), u32(3) + u64(10, 11) + b"\0"]
        body = u64(4) + b"".join(u64(5) + u32(6, 7) + e for e in entries)
        happenings = pfz.decode_timeline(memoryview(packed(body))).happenings
        self.assertEqual([h.what for h in happenings], [(1, 2, 3, 4, 5, 6), (7, True), (8, 9), (10, 11, False)])
        bomb = u32(8 * 2**20 + 1) + zstd(bytes(8 * 2**20 + 1))
        for bad in (packed(body + b"x"), packed(body)[:-1], packed(body) + b"x", bomb, packed(u64(1) + u64(5) + u32(6, 7, 4)), packed(body[:-1] + b"\2"), packed(u64(1) + u64(5) + u32(6, 7, 1, 4_194_305) + b"\1")):
            with self.assertRaises(pfz.Bad):
                pfz.decode_timeline(memoryview(bad))

    def test_processes(self) -> None:
        entries = [u64(5) + u32(6) + string("/bin/a b") + strings("a", ""), u64(7) + u32(6) + string("") + strings()]
        body = u64(2) + b"".join(entries)
        read = [(5, 6, "/bin/a b", ["a", ""]), (7, 6, "", [])]
        self.assertEqual(pfz.decode_processes(memoryview(packed(body))).processes, read)
        with tempfile.NamedTemporaryFile() as file:
            file.write(trace((1, meta()), (8, packed(body)), (8, packed(body))))
            file.flush()
            self.assertEqual(pfz.read(file.name).processes, read * 2)
        many = u64(2) + (u64(5) + u32(6) + string("") + strings(*[""] * 40_000)) * 2
        for bad in (packed(body + b"x"), packed(body[:-1]), packed(many), packed(u64(65_537)), packed(u64(1) + u64(5) + u32(6) + string("x" * 65_537) + u64(0))):
            with self.assertRaises(pfz.Bad):
                pfz.decode_processes(memoryview(bad))

    def test_hidden_waits_and_conditions(self) -> None:
        waits = u64(1) + u64(5, 6) + u32(7, 8, 9) + string("mmap") + u32(10, 11)
        conditions = u64(1) + u64(5) + string("cgroup /a") + string("memory.max") + string("max")
        self.assertEqual(pfz.decode_hidden_waits(memoryview(packed(waits))).waits, [(5, 6, 7, 8, 9, "mmap", 10, 11)])
        self.assertEqual(pfz.decode_conditions(memoryview(packed(conditions))).conditions, [(5, "cgroup /a", "memory.max", "max")])
        with tempfile.NamedTemporaryFile() as file:
            file.write(trace((1, meta()), (9, packed(waits)), (10, packed(conditions)), (9, packed(waits))))
            file.flush()
            read = pfz.read(file.name)
            self.assertEqual((len(read.hidden_waits), len(read.conditions), read.damage), (2, 1, []))
        for bad in (packed(waits + b"x"), packed(waits[:-1]), packed(waits[:-4] + u32(4_194_305))):
            with self.assertRaises(pfz.Bad):
                pfz.decode_hidden_waits(memoryview(bad))
        for bad in (packed(conditions + b"x"), packed(conditions[:-1]), packed(u64(65_537))):
            with self.assertRaises(pfz.Bad):
                pfz.decode_conditions(memoryview(bad))

    def test_limit_of_all_that_is_unpacked(self) -> None:
        zeros = packed(bytes(8 * 2**20))
        for kind, per_byte in ((3, 256), (8, 1024)):
            data = trace((1, meta()), *[(kind, zeros)] * 60)
            t, _ = load(data)
            self.assertEqual(len(t.damage), 60)
            unpacked = sum("too much" not in str(damage) for damage in t.damage)
            most = (64 * 2**20 + per_byte * len(data)) // (8 * 2**20)
            self.assertIn(unpacked, (most - 1, most), (kind, len(data)))

    def test_end_of_the_command(self) -> None:
        for more, expected in ((b"", None), (b"\0\0", None), (b"\0\0\1\1" + u32(9), (True, 9)), (b"\0\0\1\0" + u32(7) + b"later", (False, 7))):
            totals = bytes(50) + more
            read = pfz.decode_footer(memoryview(u32(len(totals), 0) + totals))
            self.assertEqual(read.command_end, expected)

    def test_loss(self) -> None:
        entries = u64(1, 2) + b"\0" + b"\1" + u64(3), u64(1, 2) + b"\1\5\0" + b"\x82" + u64(4), u64(1, 2) + b"\0" + b"\x20" + u64(5)
        losses = pfz.decode_loss(memoryview(u64(3) + b"".join(entries))).losses
        self.assertEqual([(x.cpu, x.events) for x in losses], [(None, 3), (5, 4), (None, 0)])
        with self.assertRaises(pfz.Bad):
            pfz.decode_loss(memoryview(u64(1) + u64(1, 2) + b"\2\0\0\0" + u64(1)))


class Queries(unittest.TestCase):
    def record(self, columns: dict[int, list[int]], texts: tuple[str, ...], odd: dict[int, tuple[int, int, int]] | None = None) -> bytes:
        directory = data = b""
        for id_, values in columns.items():
            width = pfz.QUERY_COLUMNS[id_].width if id_ in pfz.QUERY_COLUMNS else 8
            body = store(transform(columns, id_, 1, width), width, id_ % 3, 0, 0)
            directory += bytes([id_, *(odd or {}).get(id_, (1, id_ % 3, 0))]) + u32(len(body))
            data += body
        return u32(len(next(iter(columns.values()))), len(columns)) + directory + data + packed(strings(*texts))

    def test_queries(self) -> None:
        columns = {i: [i, i + 5, i + 9] for i in range(1, 17)} | {5: [0, 1, 0], 6: [0, 2, 1], 10: [0, 1, 16], 99: [1, 2, 3]}
        read = pfz.decode_queries(memoryview(self.record(columns, ("a", "b"))))
        self.assertEqual([q.id for q in read.queries], [1, 6, 10])
        self.assertEqual([(q.name, q.text) for q in read.queries], [("a", None), ("b", "b"), ("a", "a")])
        self.assertEqual([q.nested_wait for q in read.queries], [16, 21, 25])
        few = pfz.decode_queries(memoryview(self.record({1: [4]}, ("a",)))).queries
        self.assertEqual(few, [pfz.Query(4, 0, 0, 0, "a", None, *[0] * 10)])
        odd = pfz.decode_queries(memoryview(self.record(columns, ("a", "b"), {7: (6, 1, 0), 5: (1, 9, 0)})))
        self.assertEqual((odd.unreadable.keys(), odd.queries[1].key, odd.queries[1].name), ({5, 7}, None, None))
        with tempfile.NamedTemporaryFile() as file:
            file.write(trace((1, meta()), (7, self.record(columns, ("a", "b"))), (7, self.record({1: [6, 7]}, ("z",)))))
            file.flush()
            t = pfz.read(file.name)
        self.assertEqual((list(t.queries), t.queries[6].name), ([1, 6, 10, 7], "b"))
        for bad in (
            self.record({1: [0]}, ("a",)), self.record({2: [1]}, ("a",)), self.record({1: [1], 5: [1]}, ("a",)), self.record({1: [1], 6: [2]}, ("a",)),
            self.record({1: [1]}, ("a",), {1: (2, 1, 0)}), self.record({1: [1]}, ("a",), {1: (7, 1, 0)}), u32(0, 0) + packed(strings()),
            self.record({1: list(range(1, 130))}, ("x" * 65_536,)),
        ):  # fmt: skip
            with self.assertRaises(pfz.Bad):
                pfz.decode_queries(memoryview(bad))


class Recovery(unittest.TestCase):
    def setUp(self) -> None:
        records = [(1, meta()), (2, comms(1, "a")), one_block(4, 1), one_block(5, 2), one_block(6, 3), footer()]
        self.parts = [header(), *(frame(r[0], r[1], i, *r[2:]) for i, r in enumerate(records))]
        self.data = ended(b"".join(self.parts))
        self.at = [sum(map(len, self.parts[:i])) for i in range(8)]

    def events(self, data: bytes) -> tuple[pfz.Trace, list[int]]:
        t, records = load(data)
        return t, [r.statistics.events for r in records if isinstance(r, pfz.Block)]

    def test_whole(self) -> None:
        t, events = self.events(self.data)
        self.assertEqual((t.damage, t.notes, events), ([], [], [4, 5, 6]))

    def test_damaged_payload(self) -> None:
        raw = bytearray(self.data)
        raw[self.at[4] + 200] ^= 1
        t, events = self.events(bytes(raw))
        self.assertEqual(events, [4, 6])
        self.assertEqual([(d.offset, d.length, d.events) for d in t.damage], [(self.at[4], len(self.parts[4]), 5)])
        status, out, err = run("events", bytes(raw))
        self.assertEqual((status, out.count("\n"), err.count("\n")), (3, 11, 1))

    def test_bytes_missing_inside_or_inserted(self) -> None:
        at = self.at[4] + 200
        for data, damage in ((self.data[:at] + self.data[at + 5 :], 5), (self.data[:at] + b"12345" + self.data[at:], 5)):
            t, events = self.events(data)
            self.assertEqual(events, [4, 6])
            self.assertEqual([d.events for d in t.damage], [damage])

    def test_bytes_missing_inside_the_last_payload_before_the_end(self) -> None:
        at = self.at[5] + 100
        t, events = self.events(self.data[:at] + self.data[at + 400 :])
        self.assertEqual((events, t.footer is not None, [d.events for d in t.damage]), ([4, 5], True, [6]))

    def test_damaged_frame(self) -> None:
        for offset in range(32):
            raw = bytearray(self.data)
            raw[self.at[4] + offset] ^= 1
            t, events = self.events(bytes(raw))
            self.assertEqual(events, [4, 6])
            self.assertEqual([(d.offset, d.length) for d in t.damage], [(self.at[4], len(self.parts[4])), (self.at[5], 0)])

    def test_garbage_between(self) -> None:
        for garbage in (b"x", pfz.SYNC, pfz.SYNC * 20, self.parts[2][:40], example()):
            t, events = self.events(self.data[: self.at[4]] + garbage + self.data[self.at[4] :])
            self.assertEqual(events, [4, 5, 6])
            self.assertEqual([(d.offset, d.length) for d in t.damage][-1:], [(self.at[4], len(garbage))])

    def test_seen_frames_are_passed_over(self) -> None:
        t, events = self.events(self.data[: self.at[5]] + self.parts[3] + self.parts[4] + self.data[self.at[5] :])
        self.assertEqual((events, t.damage), ([4, 5, 6], []))

    def test_gap(self) -> None:
        t, events = self.events(self.data[: self.at[4]] + self.data[self.at[5] :])
        self.assertEqual((events, len(t.damage), "1 record missing" in t.damage[0].text), ([4, 6], 1, True))

    def test_lost_meta(self) -> None:
        data = self.data[:64] + self.data[self.at[2] :]
        status, out, err = run("events", data)
        self.assertEqual((status, out.count("\n")), (3, 16))
        self.assertEqual(run("info", data)[0], 3)

    def test_many_damaged_payloads_inside_one(self) -> None:
        numbered = []
        for i in range(40):
            f = bytearray(frame(200, bytes(40), 100 + i))
            f[-1] = 1
            numbered.append(bytes(f) + b"x")
        outer = frame(200, b"".join(numbered), 2)
        outer = outer[:24] + outer[24:-1] + b"y"
        tail = frame(3, packed(u64(0)), 500)
        data = header() + frame(1, meta(), 0) + frame(2, comms(1, "a"), 1) + outer + b"zz" + tail
        t, records = load(data)
        self.assertEqual(len(records), 3)
        self.assertEqual(sum("payload" in d.text for d in t.damage), 17)

    def test_unknown_kinds_and_codecs(self) -> None:
        data = trace((1, meta()), (11, b"abc"), (255, b"", 9), one_block(4))
        t, events = self.events(data)
        self.assertEqual((t.damage, events), ([], [4]))
        data = header() + frame(1, meta(), 0) + frame(4, b"later", 1, 9, 2) + frame(11, b"", 2, 0, 9)
        t, events = self.events(data)
        self.assertEqual(([d.events for d in t.damage], "codec version 2" in t.damage[0].text), ([9], True))

    def test_length_beyond_the_limit(self) -> None:
        f = pfz.FRAME.pack(pfz.SYNC, 4, 1, 0, 8 * 2**20 + 1, 1, 1, 0, 0)[:28]
        f += u32(pfz.crc32c(TRACE_ID + f))
        t, _ = load(header() + frame(1, meta(), 0) + f)
        self.assertEqual(len(t.damage), 1)

    def test_header(self) -> None:
        for changes in ({"major": 2}, {"major": 0}, {"incompat": 1}, {"clock": 2}):
            status, out, err = run("info", header(**changes))
            self.assertEqual((status, err.count("\n")), (1, 1), changes)
        self.assertRegex(run("info", header(major=2, minor=3))[2], r"2\.3.*1\.3")
        self.assertEqual(run("info", header(minor=7, compat=9))[0], 0)
        self.assertEqual([run("events", data)[0] for data in (b"", b"\x89PF", os.urandom(100))], [1, 1, 1])


class Robustness(unittest.TestCase):
    def test_forged_payloads(self) -> None:
        """Payloads changed at random, with right checksums: an answer, never an exception."""
        rng = random.Random(11)
        columns = sample_columns(rng, 20)
        payloads = [
            (1, meta()), (2, comms(1, "a", "bb")), (2, objects(1, (1, "/x"))), (3, packed(u64(1) + u64(5) + u32(6, 7, 2, 8, 9))),
            (5, u64(1) + u64(1, 2) + b"\0\1" + u64(3)), footer(), (8, packed(u64(1) + u64(5) + u32(6) + string("/x") + strings("x"))), (7, Queries().record({1: [1, 2], 5: [0, 0], 6: [0, 1]}, ("a", "b"))),
            (4, block(columns, lambda i: (pfz.EVENT_COLUMNS[i].transforms[-1], i % 3, 0, 0)), 20),
        ]  # fmt: skip
        for _ in range(2000):
            kind, payload, *events = rng.choice(payloads)
            raw = bytearray(payload)
            for _ in range(rng.randint(1, 3)):
                at = rng.randrange(len(raw))
                match rng.randrange(3):
                    case 0:
                        raw[at] = rng.choice([0, 1, 2, 127, 128, 255, rng.randrange(256)])
                    case 1:
                        del raw[at : at + rng.randint(1, 9)]
                        raw = raw or bytearray(1)
                    case 2:
                        raw[at:at] = rng.randbytes(rng.randint(1, 9))
            if kind == 4 and len(raw) > 100:
                end = 96 + 8 * min(64, struct.unpack_from("<I", raw, 92)[0])
                raw[end : end + 4] = u32(pfz.crc32c(raw[:end]))
            for command in ("events", "info"):
                status, _, _ = run(command, trace((1, meta()), (kind, bytes(raw), *events)))
                self.assertIn(status, (0, 3))

    def test_as_a_program(self) -> None:
        program = [sys.executable, str(HERE / "pfz.py")]
        data = example()
        done = subprocess.run([*program, "events", "-"], input=data, capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stdout.count(b"\n"), done.stdout.count(b"\r")), (0, 2, 0))
        done = subprocess.run([*program, "info", "/nowhere"], capture_output=True, check=False)
        self.assertEqual((done.returncode, b"Traceback" in done.stderr), (1, False))
        done = subprocess.run([*program, "info", "/"], capture_output=True, check=False)
        self.assertEqual((done.returncode, b"Traceback" in done.stderr), (1, False))
        closed = f'"{sys.executable}" "{HERE / "pfz.py"}" events - | true'
        self.assertEqual(subprocess.run(closed, shell=True, input=data, capture_output=True, check=False).stderr.count(b"Traceback"), 0)

    def test_without_zstd(self) -> None:
        code = (
            "import sys; sys.modules.update(dict.fromkeys(['compression.zstd', 'zstandard', 'pyzstd']));"
            "import pfz; sys.exit(pfz.main(['info', '-']))"
        )
        done = subprocess.run([sys.executable, "-c", code], input=example(), capture_output=True, cwd=HERE, check=False)
        self.assertEqual((done.returncode, b"pip install zstandard" in done.stderr), (1, True))


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].endswith(".md"):
        os.environ["PFZ_SPEC"] = os.path.abspath(sys.argv.pop(1))
    unittest.main()
