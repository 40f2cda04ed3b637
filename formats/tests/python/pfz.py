#!/usr/bin/env python3
"""Reads .pfz traces of page faults, version 1.x, as SPEC.md describes them.

    pfz.py events TRACE     the faults as CSV
    pfz.py info TRACE       a summary
    pfz.py records TRACE    one line per record: offset, kind, length, events, sequence number

TRACE is a file, or - for standard input. Exit status: 0 for a whole trace, 1 when it cannot be read at all, 2 for wrong
usage, 3 when something in it is damaged or unreadable; everything else is printed then, and standard error says what is missing.

As a module, `read(path)` returns a `Trace`. Titles in quotation marks, as 'Recovery', are sections of SPEC.md.
"""

from __future__ import annotations

import argparse
import csv
import functools
import importlib
import os
import shlex
import struct
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import accumulate, chain, repeat
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

MAJOR, MINOR = 1, 3
MIB = 1 << 20
U64 = (1 << 64) - 1

# 'Limits'
MAX_EVENTS = MAX_QUERIES = MAX_LIST = MAX_STRING = MAX_NAMES = 65_536
MAX_PAYLOAD = MAX_UNPACKED = MAX_QUERY_STRINGS = 8 * MIB
MAX_FOOTER = 64 * MIB
MAX_COLUMNS = 64
MAX_INLINED = 255
MAX_BUILD_ID = 64
MAX_ID = 4_194_304
MAX_DICTIONARIES = 256 * MIB
MAX_DAMAGED_INSIDE = 16  # 'Recovery'

# 'HEADER, 64 bytes', 'FRAME, 32 bytes', 'Head', 'FOOTER and TRAILER'
HEADER = struct.Struct("<8sHHIII16sq12sI")
FRAME = struct.Struct("<4sBBHIIQII")
STATISTICS = struct.Struct("<4I7Q4I")
TRAILER = struct.Struct("<QII8s")
FILE_MAGIC = bytes.fromhex("8950465a0d0a1a0a")
SYNC = bytes.fromhex("f77066b5")
TRAILER_MAGIC = bytes.fromhex("50465a656e640d0a")

META, DICT, TIMELINE, EVENTS, LOSS, FOOTER, QUERIES, PROCESSES, HIDDEN_WAITS, CONDITIONS = range(1, 11)
KINDS = (
    "", "META", "DICT", "TIMELINE", "EVENTS", "LOSS", "FOOTER", "QUERIES", "PROCESSES", "HIDDEN_WAITS", "CONDITIONS",
)  # fmt: skip
OBJECT_KINDS = ("unknown", "file", "anon", "heap", "stack", "shm", "kernel")
LOSS_REASONS = {
    1: "reserve", 2: "recursion", 3: "unfinished", 4: "no_entry", 5: "queue", 6: "sideband", 7: "state", 8: "in_flight",
    9: "exits", 10: "stack", 11: "query", 128: "damage",
}  # fmt: skip


class Refused(Exception):
    """The input cannot be read at all."""


class Bad(Exception):
    """A payload breaks the rules of the format."""


class Unreadable(Bad):
    """A payload or column is of a later version."""


# --- Checksum and compression ---------------------------------------------------------------------------------------


def _crc_tables() -> list[list[int]]:
    """Tables of CRC32C (polynomial 0x82F63B78, reflected) for eight bytes at a time."""
    first = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        first.append(crc)
    tables = [first]
    for _ in range(7):
        tables.append([crc >> 8 ^ first[crc & 255] for crc in tables[-1]])
    return tables


_T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7 = _crc_tables()


def crc32c(data: bytes | memoryview, crc: int = 0) -> int:
    """CRC32C (Castagnoli) of `data`, going on from `crc`, the checksum of what stood before it."""
    t0, t1, t2, t3, t4, t5, t6, t7 = _T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7
    crc ^= 0xFFFFFFFF
    whole = len(data) & ~7
    for a, b, c, d, e, f, g, h in struct.iter_unpack("8B", data[:whole]):
        crc = (
            t7[a ^ crc & 255] ^ t6[b ^ crc >> 8 & 255] ^ t5[c ^ crc >> 16 & 255] ^ t4[d ^ crc >> 24]
            ^ t3[e] ^ t2[f] ^ t1[g] ^ t0[h]
        )  # fmt: skip
    for byte in data[whole:]:
        crc = crc >> 8 ^ t0[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


@functools.cache
def _unzstd() -> Callable[[bytes, int], bytes]:
    """A function that decodes one whole zstd frame of at most the given size, by whichever package there is."""
    for name in ("compression.zstd", "zstandard", "pyzstd"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return functools.partial(_by_zstandard if name == "zstandard" else _by_standard_library, module)
    raise Refused("Python before 3.14 needs a zstd package to read traces: pip install zstandard")


def _by_standard_library(module: Any, data: bytes, size: int) -> bytes:
    try:
        decoder = module.ZstdDecompressor()
        out = decoder.decompress(data, size + 1)
    except (module.ZstdError, EOFError) as e:
        raise Bad(f"has damaged zstd data: {e}") from None
    if not decoder.eof or decoder.unused_data:
        raise Bad("has zstd data that is not one whole frame of the expected size")
    return bytes(out)


def _by_zstandard(module: Any, data: bytes, size: int) -> bytes:
    try:
        if module.frame_content_size(data) not in (-1, size):  # the package would allocate what the data says
            raise Bad("has zstd data of another size than expected")
        return bytes(module.ZstdDecompressor().decompress(data, max_output_size=max(size, 1), allow_extra_data=False))
    except module.ZstdError as e:
        raise Bad(f"has damaged zstd data: {e}") from None


def unzstd(data: memoryview, size: int) -> bytes:
    """What the zstd frame `data` holds, which must be exactly `size` bytes."""
    out = _unzstd()(bytes(data), size)
    if len(out) != size:
        raise Bad(f"has zstd data of {len(out)} bytes instead of {size}")
    return out


# --- Small records --------------------------------------------------------------------------------------------------


# Told how long something is before it is unpacked; raises Bad where that is too much.
Claim = Callable[[int], None]


def unbounded(_size: int) -> None:
    """Of a record by itself."""


class Cursor:
    """Reads fields from a payload one after another: 'Small records', the table of notations."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = memoryview(data)
        self.at = 0

    def take(self, size: int) -> memoryview:
        if size > len(self.data) - self.at:
            raise Bad("ends inside a field")
        self.at += size
        return self.data[self.at - size : self.at]

    def rest(self) -> memoryview:
        return self.take(len(self.data) - self.at)

    def end(self) -> None:
        if self.at != len(self.data):
            raise Bad(f"has {len(self.data) - self.at} bytes too many")

    def _number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def u8(self) -> int:
        return self._number(1)

    def u16(self) -> int:
        return self._number(2)

    def u32(self) -> int:
        return self._number(4)

    def u64(self) -> int:
        return self._number(8)

    def bool(self) -> bool:
        value = self._number(1)
        if value > 1:
            raise Bad(f"has a truth value of {value}")
        return value == 1

    def string(self) -> str:
        size = self.u64()
        if size > MAX_STRING:
            raise Bad(f"has a string of {size} bytes")
        try:
            return str(self.take(size), "utf-8")
        except UnicodeDecodeError:
            raise Bad("has a string that is not UTF-8") from None

    def many(self, item: Callable[[], T], limit: int = MAX_LIST) -> list[T]:
        count = self.u64()
        if count > limit:
            raise Bad(f"has a list of {count} entries")
        return [item() for _ in range(count)]

    def strings(self) -> list[str]:
        return self.many(self.string)

    def optional(self, item: Callable[[], T]) -> T | None:
        return item() if self.bool() else None

    def unpacked(self, claim: Claim) -> Cursor:
        """The rest, packed as TIMELINE is: u32 length, then one zstd frame."""
        size = self.u32()
        claim(size)
        if size > MAX_UNPACKED:
            raise Bad(f"unpacks to {size} bytes")
        return Cursor(unzstd(self.rest(), size))


# META of 'Small records'.
Meta = NamedTuple("Meta", [
    ("recorder", str), ("hostname", str), ("kernel", str), ("arch", str), ("page_size", int), ("cpus", int),
    ("memory_bytes", int), ("command", list[str]), ("options", list[str]), ("target", str), ("backend", str),
    ("entry", str), ("blind", list[str]), ("start_ns", int), ("filters", list[str]), ("sample", int),
])  # fmt: skip


def decode_meta(payload: memoryview) -> Meta:
    """META; fields of later minor versions may follow."""
    c = Cursor(payload)
    meta = Meta(
        c.string(), c.string(), c.string(), c.string(), c.u32(), c.u32(), c.u64(), c.strings(), c.strings(), c.string(),
        c.string(), c.string(), c.strings(), c.u64(), c.strings(), c.u32(),
    )  # fmt: skip
    if meta.sample == 0:
        raise Bad("has a sample of 0")
    return meta


# An entry of the table of objects.
Object = NamedTuple("Object", [("kind", str), ("dev_major", int), ("dev_minor", int), ("inode", int), ("path", str)])

# An entry of the table of frames: a place in an object.
StackFrame = NamedTuple("StackFrame", [("object", int), ("offset", int)])

# An entry of the table of stacks: a node of the trie.
StackNode = NamedTuple("StackNode", [("parent", int), ("frame", int), ("truncated", int)])

# A function inlined into a symbol.
Inlined = NamedTuple("Inlined", [("name", str), ("file", str), ("line", int)])

# What the debug information says of a frame.
Symbol = NamedTuple("Symbol", [("name", str), ("offset", int), ("file", str), ("line", int), ("inlined", list[Inlined])])

Entry = str | Object | StackFrame | StackNode | Symbol | bytes

# One entry of a DICT, the id it defines or belongs to, and its size in the record.
Definition = NamedTuple("Definition", [("id", int), ("entry", Entry), ("size", int)])


# DICT of 'Small records': the number of the table, and its entries.
Dictionary = NamedTuple("Dictionary", [("table", int), ("definitions", list[Definition])])


def check_id(id_: int) -> None:
    """'Small records': what refers to an entry; 0 refers to none."""
    if id_ > MAX_ID:
        raise Bad(f"refers to id {id_}")


def decode_dict(payload: memoryview) -> Dictionary:
    """DICT of 'Small records'."""
    c = Cursor(payload)

    def object_() -> Object:
        kind = c.u8()
        return Object(OBJECT_KINDS[kind if kind < len(OBJECT_KINDS) else 0], c.u32(), c.u32(), c.u64(), c.string())

    def inlined() -> Inlined:
        return Inlined(c.string(), c.string(), c.u32())

    def symbol() -> Symbol:
        return Symbol(c.string(), c.u64(), c.string(), c.u32(), c.many(inlined, MAX_INLINED))

    def build_id() -> bytes:
        value = bytes(c.many(c.u8, MAX_BUILD_ID))
        if not value:
            raise Bad("has an empty build id")
        return value

    entries: list[Callable[[], Entry]] = [
        c.string, object_, lambda: StackFrame(c.u32(), c.u64()), lambda: StackNode(c.u32(), c.u32(), c.u8()), symbol, build_id,
    ]  # fmt: skip
    table = c.u32()
    if table >= len(entries):
        raise Bad(f"has an unknown table {table}")
    ids = iter(range(c.u32(), U64)) if table < 4 else None

    def definition() -> Definition:
        start = c.at
        id_ = next(ids) if ids else c.u32()
        entry = entries[table]()
        if not 1 <= id_ <= MAX_ID:
            raise Bad(f"defines id {id_}")
        if isinstance(entry, StackNode) and entry.parent >= id_:
            raise Bad(f"has stack {id_} with parent {entry.parent}")
        if isinstance(entry, StackNode):
            check_id(entry.frame)
        if isinstance(entry, StackFrame):
            check_id(entry.object)
        return Definition(id_, entry, c.at - start)

    definitions = c.many(definition)
    c.end()
    return Dictionary(table, definitions)


# A mapping that a process made.
Map = NamedTuple("Map", [("start", int), ("len", int), ("offset", int), ("prot", int), ("flags", int), ("object", int)])

# A thread that took a name.
Comm = NamedTuple("Comm", [("comm", int), ("exec", bool)])

# A process or thread that began.
Fork = NamedTuple("Fork", [("parent_pid", int), ("parent_tid", int)])

# A thread that ended, and what the kernel counted for it.
Exit = NamedTuple("Exit", [("maj_flt", int), ("min_flt", int), ("counters_known", bool)])

# An entry of a TIMELINE.
Happening = NamedTuple("Happening", [("ts_ns", int), ("pid", int), ("tid", int), ("what", Map | Comm | Fork | Exit)])


# TIMELINE of 'Small records'.
Timeline = NamedTuple("Timeline", [("happenings", list[Happening])])


def decode_timeline(payload: memoryview, claim: Claim = unbounded) -> Timeline:
    """TIMELINE of 'Small records'."""
    c = Cursor(payload).unpacked(claim)

    def what() -> Map | Comm | Fork | Exit:
        match c.u32():
            case 0:
                return Map(c.u64(), c.u64(), c.u64(), c.u32(), c.u32(), c.u32())
            case 1:
                return Comm(c.u32(), c.bool())
            case 2:
                return Fork(c.u32(), c.u32())
            case 3:
                return Exit(c.u64(), c.u64(), c.bool())
            case other:
                raise Bad(f"has an unknown alternative {other}")

    happenings = c.many(lambda: Happening(c.u64(), c.u32(), c.u32(), what()))
    c.end()
    for happening in happenings:
        if isinstance(happening.what, Map):
            check_id(happening.what.object)
        if isinstance(happening.what, Comm):
            check_id(happening.what.comm)
    return Timeline(happenings)


# Which program a process runs from a time on.
Process = NamedTuple("Process", [("ts_ns", int), ("pid", int), ("executable", str), ("command", list[str])])

# PROCESSES of 'Small records'.
Processes = NamedTuple("Processes", [("processes", list[Process])])


# A sleep inside get_user_pages, of which no event tells.
HiddenWait = NamedTuple("HiddenWait", [
    ("begin_ns", int), ("wait_ns", int), ("pid", int), ("tid", int), ("comm", int), ("syscall", str), ("stack", int),
    ("object", int),
])  # fmt: skip

# HIDDEN_WAITS of 'Small records'.
HiddenWaits = NamedTuple("HiddenWaits", [("waits", list[HiddenWait])])

# A setting or a figure.
Condition = NamedTuple("Condition", [("ts_ns", int), ("subject", str), ("name", str), ("value", str)])

# CONDITIONS of 'Small records'.
Conditions = NamedTuple("Conditions", [("conditions", list[Condition])])


def decode_hidden_waits(payload: memoryview, claim: Claim = unbounded) -> HiddenWaits:
    """HIDDEN_WAITS of 'Small records'."""
    c = Cursor(payload).unpacked(claim)
    waits = c.many(lambda: HiddenWait(c.u64(), c.u64(), c.u32(), c.u32(), c.u32(), c.string(), c.u32(), c.u32()))
    c.end()
    for wait in waits:
        for id_ in (wait.comm, wait.stack, wait.object):
            check_id(id_)
    return HiddenWaits(waits)


def decode_conditions(payload: memoryview, claim: Claim = unbounded) -> Conditions:
    """CONDITIONS of 'Small records'."""
    c = Cursor(payload).unpacked(claim)
    conditions = c.many(lambda: Condition(c.u64(), c.string(), c.string(), c.string()))
    c.end()
    return Conditions(conditions)


def decode_processes(payload: memoryview, claim: Claim = unbounded) -> Processes:
    """PROCESSES of 'Small records'."""
    c = Cursor(payload).unpacked(claim)
    processes = c.many(lambda: Process(c.u64(), c.u32(), c.string(), c.strings()))
    c.end()
    if sum(len(process.command) for process in processes) > MAX_LIST:
        raise Bad("has too many arguments")
    return Processes(processes)


@dataclass(frozen=True)
class Loss:
    """An entry of a LOSS."""

    from_ns: int
    to_ns: int
    cpu: int | None
    reason: int
    count: int

    @property
    def events(self) -> int:
        """How many events are missing for it."""
        return self.count if self.reason in (1, 4, 5, 7) or self.reason >= 128 else 0


# LOSS of 'Small records'.
Losses = NamedTuple("Losses", [("losses", list[Loss])])


def decode_loss(payload: memoryview) -> Losses:
    """LOSS of 'Small records'."""
    c = Cursor(payload)
    losses = c.many(lambda: Loss(c.u64(), c.u64(), c.optional(c.u16), c.u8(), c.u64()))
    c.end()
    return Losses(losses)


# --- Columns --------------------------------------------------------------------------------------------------------


class Column(NamedTuple):
    """A column that this reader knows: name, width in bytes, the transforms that it accepts."""

    name: str
    width: int
    transforms: tuple[int, ...] = (0, 1)


# 'EVENTS'
RUN_PID, RUN_TID, RUN_COMM, RUN_LENGTH = range(1, 5)
LATENCY, TS, PAGE, PAGE_OFFSET, IP, OBJECT, OBJECT_PAGE, CPU, CLASS, RETRIES = range(16, 26)
BLOCKED, RUNQUEUE, RECLAIM, LOCK, STACK, QUERY, INTERRUPTIONS, SIGNAL, SLEEP, PAGES_READ, WITNESSES, PAGES_BEFORE = range(26, 38)
# In an order in which each comes after those that its transform may need.
EVENT_COLUMNS = {
    RUN_PID: Column("RUN_PID", 4), RUN_TID: Column("RUN_TID", 4), RUN_COMM: Column("RUN_COMM", 4),
    RUN_LENGTH: Column("RUN_LENGTH", 4), LATENCY: Column("LATENCY", 8), TS: Column("TS", 8, (0, 1, 2)),
    OBJECT: Column("OBJECT", 4), OBJECT_PAGE: Column("OBJECT_PAGE", 8, (0, 1, 5)), PAGE: Column("PAGE", 7, (0, 1, 3)),
    PAGE_OFFSET: Column("PAGE_OFFSET", 2), IP: Column("IP", 8), CPU: Column("CPU", 2), CLASS: Column("CLASS", 1),
    RETRIES: Column("RETRIES", 1), BLOCKED: Column("BLOCKED", 8, (0, 1, 4)), RUNQUEUE: Column("RUNQUEUE", 8),
    RECLAIM: Column("RECLAIM", 8), LOCK: Column("LOCK", 8), STACK: Column("STACK", 4), QUERY: Column("QUERY", 8),
    INTERRUPTIONS: Column("INTERRUPTIONS", 1), SIGNAL: Column("SIGNAL", 1), SLEEP: Column("SLEEP", 4),
    PAGES_READ: Column("PAGES_READ", 4), WITNESSES: Column("WITNESSES", 1), PAGES_BEFORE: Column("PAGES_BEFORE", 4),
}  # fmt: skip
BREAKDOWN = {BLOCKED, RUNQUEUE, RECLAIM, LOCK}
# All of a set or none of it.
TOGETHER = (BREAKDOWN, {INTERRUPTIONS, SIGNAL}, {SLEEP, PAGES_READ, WITNESSES})
ALWAYS = EVENT_COLUMNS.keys() - set().union(*TOGETHER) - {STACK, QUERY, PAGES_BEFORE}
# 'QUERIES', in the order of the fields of Query
QUERY_COLUMNS = {
    1: Column("ID", 8), 2: Column("PARENT", 8), 3: Column("PID", 4), 4: Column("TID", 4), 5: Column("NAME", 4),
    6: Column("TEXT", 4), 7: Column("KEY", 8), 8: Column("BEGIN", 8), 9: Column("DURATION", 8), 10: Column("FLAGS", 1),
    11: Column("OWN_MAJORS", 8), 12: Column("OWN_MINORS", 8), 13: Column("OWN_WAIT", 8),
    14: Column("NESTED_MAJORS", 8), 15: Column("NESTED_MINORS", 8), 16: Column("NESTED_WAIT", 8),
}  # fmt: skip
QUERY_ID, QUERY_NAME, QUERY_TEXT = 1, 5, 6


# An entry of a directory with the bytes that it stands for.
Stored = NamedTuple("Stored", [("transform", int), ("storage", int), ("parameter", int), ("data", memoryview)])


def read_plane(c: Cursor, rows: int) -> bytes:
    """'Storages', A plane: one byte per row."""
    word = c.u32()
    how, n = word >> 30, word & 0x3FFFFFFF
    if how == 0:
        return unzstd(c.take(n), rows)
    if how == 1 and n == rows:
        return bytes(c.take(n))
    if how == 2 and n < 256:
        return bytes([n]) * rows
    raise Bad(f"has a plane {word:#010x} of {rows} rows")


def read_planes(c: Cursor, rows: int, width: int) -> Sequence[int]:
    """'Storages', Planes: numbers split into bytes."""
    present = c.u8()
    if present >> width:
        raise Bad(f"has planes {present:#x} of numbers with {width} bytes")
    spread = bytearray(8 * rows)
    for i in range(width):
        if present >> i & 1:
            spread[i::8] = read_plane(c, rows)
    numbers = array("Q", bytes(spread))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def read_classes(c: Cursor, rows: int, width: int, k: int) -> Sequence[int]:
    """'Storages', Classes: a plane of classes, then the bits that they leave. Class 255 stands for 64 bits that follow."""
    shifts = [max(0, (class_ >> k) - 1) for class_ in range(255)] + [64]
    bases = [class_ - (shift << k) << shift for class_, shift in enumerate(shifts)]
    bases[255] = 0
    classes = read_plane(c, rows)
    total = sum(shifts[class_] for class_ in classes)
    bits = bytes(c.take((total + 7) // 8))
    if total % 8 and bits[-1] >> total % 8:
        raise Bad("has ones after the last bit")
    numbers, at = [], 0
    for class_ in classes:
        shift = shifts[class_]
        low = int.from_bytes(bits[at >> 3 : (at >> 3) + 9], "little") >> (at & 7) & ((1 << shift) - 1)
        numbers.append(bases[class_] + low)
        at += shift
    if max(numbers, default=0) >> 8 * width:
        raise Bad(f"has a number of more than {width} bytes")
    return numbers


def read_names(c: Cursor, rows: int, width: int) -> Sequence[int]:
    """'Storages', Names: a table of numbers, and the place of each row in it."""
    count = c.u32()
    if count > MAX_NAMES:
        raise Bad(f"has {count} names")
    names = read_planes(c, count, width)
    places = read_planes(c, rows, 1 if count <= 256 else 2)
    if max(places, default=-1) >= count:
        raise Bad("has a place behind the names")
    return [names[place] for place in places]


def read_numbers(stored: Stored, rows: int, width: int) -> Sequence[int]:
    """'Storages': the numbers of a column."""
    c = Cursor(stored.data)
    match stored.storage, stored.parameter:
        case 0, 0:
            numbers = read_planes(c, rows, width)
        case 1, k if k <= 6:
            numbers = read_classes(c, rows, width, k)
        case 2, 0:
            numbers = read_names(c, rows, width)
        case storage, parameter:
            raise Unreadable(f"has storage {storage} with parameter {parameter}, which this reader does not know")
    c.end()
    return numbers


def unzigzag(number: int) -> int:
    """'Transforms': the signed difference that a number stands for."""
    return number >> 1 ^ -(number & 1)


def plain_or_delta(transform: int, numbers: Sequence[int], width: int) -> Sequence[int]:
    """'Transforms', 0 and 1."""
    if transform == 0:
        return numbers
    mask = (1 << 8 * width) - 1
    return [value & mask for value in accumulate(map(unzigzag, numbers))]


def read_directory(c: Cursor, count: int) -> list[tuple[int, int, int, int, int]]:
    """'Head', the directory: id, transform, storage, parameter and stored length of each column."""
    if count > MAX_COLUMNS:
        raise Bad(f"has {count} columns")
    return list(struct.iter_unpack("<BBBBI", c.take(8 * count)))


def read_stored(c: Cursor, directory: Iterable[tuple[int, int, int, int, int]], known: dict[int, Column]) -> dict[int, Stored]:
    """The columns of a directory that this reader knows."""
    columns: dict[int, Stored] = {}
    for id_, transform, storage, parameter, size in directory:
        data = c.take(size)
        if id_ not in known:
            continue
        if id_ in columns:
            raise Bad(f"has column {known[id_].name} twice")
        if transform not in known[id_].transforms and transform <= 5:
            raise Bad(f"has column {known[id_].name} with transform {transform}")
        columns[id_] = Stored(transform, storage, parameter, data)
    return columns


class Statistics(NamedTuple):
    """'Head', bytes 0-87."""

    events: int
    threads: int
    majors: int
    failed: int
    ts_min: int
    ts_max: int
    end_max: int
    page_min: int
    page_max: int
    latency_min: int
    latency_max: int
    pid_min: int
    pid_max: int
    tid_min: int
    tid_max: int

    def compare(self, **found: int) -> None:
        """'Head': a difference between the statistics and the columns is damage."""
        for name, value in found.items():
            if value != getattr(self, name):
                raise Bad(f"has {name} {value} and says {getattr(self, name)}")


# 'EVENTS', Witnesses; None where nobody looked.
Witnesses = NamedTuple("Witnesses", [
    ("sleep", int | None), ("pages_read", int | None), ("present", bool | None), ("shared", bool | None),
    ("pages_before", int | None),
])  # fmt: skip


@dataclass
class Block:
    """'EVENTS': the columns of a block by their ids; those not readable are in `unreadable`, with the reason."""

    statistics: Statistics
    runs: int
    columns: dict[int, Sequence[int]] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)

    def witnesses(self, row: int) -> Witnesses:
        """'EVENTS', Witnesses: what was seen of the cause of a fault."""
        if not self.columns.keys() >= {SLEEP, PAGES_READ, WITNESSES}:
            return Witnesses(None, None, None, None, None)
        bits = self.columns[WITNESSES][row]
        before = self.columns[PAGES_BEFORE][row] if PAGES_BEFORE in self.columns else 0
        seen = (
            (1, self.columns[SLEEP][row]), (2, self.columns[PAGES_READ][row]), (4, bool(bits & 8)), (16, bool(bits & 32)),
            (64, before >> 1 ^ -(before & 1)),
        )  # fmt: skip
        return Witnesses(*(value if bits & bit else None for bit, value in seen))

    def each(self, run_column: int) -> Iterator[int]:
        """The values of a run column, once for each event."""
        return chain.from_iterable(map(repeat, self.columns[run_column], self.columns[RUN_LENGTH]))


def decode_events(payload: memoryview, events: int) -> Block:
    """'EVENTS': a block, of which the frame says that it has so many events."""
    c = Cursor(payload)
    statistics = Statistics(*STATISTICS.unpack(c.take(STATISTICS.size)))
    block = Block(statistics, c.u32())
    directory = read_directory(c, c.u32())
    if crc32c(payload[: c.at]) != c.u32():
        raise Bad("has a damaged head")
    if not 1 <= events <= MAX_EVENTS or statistics.events != events or not 1 <= block.runs <= events:
        raise Bad(f"has {statistics.events} events in {block.runs} runs, and {events} in its frame")
    columns = read_stored(c, directory, EVENT_COLUMNS)
    c.end()
    if not ALWAYS <= columns.keys() or any(0 < len(some & columns.keys()) < len(some) for some in TOGETHER):
        raise Bad("lacks a column")
    for id_, column in EVENT_COLUMNS.items():
        if id_ in columns:
            try:
                numbers = read_numbers(columns[id_], block.runs if id_ <= RUN_LENGTH else events, column.width)
                block.columns[id_] = undo_transform(block, columns[id_].transform, numbers, column.width)
                check_column(block, id_)
            except Unreadable as e:
                block.unreadable[id_] = str(e)
            except Bad as e:
                raise Bad(f"has a column {column.name} that {e}") from None
    check_block(block)
    return block


def undo_transform(block: Block, transform: int, numbers: Sequence[int], width: int) -> Sequence[int]:
    """'Transforms': the values of a column from its numbers and the columns before it."""

    def need(id_: int) -> Sequence[int]:
        if id_ not in block.columns:
            raise Unreadable(f"cannot be read without {EVENT_COLUMNS[id_].name}")
        return block.columns[id_]

    match transform:
        case 0 | 1:
            return plain_or_delta(transform, numbers, width)
        case 2:
            return undo_gap(numbers, need(LATENCY), need(RUN_LENGTH), block.statistics.ts_min)
        case 3:
            return undo_follow(numbers, need(OBJECT), need(OBJECT_PAGE), (1 << 8 * width) - 1)
        case 4:
            return [latency - unzigzag(number) & U64 for latency, number in zip(need(LATENCY), numbers)]
        case 5:
            return undo_walk(numbers, need(OBJECT))
        case _:
            raise Unreadable(f"has transform {transform}, which this reader does not know")


def undo_gap(numbers: Sequence[int], latencies: Sequence[int], lengths: Sequence[int], ts_min: int) -> list[int]:
    """'Transforms', 2: from the completion of the fault before in the same run."""
    values: list[int] = []
    for length in lengths:
        end = ts_min
        for row in range(len(values), len(values) + length):
            values.append(end + unzigzag(numbers[row]) & U64)
            end = values[row] + latencies[row]
    return values


def undo_follow(numbers: Sequence[int], objects: Sequence[int], object_pages: Sequence[int], mask: int) -> list[int]:
    """'Transforms', 3: pages that follow the pages of their object."""
    slots = [(0, 0, 0)] * 256
    values = []
    for number, object_, object_page in zip(numbers, objects, object_pages):
        owner, page, page_before = slots[object_ & 255]
        if owner != object_:
            page = page_before = 0
        value = page + object_page - page_before + unzigzag(number) & mask
        slots[object_ & 255] = object_, value, object_page
        values.append(value)
    return values


def undo_walk(numbers: Sequence[int], objects: Sequence[int]) -> list[int]:
    """'Transforms', 5: from the page before in the same object. The pages of addresses in its slots are never used."""
    slots = [(0, 0)] * 256
    values = []
    for number, object_ in zip(numbers, objects):
        owner, before = slots[object_ & 255]
        value = (before if owner == object_ else 0) + unzigzag(number) & U64
        slots[object_ & 255] = object_, value
        values.append(value)
    return values


def check_column(block: Block, id_: int) -> None:
    """'EVENTS' and 'Head': the rules and the statistics that a single column must satisfy."""
    values, statistics = block.columns[id_], block.statistics
    ranges = {RUN_PID: "pid", RUN_TID: "tid", LATENCY: "latency", TS: "ts", PAGE: "page"}
    if id_ in ranges:
        statistics.compare(**{f"{ranges[id_]}_min": min(values), f"{ranges[id_]}_max": max(values)})
    if id_ == RUN_LENGTH and (min(values) == 0 or sum(values) != statistics.events):
        raise Bad("does not add up to the number of events")
    if id_ in (RUN_COMM, OBJECT, STACK, SLEEP):
        check_id(max(values))
    if id_ == PAGE and max(values) >> 52 or id_ == PAGE_OFFSET and max(values) >> 12:
        raise Bad("has a value beyond its limit")
    if id_ == CLASS:
        counts = Counter(value & 3 for value in values)
        statistics.compare(majors=counts[1], failed=counts[2] + counts[3])


def check_block(block: Block) -> None:
    """'EVENTS' and 'Head': the order of runs, and the statistics that take two columns."""
    columns = block.columns
    if columns.keys() >= {RUN_PID, RUN_TID, RUN_COMM}:
        runs = list(zip(columns[RUN_PID], columns[RUN_TID], columns[RUN_COMM]))
        if any(run >= behind for run, behind in zip(runs, runs[1:])):
            raise Bad("has runs that are not in order")
    if RUN_PID in columns and RUN_TID in columns:
        block.statistics.compare(threads=len(set(zip(columns[RUN_PID], columns[RUN_TID]))))
    if TS in columns and LATENCY in columns:
        block.statistics.compare(end_max=min(U64, max(map(int.__add__, columns[TS], columns[LATENCY]))))


# 'QUERIES', a row. None stands for what is of a later version; `text` is also None when the program said nothing.
Query = NamedTuple("Query", [
    ("id", int), ("parent", int | None), ("pid", int | None), ("tid", int | None), ("name", str | None),
    ("text", str | None), ("key", int | None), ("begin", int | None), ("duration", int | None), ("flags", int | None),
    ("own_majors", int | None), ("own_minors", int | None), ("own_wait", int | None), ("nested_majors", int | None),
    ("nested_minors", int | None), ("nested_wait", int | None),
])  # fmt: skip


@dataclass
class QueryRecord:
    """'QUERIES': the queries of a record, and the columns that could not be read, with the reason."""

    queries: list[Query]
    unreadable: dict[int, str]


def decode_queries(payload: memoryview, claim: Claim = unbounded) -> QueryRecord:
    """'QUERIES'."""
    c = Cursor(payload)
    rows, count = c.u32(), c.u32()
    if not 1 <= rows <= MAX_QUERIES:
        raise Bad(f"has {rows} queries")
    columns = read_stored(c, read_directory(c, count), QUERY_COLUMNS)
    if QUERY_ID not in columns:
        raise Bad("has no ids")
    strings_at = c.unpacked(claim)
    strings = strings_at.strings()
    strings_at.end()
    values: dict[int, Sequence[int | None]] = {}
    unreadable: dict[int, str] = {}
    for id_, column in QUERY_COLUMNS.items():
        stored = columns.get(id_)
        if stored is None:
            values[id_] = [0] * rows
            continue
        try:
            numbers = read_numbers(stored, rows, column.width)
            if stored.transform > 1:
                raise Unreadable(f"has transform {stored.transform}, which this reader does not know")
            values[id_] = plain_or_delta(stored.transform, numbers, column.width)
        except Unreadable as e:
            if id_ == QUERY_ID:
                raise Unreadable(f"has a column ID that {e}") from None
            values[id_], unreadable[id_] = [None] * rows, str(e)
        except Bad as e:
            raise Bad(f"has a column {column.name} that {e}") from None
    if 0 in values[QUERY_ID]:
        raise Bad("has a query with id 0")
    used = [n for n in values[QUERY_NAME] if n is not None] + [n - 1 for n in values[QUERY_TEXT] if n]
    if max(used, default=-1) >= len(strings):
        raise Bad("has a place behind its strings")
    sizes = [len(string.encode()) for string in strings]
    if sum(sizes[n] for n in used) > MAX_QUERY_STRINGS:
        raise Bad("has names and texts beyond the limit")
    named = {
        QUERY_NAME: [None if n is None else strings[n] for n in values[QUERY_NAME]],
        QUERY_TEXT: [strings[n - 1] if n else None for n in values[QUERY_TEXT]],
    }
    return QueryRecord([Query(*row) for row in zip(*(values | named).values())], unreadable)


# 'FOOTER and TRAILER', accounting.
Accounting = NamedTuple("Accounting", [
    ("kernel_majors", int), ("kernel_minors", int), ("recorded", int), ("lost", int), ("hidden", int), ("filtered", int),
    ("source", str),
])  # fmt: skip

# 'FOOTER and TRAILER', check.
Check = NamedTuple("Check", [
    ("events", int | None), ("uncertain", int), ("unexplained", int), ("outside", int), ("ends_missing", int),
    ("wait4", tuple[int, int] | None), ("source", str), ("notes", list[str]),
])  # fmt: skip

# 'FOOTER and TRAILER', command_end.
CommandEnd = NamedTuple("CommandEnd", [("by_signal", bool), ("number", int)])

# 'FOOTER and TRAILER': where a block is, and its statistics.
IndexEntry = NamedTuple("IndexEntry", [("offset", int), ("statistics", Statistics)])

# 'FOOTER and TRAILER'. All of it is a claim.
Footer = NamedTuple("Footer", [
    ("clean", bool), ("events", int), ("majors", int), ("minors", int), ("failed", int), ("lost", int), ("end_ns", int),
    ("accounting", Accounting | None), ("check", Check | None), ("hidden_majors", int | None),
    ("command_end", CommandEnd | None), ("index", list[IndexEntry]),
])  # fmt: skip


def decode_footer(payload: memoryview) -> Footer:
    """'FOOTER and TRAILER'; fields of later minor versions may follow the totals."""
    c = Cursor(payload)
    size, blocks = c.u32(), c.u32()
    t = Cursor(c.take(size))

    def accounting() -> Accounting:
        return Accounting(t.u64(), t.u64(), t.u64(), t.u64(), t.u64(), t.u64(), t.string())

    def check() -> Check:
        return Check(
            t.optional(t.u64), t.u64(), t.u64(), t.u64(), t.u64(), t.optional(lambda: (t.u64(), t.u64())), t.string(),
            t.strings(),
        )  # fmt: skip

    totals = (t.bool(), t.u64(), t.u64(), t.u64(), t.u64(), t.u64(), t.u64(), t.optional(accounting))
    try:
        checked, hidden_majors = t.optional(check), t.optional(t.u64)  # 1.0 ends before them
    except Bad:
        checked = hidden_majors = None
    try:
        command_end = t.optional(lambda: CommandEnd(t.bool(), t.u32()))  # 1.1 ends before it
    except Bad:
        command_end = None
    entries = c.take(blocks * (8 + STATISTICS.size))
    c.end()
    index = [IndexEntry(at, Statistics(*rest)) for at, *rest in struct.iter_unpack("<Q" + STATISTICS.format[1:], entries)]
    return Footer(*totals, checked, hidden_majors, command_end, index)


# --- The file -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Header:
    """'HEADER, 64 bytes'."""

    major: int
    minor: int
    incompat: int
    compat: int
    clock: int
    trace_id: bytes
    utc_offset: int

    @classmethod
    def decode(cls, data: bytes) -> Header:
        if data[:8] != FILE_MAGIC:
            raise Refused("this is no .pfz trace")
        if len(data) < HEADER.size:
            raise Refused("the trace ends inside its header")
        _, *fields, _, crc = HEADER.unpack_from(data)
        header = cls(*fields)
        if crc32c(data[: HEADER.size - 4]) != crc:
            raise Refused("the header of the trace is damaged")
        versions = f"the trace has version {header.major}.{header.minor}, this reader reads {MAJOR}.{MINOR}"
        if header.major != MAJOR:
            raise Refused(versions)
        if header.incompat:
            raise Refused(f"{versions}; the trace needs unknown features {header.incompat:#x}")
        if header.clock != 1:
            raise Refused(f"the trace has times of an unknown clock {header.clock}")
        return header


@dataclass(frozen=True)
class Frame:
    """'FRAME, 32 bytes', and where it is."""

    offset: int
    kind: int
    codec: int
    flags: int
    length: int
    events: int
    sequence: int
    payload_crc: int

    @property
    def name(self) -> str:
        return KINDS[self.kind] if META <= self.kind <= CONDITIONS else f"kind {self.kind}"

    @property
    def end(self) -> int:
        return self.offset + FRAME.size + self.length


class Damage(NamedTuple):
    """Something that is missing from a trace: where, how many bytes, what, and how many events."""

    offset: int
    length: int
    text: str
    events: int = 0

    def __str__(self) -> str:
        events = f", {self.events} events lost" if self.events else ""
        size = f", {self.length} bytes" if self.length else ""
        return f"at {self.offset:#x}{size}: {self.text}{events}"


Record = Meta | Dictionary | Timeline | Block | Losses | Footer | QueryRecord | Processes | HiddenWaits | Conditions
DECODERS: dict[int, Callable[[memoryview], Record]] = {
    META: decode_meta, DICT: decode_dict, LOSS: decode_loss, FOOTER: decode_footer,
}  # fmt: skip
PACKED: dict[int, Callable[[memoryview, Claim], Record]] = {
    TIMELINE: decode_timeline, QUERIES: decode_queries, PROCESSES: decode_processes,
    HIDDEN_WAITS: decode_hidden_waits, CONDITIONS: decode_conditions,
}  # fmt: skip


class Trace:
    """A trace in memory. `records` and `walk` read it once, and fill the attributes as they go."""

    def __init__(self, data: bytes) -> None:
        self._bytes = data
        self.data = memoryview(data)
        self.header = Header.decode(data)
        self.meta: Meta | None = None
        self.comms: dict[int, str] = {}
        self.objects: dict[int, Object] = {}
        self.frames: dict[int, StackFrame] = {}
        self.stacks: dict[int, StackNode] = {}
        self.symbols: dict[int, Symbol] = {}
        self.build_ids: dict[int, bytes] = {}
        self.footer: Footer | None = None
        self.damage: list[Damage] = []
        self.notes: list[str] = []
        self.timeline: list[Happening] = []
        self.losses: list[Loss] = []
        self.queries: dict[int, Query] = {}
        self.processes: list[Process] = []
        self.hidden_waits: list[HiddenWait] = []
        self.conditions: list[Condition] = []
        self.blocks: list[Block] = []
        tables = (self.comms, self.objects, self.frames, self.stacks, self.symbols, self.build_ids)
        self._tables: Sequence[dict[int, Any]] = tables
        self._dictionary_bytes = 0
        self._unpacked = {TIMELINE: 0, PROCESSES: 0}
        self._id_crc = crc32c(self.header.trace_id)
        _unzstd()

    def frame_at(self, at: int) -> Frame | None:
        """The frame at an offset, if there is a valid one: marker, checksum, length ('Recovery')."""
        raw = self.data[at : at + FRAME.size]
        if raw[:4] != SYNC or len(raw) < FRAME.size:
            return None
        _, *fields, crc = FRAME.unpack(raw)
        frame = Frame(at, *fields)
        if crc32c(raw[:28], self._id_crc) != crc or frame.length > (MAX_FOOTER if frame.kind == FOOTER else MAX_PAYLOAD):
            return None
        return frame

    def trailer_at(self, at: int) -> bool:
        """Whether there is a valid TRAILER. What it says is a hint that this reader has no use for."""
        raw = self.data[at : at + TRAILER.size]
        return len(raw) == TRAILER.size and raw[16:] == TRAILER_MAGIC and crc32c(raw[:12], self._id_crc) == TRAILER.unpack(raw)[2]

    def search(self, at: int, expected: int) -> int | None:
        """'Recovery': the next valid frame from `at` on whose number is not below `expected`."""
        while (at := self._bytes.find(SYNC, at)) >= 0:
            frame = self.frame_at(at)
            if frame and frame.sequence >= expected:
                return at
            at += 1
        return None

    def records(self) -> Iterator[tuple[Frame, memoryview]]:
        """'Recovery': the frames and payloads that are whole, in the order of the file."""
        size, at, expected = len(self.data), HEADER.size, 0
        claims: list[list[int]] = []  # of records with damaged payloads: claimed end, such records up to there
        trailer = None  # where it has to be
        while at < size:
            if at == trailer and self.trailer_at(at):
                at, trailer = at + TRAILER.size, -1
                continue
            frame = self.frame_at(at)
            if frame is None:
                left = self.data[at:]
                if len(left) < FRAME.size and left[:4] == SYNC[: len(left)] or at == trailer and len(left) < TRAILER.size:
                    break
                after = self.search(at + 1, expected)
                self._lose(at, size if after is None else after, "no valid record")
                at = size if after is None else after
                continue
            new = frame.sequence >= expected
            if frame.sequence > expected:
                missing = frame.sequence - expected
                self._lose(at, at, f"gap in the sequence numbers: {missing} record{'s' * (missing > 1)} missing")
            expected = max(expected, frame.sequence + 1)
            payload = self.data[at + FRAME.size : frame.end]
            if len(payload) == frame.length and crc32c(payload) == frame.payload_crc:
                at = frame.end
                if new:
                    trailer = at if frame.kind == FOOTER else trailer
                    yield frame, payload
                continue
            after, cut = self._after_damage(frame, expected, claims)
            if cut:
                break
            self._lose(at, after, f"the payload of {frame.name} is damaged", frame.events if new and frame.kind == EVENTS else 0)
            at = after
        if at < size:
            frame = self.frame_at(at)
            inside = f" inside {frame.name}" if frame else ""
            events = f", {frame.events} events are missing" if frame and frame.kind == EVENTS else ""
            self.notes.append(f"the trace ends{inside} at {at:#x}: cut, or still being written{events}")
        elif trailer != -1:
            self.notes.append("the trace has no end: cut, or still being written")

    def _after_damage(self, frame: Frame, expected: int, claims: list[list[int]]) -> tuple[int, bool]:
        """'Recovery': where to go on after a valid frame with a damaged payload, and whether the file just ends in it."""
        size = len(self.data)
        claims[:] = [[end, count + 1] for end, count in claims if end > frame.offset] + [[frame.end, 1]]
        follower = self.frame_at(frame.end)
        if follower and follower.sequence > frame.sequence:
            return frame.end, False
        believed = [end for end, count in claims if count > MAX_DAMAGED_INSIDE]
        if believed:
            return min(size, max(believed)), False
        after = self.search(frame.offset + 1, expected)
        return size if after is None else after, after is None and frame.end > size

    def _lose(self, at: int, end: int, text: str, events: int = 0) -> None:
        self.damage.append(Damage(at, end - at, text, events))

    def walk(self) -> Iterator[tuple[Frame, Record]]:
        """All records that can be read. META, dictionaries and the footer are also kept in the trace, as far as read."""
        for frame, payload in self.records():
            if not META <= frame.kind <= CONDITIONS:
                continue
            events = frame.events if frame.kind == EVENTS else 0
            try:
                if frame.codec != 1:
                    raise Unreadable(f"is unreadable: it has the unknown codec version {frame.codec}")
                if frame.kind == EVENTS:
                    record: Record = decode_events(payload, events)
                elif frame.kind in PACKED:
                    record = PACKED[frame.kind](payload, functools.partial(self._claim, frame))
                else:
                    record = DECODERS[frame.kind](payload)
                self._keep(record)
            except Bad as e:
                self._lose(frame.offset, frame.end, f"{frame.name} {e}", events)
                continue
            if isinstance(record, Block | QueryRecord):
                known = EVENT_COLUMNS if isinstance(record, Block) else QUERY_COLUMNS
                for id_, why in record.unreadable.items():
                    self._lose(frame.offset, frame.end, f"{frame.name} has a column {known[id_].name} that {why}")
            yield frame, record

    def _claim(self, frame: Frame, size: int) -> None:
        """'Limits': what all packed records of a kind may unpack to, up to the end of this one."""
        kind, per_byte = (TIMELINE, 256) if frame.kind == TIMELINE else (PROCESSES, 1024)
        if self._unpacked[kind] + size > 64 * MIB + per_byte * frame.end:
            raise Bad(f"unpacks to {size} bytes, which is too much beside those before it")
        self._unpacked[kind] += size

    def _keep(self, record: Record) -> None:
        """Takes a record into the attributes; of META, FOOTER and each id the first stands."""
        match record:
            case Meta():
                self.meta = self.meta or record
            case Footer():
                self.footer = self.footer or record
            case Dictionary(table, definitions):
                for id_, entry, size in definitions:
                    if id_ in self._tables[table]:
                        continue
                    if self._dictionary_bytes + size > MAX_DICTIONARIES:
                        raise Bad("exceeds the limit of all dictionaries")
                    self._dictionary_bytes += size
                    self._tables[table][id_] = entry


def load(path: str | os.PathLike[str]) -> Trace:
    """The trace in a file, or on standard input for '-', of which only the header has been read."""
    if os.fspath(path) == "-":
        return Trace(sys.stdin.buffer.read())
    with open(path, "rb") as file:
        return Trace(file.read())


def read(path: str | os.PathLike[str]) -> Trace:
    """The whole trace in a file, or on standard input for '-'."""
    trace = load(path)
    for _, record in trace.walk():
        match record:
            case Timeline(happenings):
                trace.timeline += happenings
            case Block():
                trace.blocks.append(record)
            case Losses(losses):
                trace.losses += losses
            case Processes(processes):
                trace.processes += processes
            case HiddenWaits(waits):
                trace.hidden_waits += waits
            case Conditions(conditions):
                trace.conditions += conditions
            case QueryRecord(queries):
                for query in queries:
                    trace.queries.setdefault(query.id, query)
    return trace


# --- Commands -------------------------------------------------------------------------------------------------------

CSV_COLUMNS = (
    "ts_ns,latency_ns,pid,tid,comm,cpu,address,major,access,origin,retries,failed,ip,kind,file,file_offset,"
    "blocked_ns,runqueue_ns,reclaim_ns,lock_ns,stack_id,query_id,interruptions,signal,abandoned,pages_read,sleep_stack_id,read_offset"
).split(",")  # fmt: skip
PAGE_SIZE_ASSUMED = "the page size is not known: offsets in files are counted in pages of 4096 bytes"
TRUTH = ("false", "true")
ACCESS = ("", "read", "write", "exec")
ORIGIN = ("user", "kernel", "gup", "gup_remote")


def rows(trace: Trace, block: Block) -> Iterator[tuple[int | str, ...]]:
    """The cells of each fault of a block, in the order of CSV_COLUMNS; empty where a column is absent or unreadable."""
    columns = block.columns
    empty = repeat("")

    def cells(id_: int, cell: Callable[[int], int | str] = int) -> Iterable[int | str]:
        return map(cell, columns[id_]) if id_ in columns else empty

    def run_cells(id_: int, cell: Callable[[int], int | str] = int) -> Iterable[int | str]:
        return map(cell, block.each(id_)) if columns.keys() >= {id_, RUN_LENGTH} else empty

    def both(a: int, b: int, cell: Callable[[int, int], int | str]) -> Iterable[int | str]:
        return map(cell, columns[a], columns[b]) if columns.keys() >= {a, b} else empty

    def comm(id_: int) -> str:
        return trace.comms.get(id_, f"unknown#{id_}") if id_ else "unknown"

    def object_(id_: int) -> Object:
        return trace.objects.get(id_, nowhere)

    def file(id_: int) -> str:
        if id_ and id_ not in trace.objects:
            return f"unknown#{id_}"
        return object_(id_).path if object_(id_).kind in ("file", "shm") else ""

    def file_offset(id_: int, page: int) -> int | str:
        if object_(id_).kind not in ("file", "shm"):
            return ""
        if not page_size and PAGE_SIZE_ASSUMED not in trace.notes:
            trace.notes.append(PAGE_SIZE_ASSUMED)
        return page * (page_size or 4096)

    def witness(id_: int, bit: int, zero: int | str) -> Iterable[int | str]:
        """Empty where nobody looked."""
        return both(id_, WITNESSES, lambda value, bits: (value or zero) if bits & bit else "")

    def read_offset(row: int) -> int | str:
        """Where in its file the read of a fault begins; empty where nobody looked, or nothing was read."""
        seen_ = block.witnesses(row)
        if not seen_.pages_read or seen_.pages_before is None:
            return ""
        id_, page = columns[OBJECT][row], columns[OBJECT_PAGE][row] - seen_.pages_before
        return file_offset(id_, page) if page >= 0 else ""

    def seen(id_: int, what: str) -> Iterable[int | str]:
        """Empty where the recorder could not tell: the trace says so, and the backend perf never sees locks."""
        blind = trace.meta and (what in trace.meta.blind or id_ == LOCK and trace.meta.backend == "perf")
        return empty if blind else cells(id_)

    nowhere = Object("unknown", 0, 0, 0, "")
    page_size = trace.meta.page_size if trace.meta else 0
    return zip(
        cells(TS), cells(LATENCY), run_cells(RUN_PID), run_cells(RUN_TID), run_cells(RUN_COMM, comm), cells(CPU),
        both(PAGE, PAGE_OFFSET, lambda page, offset: page << 12 | offset),
        cells(CLASS, lambda c: TRUTH[c & 3 == 1]), cells(CLASS, lambda c: ACCESS[c >> 2 & 3]),
        cells(CLASS, lambda c: ORIGIN[c >> 4 & 3]), seen(RETRIES, "retries"), cells(CLASS, lambda c: TRUTH[c >> 1 & 1]), cells(IP),
        cells(OBJECT, lambda o: object_(o).kind),
        cells(OBJECT, file),
        both(OBJECT, OBJECT_PAGE, file_offset), cells(BLOCKED), cells(RUNQUEUE), cells(RECLAIM), seen(LOCK, "lock waits (with --breakdown)"),
        cells(STACK, lambda s: s or ""), cells(QUERY, lambda q: q or ""), cells(INTERRUPTIONS, lambda i: i or ""),
        cells(SIGNAL, lambda s: s or ""), cells(CLASS, lambda c: TRUTH[c >> 6 & 1]), witness(PAGES_READ, 2, 0),
        witness(SLEEP, 1, ""),
        map(read_offset, range(block.statistics.events)) if columns.keys() >= {OBJECT, OBJECT_PAGE, WITNESSES} else empty,
        range(block.statistics.events),
    )  # fmt: skip


def print_events(trace: Trace) -> None:
    """The command `events`."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(CSV_COLUMNS)
    for _, record in trace.walk():
        if isinstance(record, Block):
            out.writerows(row[:-1] for row in rows(trace, record))


def printable(text: str) -> str:
    """Text of a trace without what a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_records(trace: Trace) -> None:
    """The command `records`. It looks at frames and checksums, not into payloads."""
    for frame, _ in trace.records():
        events = frame.events if frame.kind == EVENTS else 0
        print(frame.offset, frame.name.replace(" ", "-"), frame.length, events, frame.sequence, sep="\t")


def print_info(trace: Trace) -> None:
    """The command `info`."""
    kinds: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    losses: Counter[int] = Counter()
    lost, first, last = 0, U64, 0
    for frame, record in trace.walk():
        kinds[frame.name] += 1
        match record:
            case Block(s):
                minors = s.events - s.majors - s.failed
                faults.update(events=s.events, majors=s.majors, minors=minors, failed=s.failed)
                first, last = min(first, s.ts_min), max(last, s.end_max)
            case Losses(entries):
                for loss in entries:
                    losses[loss.reason] += loss.count
                    lost += loss.events
            case QueryRecord(queries):
                faults.update(queries=len(queries))
            case Processes(processes):
                faults.update(processes=len(processes))
            case HiddenWaits(waits):
                faults.update(waits=len(waits))
            case Conditions(conditions):
                faults.update(conditions=len(conditions))
    header, meta, footer = trace.header, trace.meta, trace.footer
    print(f"trace     version {header.major}.{header.minor}, id {header.trace_id.hex()}")
    if meta:
        try:
            start = datetime.fromtimestamp((meta.start_ns + header.utc_offset) // 10**9, timezone.utc).isoformat()
        except (ValueError, OverflowError, OSError):
            start = "at an unknown time"
        memory = f"{meta.cpus} CPUs, {meta.memory_bytes} bytes, pages of {meta.page_size}"
        print(f"host      {printable(meta.hostname)}, {printable(meta.kernel)}, {printable(meta.arch)}, {memory}")
        print(f"recorder  {printable(meta.recorder)}, {printable(meta.backend)}, started {start}, sample 1 in {meta.sample}")
        print(f"command   {printable(shlex.join(meta.command))}")
        print(f"filters   {printable(shlex.join(meta.filters)) or 'none'}")
    else:
        print("host      not known: META is lost")
    print(f"records   {', '.join(f'{count} {name}' for name, count in kinds.items()) or 'none'}")
    print(f"faults    {faults['events']}: {faults['majors']} major, {faults['minors']} minor, {faults['failed']} failed")
    if faults["events"]:
        print(f"time      {(last - first) / 1e9:.6f} s from the first entry to the last completion")
    names = {reason: LOSS_REASONS.get(reason, f"reason {reason}") for reason in losses}
    said = ", ".join(f"{count} {names[reason]}" for reason, count in losses.items()) or "none"
    print(f"losses    {lost} events ({said})")
    print(f"queries   {faults['queries']}")
    print(f"processes {faults['processes']} entries")
    print(f"waits     {faults['waits']} hidden")
    print(f"set       {faults['conditions']} conditions")
    if footer:
        kinds_claimed = f"{footer.majors} major, {footer.minors} minor, {footer.failed} failed"
        totals = f"{footer.events} events ({kinds_claimed}), {footer.lost} lost"
        print(f"footer    claims {totals}, {'clean' if footer.clean else 'not clean'}")
        if end := footer.command_end:
            print(f"command   ended {'by signal' if end.by_signal else 'with status'} {end.number}")
    bytes_ = sum(damage.length for damage in trace.damage)
    events = sum(damage.events for damage in trace.damage)
    print(f"damage    {len(trace.damage)} places, {bytes_} bytes, {events} events" if trace.damage else "damage    none")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    commands = {"events": print_events, "info": print_info, "records": print_records}
    parser = argparse.ArgumentParser(description="Reads .pfz traces of page faults.")
    parser.add_argument("command", choices=commands)
    parser.add_argument("trace", help="a file, or - for standard input")
    options = parser.parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    try:
        trace = load(options.trace)
        commands[options.command](trace)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Refused, OSError) as e:
        print(f"pfz: {options.trace}: {e}", file=sys.stderr)
        return 1
    for line in [*trace.notes, *trace.damage]:
        print(f"pfz: {line}", file=sys.stderr)
    return 3 if trace.damage else 0


if __name__ == "__main__":
    sys.exit(main())
