"""What each verb of pfanalyze must say, as SQL: a new verb is a new entry in VERBS.

The texts find these tables. Times are nanoseconds, whatever the unit in which pfanalyze writes a column.

    f        the faults that pass the filter, each as often as it counts: the columns of `pfanalyze events`, and `ord` (the
             order in which they came), `since` (from the start of the recording), `label` (file or kind of memory), `class`,
             `page`, and `part_blocked`, `part_runqueue`, `part_cpu`, `part_reclaim`, `part_lock` where they add up
    q, p     the records of queries, and those that pass the filter, with `label`; `is_inside` in p: inside one of that label, and
             `is_inside_known`: inside one of which it is known how long it took
    written  what pfanalyze wrote, as text
    asked    one row: `by_file`, `start_ns`, `page_size`, `is_sampled`, `begin_ns` and `end_ns` of the time that is asked for,
             `sees_failed`
    passing  the faults that pass the filter, once each; `threads` is the table of `pfanalyze sql`
    g        as `f`, of the recording that this one is compared with
"""

from dataclasses import dataclass

from over_time import DISTANCES, INTERVALS, NOT_OF_STALLS, REFAULTS, REREAD, STALLS
from statements import STATEMENTS
from two_traces import DIFF

WAIT = """count(*) FILTER (class = 'major') AS major, count(*) FILTER (class = 'minor') AS minor,
    sum(latency_ns) AS total_ms, sum(latency_ns) // count(*) AS avg_ms, max(latency_ns) AS max_ms"""
FAILED = "count(*) FILTER (class = 'failed') AS failed"
PARTS = """sum(part_blocked) AS blocked_ms, sum(part_runqueue) AS runqueue_ms, sum(part_cpu) AS cpu_ms,
    sum(part_reclaim) AS reclaim_ms, sum(part_lock) AS lock_ms"""
LATENCY = """count(latency_ns) AS count, pick(list(latency_ns), 50000) AS p50_us, pick(list(latency_ns), 90000) AS p90_us,
    pick(list(latency_ns), 99000) AS p99_us, pick(list(latency_ns), 99900) AS p99_9_us,
    pick(list(latency_ns), 99990) AS p99_99_us, max(latency_ns) AS max_us"""
CLASS_NAMES = "(VALUES ('major', 1), ('minor', 2), ('failed', 3), ('all', 4)) AS classes(name, place)"

THREADS = f"""
    SELECT pid, tid, arg_max(comm, (ts_ns, ord)) AS comm, {WAIT}, min(latency_ns) AS min_us, {FAILED},
        pick(list(latency_ns), 50000) AS p50_us, pick(list(latency_ns), 99000) AS p99_us, {PARTS}
    FROM f GROUP BY pid, tid ORDER BY total_ms DESC, pid, tid"""

FILES = f"""
    SELECT label AS file, {WAIT}, count(DISTINCT page) AS pages, {FAILED}, {PARTS},
        sum(pages_read) FILTER (file_offset IS NOT NULL) * (SELECT page_size FROM asked) AS read_bytes
    FROM f GROUP BY label ORDER BY total_ms DESC, label"""

CLASSES = f"""
    SELECT name AS class, {LATENCY} FROM {CLASS_NAMES} LEFT JOIN f ON name = class OR name = 'all'
    GROUP BY name, place HAVING name <> 'failed' OR count(latency_ns) > 0 ORDER BY place"""

SPENT = f"""
    SELECT name AS class, sum(latency_ns) AS wait_ms, {PARTS} FROM {CLASS_NAMES} JOIN f ON name = class OR name = 'all'
    WHERE part_cpu IS NOT NULL GROUP BY name, place ORDER BY place"""

CAUSES = """
    SELECT cause, count(*) AS count, sum(latency_ns) AS total_ms,
        share(sum(latency_ns), (SELECT sum(latency_ns) FROM f WHERE cause IS NOT NULL)) AS wait_percent,
        sum(latency_ns) // count(*) AS avg_ms, pick(list(latency_ns), 50000) AS p50_us, pick(list(latency_ns), 99000) AS p99_us,
        max(latency_ns) AS max_ms, sum(pages_read) AS pages_read, sum(latency_ns) AS wait_ns
    FROM f WHERE cause IS NOT NULL GROUP BY cause
    ORDER BY total_ms DESC, list_position(['read', 'read-wait', 'swap-in', 'writeback', 'fs', 'reclaim', 'lock', 'userfault',
        'cow', 'mkwrite', 'anon-map', 'map', 'preempted', 'signal', 'unknown'], cause)"""

# What the records say of the queries of a name.
OF_ROWS = """
    SELECT label AS name, count(*) AS count, pick(list(wall) FILTER (wall IS NOT NULL), 50000) AS wall_p50_ms, pick(list(wall) FILTER (wall IS NOT NULL), 99000) AS wall_p99_ms,
        max(wall) AS wall_max_ms, sum(wait) FILTER (NOT is_inside) AS wait_ms, pick(list(wait), 50000) AS wait_p50_ms,
        pick(list(wait), 99000) AS wait_p99_ms, max(wait) AS wait_max_ms,
        share(sum(wait) FILTER (wall IS NOT NULL AND NOT is_inside_known), sum(wall) FILTER (NOT is_inside_known)) AS share_percent,
        sum(major) FILTER (NOT is_inside) AS major, sum(minor) FILTER (NOT is_inside) AS minor
    FROM p GROUP BY label"""
BY_WAIT = """ORDER BY wait_ms DESC,
    (SELECT coalesce(sum(wall) FILTER (NOT is_inside_known), 0) FROM p WHERE label = name) DESC, name"""

NAMES = f"""
    WITH RECURSIVE inside AS (
        SELECT DISTINCT ord, query_id AS outer_id, 1 AS depth FROM f WHERE query_id IN (SELECT query_id FROM q)
        UNION ALL
        SELECT ord, parent_id, depth + 1 FROM inside JOIN q ON outer_id = q.query_id
        WHERE parent_id IN (SELECT query_id FROM q) AND depth < 256),
    named AS (SELECT DISTINCT p.label AS name, ord FROM inside JOIN p ON outer_id = p.query_id),
    of_faults AS (
        SELECT name, count(DISTINCT page) AS pages, count(*) FILTER (class <> 'failed') AS recorded
        FROM named JOIN (SELECT DISTINCT ON (ord) ord, page, class FROM f) USING (ord) GROUP BY name),
    waits AS (SELECT name, label, sum(latency_ns) AS wait FROM named JOIN f USING (ord) GROUP BY ALL),
    tops AS (SELECT name, first(label ORDER BY wait DESC, label) AS top_file FROM waits GROUP BY name),
    of_rows AS ({OF_ROWS}),
    missing AS (SELECT label AS name, count(*) FILTER (wall IS NULL) AS incomplete FROM p GROUP BY label)
    SELECT name AS query, of_rows.* EXCLUDE (name), coalesce(pages, 0) AS pages, coalesce(recorded, 0) AS recorded, incomplete, top_file
    FROM of_rows JOIN missing USING (name) LEFT JOIN of_faults USING (name) LEFT JOIN tops USING (name) {BY_WAIT}"""

SLOWEST = """
    SELECT query_id, name, text, pid, tid, wall AS wall_ms, wait AS wait_ms, major, minor,
        (SELECT count(DISTINCT ord) FROM f WHERE f.query_id IN (
            WITH RECURSIVE inside AS (SELECT p.query_id AS id UNION SELECT q.query_id FROM inside JOIN q ON parent_id = id)
            SELECT id FROM inside) AND class <> 'failed') AS recorded
    FROM p ORDER BY wait DESC, wall_or_so DESC, query_id LIMIT 20"""

# Of the tree itself: what is above is what is below, and it holds every fault.
STACKS = """
    WITH w AS (SELECT id, parent, kind, faults::UBIGINT AS faults, plain(total_ms) AS wait, plain(max_ms) AS longest,
                   self_faults::UBIGINT AS own, plain(self_ms) AS own_wait, plain(self_max_ms) AS own_longest FROM written),
    sums AS (
        SELECT 'node' AS what, w.faults, w.wait, w.longest, w.own + coalesce(sum(c.faults), 0) AS faults2,
            w.own_wait + coalesce(sum(c.wait), 0) AS wait2, greatest(w.own_longest, coalesce(max(c.longest), 0)) AS longest2
        FROM w LEFT JOIN w AS c ON c.parent = w.id
        GROUP BY w.id, w.faults, w.wait, w.longest, w.own, w.own_wait, w.own_longest
        UNION ALL
        SELECT 'all', coalesce(sum(faults), 0), coalesce(sum(wait), 0), coalesce(max(longest), 0), (SELECT count(*) FROM f),
            (SELECT coalesce(sum(latency_ns), 0) FROM f), (SELECT coalesce(max(latency_ns), 0) FROM f)
        FROM w WHERE parent = ''
        UNION ALL
        SELECT 'none', coalesce(sum(faults), 0), coalesce(sum(wait), 0), 0,
            (SELECT count(*) FROM f WHERE stack_id IS NULL),
            (SELECT coalesce(sum(latency_ns), 0) FROM f WHERE stack_id IS NULL), 0
        FROM w WHERE kind = 'no_stack')
    SELECT * FROM sums WHERE faults <> faults2 OR wait <> wait2 OR longest <> longest2"""


def percentiles(group):
    return f"SELECT {group}, {LATENCY} FROM f GROUP BY ALL ORDER BY count(*) DESC, {group.split(' AS ')[0]}"


def cells(value, by_latency=False):
    """Where cells begin is the heatmap's own choice; every fault belongs to the last one that begins before it. Gives the
    cells of one side that the other does not have."""
    return f"""
    WITH w AS (
        SELECT {"''" if by_latency else "coalesce(nullif(file, ''), pid)"} AS place, plain(time_s) AS time,
            {"plain(latency_us)" if by_latency else "coalesce(nullif(address, ''), file_offset)::UBIGINT"} AS byte, plain(value) AS value
        FROM written),
    times AS (SELECT DISTINCT place, time FROM w), bytes AS (SELECT DISTINCT place, byte FROM w),
    places AS (
        SELECT since, latency_ns,
            CASE WHEN {by_latency} THEN '' WHEN by_file AND file_offset IS NOT NULL THEN file ELSE pid::VARCHAR END AS place,
            CASE WHEN {by_latency} THEN greatest(latency_ns, 1) WHEN by_file AND file_offset IS NOT NULL THEN file_offset
                ELSE address END AS spot
        FROM f, asked),
    counted AS (
        SELECT times.place AS place, time, byte, {value} AS value
        FROM places ASOF JOIN times ON places.place = times.place AND since >= time
            ASOF JOIN bytes ON places.place = bytes.place AND spot >= byte GROUP BY times.place, time, byte)
    (SELECT 'not so', * FROM w EXCEPT SELECT 'not so', * FROM counted)
    UNION ALL (SELECT 'but', * FROM counted EXCEPT SELECT 'but', * FROM w)
    UNION ALL SELECT 'sum', '', 0, 0, count(*) FROM places HAVING count(*) > 0 AND (SELECT count(*) FROM w) = 0"""


@dataclass
class Question:
    arguments: list
    sql: str
    # A member of the JSON output; the CSV without one.
    member: str | None = None
    # The text gives what is wrong, so nothing, and not the same table.
    gives_wrong: bool = False
    # What the trace must have: queries, stacks, or one block only.
    of: str | None = None
    # Columns that are not compared: the text does not give them.
    without: tuple = ()
    # It knows no filters.
    whole: bool = False
    # About one file, so that a filter by file does not go with it.
    whole_file: bool = False
    # One of many that take turns with the filters; without one all are asked.
    turn: int | None = None


# How pages follow each other in time; whether they were read again is asked where that order is known.
WALKS = ("reread_bytes", "seq_percent", "stride_percent", "amplification", "untouched_percent")
# Regions of a file in parts of 64 KiB or more, as a list would have them.
PARTS_OF_FILE = """
    WITH w AS (
        SELECT "offset"::HUGEINT AS b, "offset"::HUGEINT + size_bytes::HUGEINT AS e, major::HUGEINT AS major, minor::HUGEINT AS minor,
            plain(total_ms) AS wait, plain(max_ms) AS longest, coalesce(pages, pages_seen)::HUGEINT AS pages FROM spread),
    of_file AS (SELECT * FROM f, asked WHERE file = busiest AND file_offset IS NOT NULL),
    sums AS (
        SELECT b, count(*) FILTER (class = 'major') AS major, count(*) FILTER (class = 'minor') AS minor, sum(latency_ns) AS wait,
            max(latency_ns) AS longest, count(DISTINCT file_offset) AS pages
        FROM w JOIN of_file ON file_offset >= b AND file_offset < e GROUP BY b)
    SELECT w.*, sums.* FROM w LEFT JOIN sums USING (b)
    WHERE sums.b IS NULL OR w.major <> sums.major OR w.minor <> sums.minor OR w.wait <> sums.wait
        OR w.longest <> sums.longest OR w.pages <> sums.pages
    UNION ALL
    SELECT 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, count(*) FROM of_file WHERE NOT EXISTS (
        SELECT 1 FROM w WHERE file_offset >= b AND file_offset < e) HAVING count(*) > 0"""

VERBS = {
    "report": [
        # Events do not say what a process runs: the oracle in Rust recomputes it.
        Question([], THREADS, "threads", without=("process",)),
        Question([], FILES, "files", without=WALKS),
        Question([], CLASSES, "percentiles"),
        Question([], SPENT, "breakdown"),
        Question([], f"SELECT name AS query, * EXCLUDE (name) FROM ({OF_ROWS}) {BY_WAIT}", "queries", of="queries"),
    ],
    "threads": [Question(["threads"], THREADS, without=("process",))],
    "files": [
        Question(["files"], FILES, without=WALKS),
        Question(["files", "--sort", "max_ms", "--top", "3"],
                 f"SELECT * FROM ({FILES}) ORDER BY max_ms DESC, total_ms DESC, file LIMIT 3", without=WALKS),
        Question(["files"], REREAD, of="one block", without=("major", "minor", "total_ms", "avg_ms", "max_ms", "pages", "failed",
                 "seq_percent", "stride_percent", "blocked_ms", "runqueue_ms", "cpu_ms", "reclaim_ms", "lock_ms",
                 "read_bytes", "amplification", "untouched_percent")),
    ],
    # Which function told the sleep only the stacks know: the plain loops look at them.
    "causes": [Question(["causes"], CAUSES, without=("top_file", "top_function"))],
    "percentiles": [
        Question(["percentiles", "--by", "class"], CLASSES),
        Question(["percentiles", "--by", "cause"], percentiles("cause")),
        Question(["percentiles", "--by", "tid"], percentiles("pid, tid")),
        Question(["percentiles", "--by", "comm"], percentiles("comm")),
        Question(["percentiles", "--by", "file"], percentiles("label AS file")),
        Question(["percentiles", "--by", "origin"], percentiles("origin")),
        Question(["percentiles", "--by", "retries"], percentiles("retries")),
        Question(["percentiles", "--by", "access"], percentiles("coalesce(access, 'unknown') AS access")),
    ],
    "heatmap": [
        Question(["heatmap", "--weight", "count"], cells("count(*)"), gives_wrong=True),
        Question(["heatmap", "--weight", "wait", "--rows", "9", "--columns", "13"], cells("sum(latency_ns)"),
                 gives_wrong=True),
        Question(["heatmap", "--weight", "max", "--rows", "500", "--columns", "2"], cells("max(latency_ns)"),
                 gives_wrong=True),
        Question(["heatmap", "--weight", "count", "--y", "latency"], cells("count(*)", by_latency=True), gives_wrong=True),
        Question(["heatmap", "--y", "latency", "--weight", "wait", "--rows", "6"], cells("sum(latency_ns)", by_latency=True),
                 gives_wrong=True),
    ],
    "regions": [
        Question(["regions", "--file", "{busiest}", "--parts", parts], PARTS_OF_FILE, gives_wrong=True, of="files", whole_file=True)
        for parts in ["3", "64"]
    ],
    "timeline": [
        Question(["timeline"], INTERVALS, gives_wrong=True),
        Question(["timeline", "--part", "stalls", "--threads", "3"], STALLS, without=NOT_OF_STALLS),
    ],
    "memory": [
        Question(["memory", "--part", "files"], REFAULTS, of="one block", without=("half_with_bytes",)),
        Question(["memory", "--part", "distances"], DISTANCES, of="one block"),
    ],
    "sql": [Question(["sql", text], text.replace("FROM faults", "FROM passing").replace("JOIN faults", "JOIN passing"), turn=turn)
            for turn, text in enumerate(STATEMENTS)],
    "diff": [Question(["diff", "{other}"], DIFF, gives_wrong=True)],
    "queries": [
        Question(["queries"], NAMES, of="queries"),
        Question(["queries", "--slowest", "20"], SLOWEST, "", of="queries",
                 without=("key", "parent_id", "begin_s", "outcome", "own_wait_ms", "own_major", "own_minor", "text_cut",
                          "faults", "more_faults")),
    ],
    "stacks": [Question(["stacks"], STACKS, gives_wrong=True, of="stacks")],
    # The CSV of the same is where all comes from. The plain loops compute the clock time again.
    "events": [Question(["events"], """
        SELECT ts_ns, latency_ns, pid, tid, comm, cpu, address, major, access, origin, retries, failed, ip, kind, file,
            file_offset, blocked_ns, runqueue_ns, reclaim_ns, lock_ns, query_id, stack_id, interruptions, signal, abandoned,
            pages_read, sleep_stack_id, read_offset, cause, weight
        FROM (SELECT DISTINCT ON (ord) * FROM f) ORDER BY ord""", "lines", without=("time",))],
    "info": [Question(["info"], """
        SELECT count(*) AS events, count(*) FILTER (class = 'major') AS major, count(*) FILTER (class = 'minor') AS minor,
            CASE WHEN (SELECT sees_failed FROM asked) THEN count(*) FILTER (class = 'failed') END AS failed
        FROM (SELECT DISTINCT ON (ord) * FROM f)""", "", whole=True)],
}
# Verbs without numbers about faults.
ELSEWHERE = ["verify", "repair", "help"]
