"""Questions in SQL that pfanalyze and DuckDB are both asked, word by word: names of columns that have a unit would be read as
whole nanoseconds, so they have none. Rows must come in an order that the question says. Not asked, for pfanalyze refuses it: an OVER
of mixed directions, a comparison with a subquery, and GROUP BY a column of the joined table that both have."""

STATEMENTS = [
    "SELECT COUNT(*) AS n, SUM(weight) AS w, COUNT(file) AS with_file, COUNT(DISTINCT kind) AS kinds FROM faults",
    "SELECT comm, kind, COUNT(*) AS n, SUM(latency_ns) AS wait, AVG(latency_ns) AS mean, MIN(latency_ns) AS least, "
    "MAX(latency_ns) AS most FROM faults GROUP BY comm, kind ORDER BY comm, kind",
    "SELECT cpu, SUM(latency_ns) / 1000 AS wait, SUM(latency_ns) // 1000 AS whole, SUM(latency_ns) % 1000 AS rest FROM faults "
    "GROUP BY cpu HAVING COUNT(*) > 3 ORDER BY wait DESC, cpu",
    "SELECT f.comm AS name, COUNT(*) AS n, SUM(f.latency_ns) AS wait, MAX(t.tid) AS thread FROM faults AS f "
    "JOIN threads AS t ON f.pid = t.pid AND f.tid = t.tid GROUP BY f.comm ORDER BY f.comm",
    "SELECT name, COUNT(*) AS n FROM faults AS f JOIN (SELECT pid, tid, comm AS name FROM threads) AS named "
    "ON f.pid = named.pid AND f.tid = named.tid GROUP BY name ORDER BY name",
    "SELECT t.pid AS pid, t.tid AS tid, COUNT(f.ts_ns) AS n FROM threads AS t "
    "LEFT JOIN faults AS f ON f.pid = t.pid AND f.tid = t.tid GROUP BY t.pid, t.tid ORDER BY pid, tid",
    "SELECT pid, tid, ts_ns, latency_ns, place FROM (SELECT pid, tid, ts_ns, latency_ns, ROW_NUMBER() OVER "
    "(PARTITION BY pid, tid ORDER BY latency_ns DESC, ts_ns DESC, address DESC) AS place FROM faults) AS ranked WHERE place <= 2 "
    "ORDER BY pid, tid, place",
    "SELECT ts_ns, address, SUM(latency_ns) OVER (PARTITION BY kind) AS of_kind, latency_ns FROM faults "
    "ORDER BY ts_ns, address, latency_ns LIMIT 50",
    "SELECT ts_ns, latency_ns, address, file FROM faults ORDER BY latency_ns DESC, ts_ns, address LIMIT 20 OFFSET 5",
    "SELECT kind, QUANTILE_CONT(latency_ns, 0.5) AS half, QUANTILE_CONT(latency_ns, 0.99) AS high, MEDIAN(latency_ns) AS middle "
    "FROM faults GROUP BY kind ORDER BY kind",
    "SELECT CASE WHEN latency_ns < 1000 THEN 'short' WHEN latency_ns < 100000 THEN 'middling' ELSE 'long' END AS length, "
    "COUNT(*) AS n, SUM(CASE WHEN major THEN 1 ELSE 0 END) AS majors FROM faults GROUP BY length ORDER BY length",
    "SELECT COUNT(*) AS n FROM faults WHERE comm LIKE 'w%' OR file LIKE '%seg_ents%' OR comm LIKE '%in'",
    "SELECT COUNT(*) AS n FROM faults WHERE NOT major AND latency_ns BETWEEN 500 AND 1500 AND kind IN ('file', 'heap')",
    "SELECT DISTINCT kind, access FROM faults WHERE access IS NOT NULL ORDER BY kind, access",
    "SELECT COALESCE(file, kind) AS what, COUNT(*) AS n FROM faults GROUP BY COALESCE(file, kind) ORDER BY n DESC, what",
    "WITH slow AS (SELECT tid, COUNT(*) AS n FROM faults WHERE latency_ns > 50000 GROUP BY tid) "
    "SELECT tid, n FROM slow WHERE n > 2 ORDER BY n DESC, tid",
    "SELECT COUNT(*) AS n FROM faults WHERE tid IN (SELECT tid FROM faults WHERE latency_ns > 100000)",
    "SELECT 'major' AS class, COUNT(*) AS n FROM faults WHERE major UNION ALL "
    "SELECT 'failed' AS class, COUNT(*) AS n FROM faults WHERE failed ORDER BY class",
    "SELECT tid, CAST(latency_ns AS BIGINT) - 2000 AS more FROM faults ORDER BY more, tid LIMIT 15",
    "SELECT UPPER(kind) AS kind, LENGTH(kind) AS size, COUNT(*) AS n FROM faults GROUP BY kind ORDER BY kind",
    "SELECT file, file_offset, COUNT(*) AS n FROM faults WHERE file IS NOT NULL GROUP BY file, file_offset "
    "HAVING COUNT(*) > 2 ORDER BY n DESC, file, file_offset LIMIT 40",
]
