"""What `diff` must say of two recordings, as SQL: `f` is A and `g` is B, both with the filter; `written` is the table."""


def side(faults):
    sums = """count(*) FILTER (class = 'major') AS major, count(*) FILTER (class = 'minor') AS minor,
        count(*) FILTER (class = 'failed') AS failed, sum(latency_ns) AS wait, pick(list(latency_ns), 50000) AS p50,
        pick(list(latency_ns), 99000) AS p99"""
    return f"""
        SELECT 'class' AS kind, class AS name, {sums} FROM {faults} GROUP BY class
        UNION ALL SELECT 'class', 'all', {sums} FROM {faults} HAVING count(*) > 0
        UNION ALL SELECT 'thread', comm, {sums} FROM {faults} GROUP BY comm
        UNION ALL SELECT 'file', label, {sums} FROM {faults} GROUP BY label"""


def differs(letter):
    """Of two quantiles the written one is within one percent."""
    about = " OR ".join(f"abs(plain(nullif(w.{p}_{letter}_us, '')) - coalesce({letter}.{p}, 0)) * 100 > coalesce({letter}.{p}, 0)"
                        for p in ["p50", "p99"])
    exact = " OR ".join(f"w.{column}_{letter}::HUGEINT <> coalesce({letter}.{column}, 0)" for column in ["major", "minor", "failed"])
    return f"{about} OR {exact} OR plain(w.wait_{letter}_ms) <> coalesce({letter}.wait, 0)"


# Which file is which is its own choice, if they have different names.
DIFF = f"""
    WITH w AS (SELECT *, coalesce(nullif(name_b, ''), name) AS other FROM written WHERE "by" IN ('class', 'thread', 'file')),
    a AS ({side('f')}), b AS ({side('g')}),
    p AS (SELECT DISTINCT label, file_offset FROM f WHERE file_offset IS NOT NULL),
    q AS (SELECT DISTINCT label, file_offset FROM g WHERE file_offset IS NOT NULL),
    pages AS (
        SELECT w.name AS name, (SELECT count(*) FROM p WHERE label = w.name) AS in_a,
            (SELECT count(*) FROM q WHERE label = w.other) AS in_b,
            (SELECT count(*) FROM p JOIN q USING (file_offset) WHERE p.label = w.name AND q.label = w.other) AS in_both
        FROM w WHERE "by" = 'file' AND pages_a <> '')
    SELECT 'numbers' AS what, w."by", w.name FROM w LEFT JOIN a ON a.kind = w."by" AND a.name = w.name
        LEFT JOIN b ON b.kind = w."by" AND b.name = w.other WHERE {differs('a')} OR {differs('b')}
    UNION ALL
    SELECT 'pages', w."by", w.name FROM w JOIN pages ON pages.name = w.name AND w."by" = 'file'
    WHERE pages_a::HUGEINT <> in_a OR pages_b::HUGEINT <> in_b OR pages_both::HUGEINT <> in_both
        OR pages_only_a::HUGEINT <> in_a - in_both OR pages_only_b::HUGEINT <> in_b - in_both
        OR plain(jaccard_percent) <> share(in_both, in_a + in_b - in_both)
    UNION ALL
    SELECT 'missing in A', kind, name FROM a WHERE (kind, name) NOT IN (SELECT "by", name FROM w)
    UNION ALL
    SELECT 'missing in B', kind, name FROM b WHERE (kind, name) NOT IN (SELECT "by", other FROM w)"""
