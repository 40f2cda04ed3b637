"""What `timeline`, `memory` and the order of pages must say, as SQL; questions.py tells which tables there are."""

# Each fault once, however often it counts.
ONCE = "once AS (SELECT DISTINCT ON (ord) * FROM f)"

# Where intervals begin and end is taken from what was written. A fault that began outside counts in the nearest one.
INTERVALS = """
    WITH w AS (
        SELECT plain(begin_s) AS b, plain(end_s) AS e, major::HUGEINT AS major, minor::HUGEINT AS minor,
            coalesce(nullif(failed, '')::HUGEINT, 0) AS failed, plain(wait_ms) AS wait, threads::HUGEINT AS threads, plain(max_ms) AS longest
        FROM written),
    placed AS (SELECT *, least(since, (SELECT max(e) - 1 FROM w)) AS moment FROM f),
    began AS (
        SELECT b, count(*) FILTER (class = 'major') AS major, count(*) FILTER (class = 'minor') AS minor,
            count(*) FILTER (class = 'failed') AS failed, max(latency_ns) AS longest
        FROM w JOIN placed ON moment >= b AND moment < e GROUP BY b),
    inside AS (
        SELECT b, sum(least(ends, e) - greatest(since, b)) AS wait, count(DISTINCT [pid, tid]) AS threads
        FROM w JOIN f ON since < e AND ends > b AND ends > since GROUP BY b)
    SELECT w.*, began.*, inside.* FROM w LEFT JOIN began USING (b) LEFT JOIN inside USING (b)
    WHERE w.major <> coalesce(began.major, 0) OR w.minor <> coalesce(began.minor, 0)
        OR w.failed <> coalesce(began.failed, 0) OR w.longest <> coalesce(began.longest, 0)
        OR w.wait <> coalesce(inside.wait, 0) OR w.threads <> coalesce(inside.threads, 0)"""

# Three threads or more inside a fault at once. Faults of a thread that overlap are one stay.
STALLS = f"""
    WITH {ONCE},
    spans AS (SELECT pid, tid, greatest(ts_ns::HUGEINT, begin_ns) AS b, least(ts_ns::HUGEINT + latency_ns, end_ns) AS e
        FROM once, asked WHERE e > b),
    behind AS (
        SELECT *, max(e) OVER (PARTITION BY pid, tid ORDER BY b, e ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS done
        FROM spans),
    numbered AS (
        SELECT *, count(*) FILTER (done IS NULL OR b > done) OVER (PARTITION BY pid, tid ORDER BY b, e ROWS UNBOUNDED PRECEDING)
            AS stay
        FROM behind),
    stays AS (SELECT pid, tid, stay, min(b) AS b, max(e) AS e FROM numbered GROUP BY ALL),
    changes AS (
        SELECT t, sum(d) AS d FROM (SELECT b AS t, 1 AS d FROM stays UNION ALL SELECT e, -1 FROM stays) GROUP BY t),
    steps AS (SELECT t, lead(t) OVER (ORDER BY t) AS until, sum(d) OVER (ORDER BY t) AS inside FROM changes),
    marked AS (SELECT *, count(*) FILTER (inside < 3) OVER (ORDER BY t) AS stall FROM steps)
    SELECT greatest(min(t) - (SELECT start_ns FROM asked), 0) AS begin_s, max(until) - min(t) AS length_ms,
        max(inside) AS peak_threads, sum((until - t) * inside) AS wait_ms
    FROM marked WHERE inside >= 3 GROUP BY stall ORDER BY length_ms DESC, min(t) LIMIT 5"""
NOT_OF_STALLS = ("alive", "major", "minor", "failed", "max_ms", "max_tid", "max_comm", "max_class", "max_begin_s", "max_file",
                 "max_file_offset", "top_file", "top_file_begin", "top_file_end", "waiters", "waited_on", "who")

# Faults in the order in which their pages were there, and what was on their page before: all of one block, whose order is known.
# Of majors that wait for a page together the first reads it, and the page is there as soon as another fault of it is done.
AGAIN = f"""
    {ONCE},
    told AS (
        SELECT *, ts_ns::HUGEINT + latency_ns AS done, max(CASE WHEN class = 'major' THEN ts_ns::HUGEINT + latency_ns END) OVER (
            PARTITION BY page ORDER BY ts_ns, ord ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS read_until
        FROM once WHERE class = 'major' OR class = 'minor' AND NOT (SELECT is_sampled FROM asked)),
    judged AS (SELECT *, class = 'major' AND (read_until IS NULL OR ts_ns >= read_until) AS is_read FROM told),
    earliest AS (
        SELECT r.ord AS ord, min(o.done) AS came FROM judged AS r JOIN judged AS o
            ON r.page = o.page AND o.done > r.ts_ns AND o.done < r.done
        WHERE r.is_read GROUP BY r.ord),
    placed AS (
        SELECT judged.*, row_number() OVER (ORDER BY coalesce(came, done), NOT is_read, judged.ord) AS place
        FROM judged LEFT JOIN earliest ON judged.ord = earliest.ord),
    before AS (
        SELECT *, lag(place) OVER pages AS last, lead(place) OVER pages AS next,
            max(done) OVER (pages ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS page_done
        FROM placed WINDOW pages AS (PARTITION BY page ORDER BY place)),
    again AS (
        SELECT *, CASE WHEN class = 'major' THEN is_read ELSE ts_ns >= page_done END AS is_back FROM before
        WHERE last IS NOT NULL)"""

REFAULTS = f"""
    WITH {AGAIN},
    majors AS (
        SELECT label AS file, count(*) FILTER (class = 'major') AS major,
            coalesce(sum(latency_ns) FILTER (class = 'major'), 0) AS wait
        FROM once WHERE class <> 'failed' GROUP BY label),
    back AS (
        SELECT label AS file, count(*) FILTER (class = 'major') AS again,
            coalesce(sum(latency_ns) FILTER (class = 'major'), 0) AS wait_again, count(*) FILTER (class = 'minor') AS minor
        FROM again WHERE is_back GROUP BY label)
    SELECT file, major, coalesce(again, 0) AS again, share(coalesce(again, 0), major) AS again_percent,
        coalesce(again, 0) * (SELECT page_size FROM asked) AS bytes_again, coalesce(wait_again, 0) AS wait_again_ms,
        coalesce(minor, 0) AS minor_again
    FROM majors LEFT JOIN back USING (file) ORDER BY coalesce(wait_again, 0) DESC, wait DESC, file"""

# Pages between two faults of one: those whose last fault in between is in between. One that waits for the same as the fault
# before is as far as that.
DISTANCES = f"""
    WITH {AGAIN},
    between_them AS (
        SELECT again.ord AS ord, count(other.ord) AS pages
        FROM again LEFT JOIN before AS other
            ON other.place > again.last AND other.place < again.place AND (other.next IS NULL OR other.next > again.place)
        GROUP BY again.ord),
    far AS (
        SELECT class, latency_ns, is_back,
            last_value(CASE WHEN is_back THEN pages END IGNORE NULLS) OVER (PARTITION BY page ORDER BY place) AS pages
        FROM again JOIN between_them USING (ord)),
    counted AS (
        SELECT CASE WHEN pages = 0 THEN 0 ELSE 1 + floor(log2(pages))::INTEGER END AS step,
            count(*) FILTER (class = 'major') AS major, count(*) FILTER (class = 'minor') AS minor, sum(latency_ns) AS wait
        FROM far WHERE pages IS NOT NULL AND (class = 'major' OR is_back) GROUP BY step),
    steps AS (SELECT unnest(range((SELECT min(step) FROM counted), (SELECT max(step) + 1 FROM counted))) AS step)
    SELECT CASE WHEN step = 0 THEN 0 ELSE 1 << (step::INTEGER - 1) END AS after_pages,
        after_pages * (SELECT page_size FROM asked) AS after_bytes, coalesce(major, 0) AS major,
        coalesce(minor, 0) AS minor, coalesce(wait, 0) AS wait_ms
    FROM steps LEFT JOIN counted USING (step) ORDER BY step"""

# Bytes read again: majors on a page that began after all others of it before were done, but for the first one.
REREAD = f"""
    WITH {ONCE},
    majors AS (
        SELECT label, page, ts_ns, max(ts_ns::HUGEINT + latency_ns) OVER (
            PARTITION BY page ORDER BY ts_ns, ord ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS done
        FROM once WHERE class = 'major'),
    reads AS (SELECT label, page, count(*) - 1 AS again FROM majors WHERE done IS NULL OR ts_ns >= done GROUP BY ALL),
    sums AS (SELECT label, sum(again) AS again FROM reads GROUP BY label)
    SELECT f.label AS file, coalesce(any_value(again), 0) * (SELECT page_size FROM asked) AS reread_bytes
    FROM f LEFT JOIN sums USING (label) GROUP BY f.label ORDER BY sum(latency_ns) DESC, f.label"""
