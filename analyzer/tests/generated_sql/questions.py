"""Writes questions in SQL over the tables of a trace, as JSON: `questions.py SEED COUNT`. The same seed gives the same ones.

An ORDER BY of a question with a LIMIT ends with all columns of the answer, so that rows which are equal by its other keys
have one order. Sums of floating-point numbers are not compared with constants: their last digits depend on the order.
"""

import json
import random
import sys

INT, TEXT, FLAG, FLOAT = "int", "text", "flag", "float"

FAULTS = {
    "ts_ns": INT, "latency_ns": INT, "pid": INT, "tid": INT, "comm": TEXT, "cpu": INT, "address": INT, "major": FLAG,
    "access": TEXT, "origin": TEXT, "retries": INT, "failed": FLAG, "ip": INT, "kind": TEXT, "file": TEXT,
    "file_offset": INT, "blocked_ns": INT, "lock_ns": INT, "query_id": INT, "weight": INT,
}
THREADS = {"pid": INT, "tid": INT, "comm": TEXT, "begin_ns": INT, "end_ns": INT, "kernel_faults": INT}
FILES = {"file": TEXT, "kind": TEXT, "dev_major": INT, "inode": INT}
MAPPINGS = {"ts_ns": INT, "pid": INT, "start_address": INT, "end_address": INT, "file": TEXT, "perms": TEXT}
HOST = {"hostname": TEXT, "page_size": INT, "cpus": INT, "start_ns": INT, "end_ns": INT, "utc_offset_ns": INT}
TABLES = {"faults": FAULTS, "threads": THREADS, "files": FILES, "mappings": MAPPINGS, "host": HOST}
# Few values each: groups of several rows.
COARSE = ["pid", "tid", "comm", "cpu", "major", "access", "origin", "kind", "file", "retries", "failed", "query_id"]


class Writer:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.columns = {}

    def pick(self, *options):
        """One of the options; those that are written as functions are made only if they are chosen."""
        option = self.r.choice(options)
        return option() if callable(option) else option

    def column(self, of, only=None):
        names = [name for name, kind in self.columns.items() if kind == of and (only is None or name.split(".")[-1] in only)]
        return self.r.choice(names) if names else None

    def constant(self, of):
        r = self.r
        if of == INT:
            return r.choice([str(r.randrange(10)), str(r.randrange(100, 106)), "1000", "2500", "1000000", "9007199254740993",
                             "-1", "0", "100", "1000000000000"])
        if of == TEXT:
            return r.choice(["'main'", "'worker'", "'read'", "'file'", "'/data/segments.bin'", "''", "'o'", "'user'", "'x'"])
        if of == FLAG:
            return r.choice(["TRUE", "FALSE"])
        return r.choice(["0.5", "1e3", "2.25", "1e-3", "100.0"])

    def leaf(self, of):
        column = self.column(of)
        return column if column and self.r.random() < 0.75 else self.constant(of)

    def divisor(self):
        return self.pick("2", "3", "7", "10", "1000", "4096", "-3", "NULLIF(%s, 0)" % self.leaf(INT))

    def value(self, of, depth):
        r = self.r
        if depth <= 0 or r.random() < 0.2:
            return self.leaf(of)
        v = lambda kind=of: self.value(kind, depth - 1)
        if r.random() < 0.12:
            return self.pick(
                lambda: f"CASE WHEN {v(FLAG)} THEN {v()} WHEN {v(FLAG)} THEN {v()} ELSE {v()} END",
                lambda: f"CASE WHEN {v(FLAG)} THEN {v()} END", lambda: f"COALESCE({v()}, {v()})", lambda: f"NULLIF({v()}, {self.constant(of)})",
                lambda: f"({v()})")
        if of == INT:
            return self.pick(
                lambda: f"{v()} + {v()}", lambda: f"{v()} - {v()}", lambda: f"({v()}) * {self.pick('2', '-1', '3', self.leaf(INT))}",
                lambda: f"({v()}) // {self.divisor()}", lambda: f"({v()}) % {self.divisor()}", lambda: f"-({v()})", lambda: f"ABS({v()})",
                lambda: f"LENGTH({v(TEXT)})", lambda: f"GREATEST({v()}, {v()})", lambda: f"LEAST({v()}, {v()})", lambda: f"CAST({v(FLAG)} AS INTEGER)",
                lambda: f"SIGN({v()})", lambda: f"STRPOS({v(TEXT)}, {self.constant(TEXT)})", lambda: f"CAST({self.leaf(INT)} AS HUGEINT)",
                lambda: f"({v()}) // {self.pick('100', '1000', '100000')} * {self.pick('100', '1000')}")
        if of == TEXT:
            return self.pick(
                lambda: f"UPPER({v()})", lambda: f"LOWER({v()})", lambda: f"{v()} || {v()}", lambda: f"SUBSTRING({v()}, {self.pick('1', '2', '-3')}, 3)",
                lambda: f"REPLACE({v()}, {self.pick(chr(39) + 'a' + chr(39), chr(39) + '/' + chr(39))}, 'Z')",
                lambda: f"CAST({self.leaf(INT)} AS VARCHAR)", lambda: f"LEFT({v()}, {self.pick('3', '-1')})", lambda: f"RIGHT({v()}, 2)",
                lambda: f"SPLIT_PART({v()}, '/', {self.pick('1', '2', '-1')})", lambda: f"TRIM({v()})", lambda: f"CONCAT({v()}, '-', {self.leaf(INT)})",
                lambda: f"REVERSE({v()})", lambda: f"CAST({v(FLAG)} AS VARCHAR)")
        if of == FLOAT:
            return self.pick(
                lambda: f"({v(INT)}) / {self.pick('1000', '1e6', '2', '1000.0')}", lambda: f"({v(INT)}) * {self.pick('0.5', '1e-3', '0.25')}",
                lambda: f"ROUND(({v(INT)}) / 1000, 2)", lambda: f"SQRT(ABS({v(INT)}))", lambda: f"CAST({v(INT)} AS DOUBLE)", lambda: f"FLOOR(({v(INT)}) / 7)",
                lambda: f"CEIL(({v(INT)}) / 7)", lambda: f"({v(INT)}) + 0.5", lambda: f"LOG10(1 + ABS({self.leaf(INT)}))")
        return self.pick(
            lambda: f"{v(INT)} {self.pick('<', '<=', '>', '>=', '=', '<>')} {v(INT)}",
            lambda: f"{v(TEXT)} {self.pick('<', '=', '<>', '>=')} {v(TEXT)}", lambda: f"({v()} AND {v()})", lambda: f"({v()} OR {v()})",
            lambda: f"NOT ({v()})", lambda: f"({v(INT)}) IS NULL", lambda: f"({v(TEXT)}) IS NOT NULL", lambda: f"{v(TEXT)} LIKE {self.pattern()}",
            lambda: f"{v(TEXT)} NOT ILIKE {self.pattern()}", lambda: f"{v(INT)} BETWEEN {self.constant(INT)} AND {v(INT)}",
            lambda: f"{v(INT)} {self.pick('IN', 'NOT IN')} ({self.constant(INT)}, {self.constant(INT)}, {self.pick('NULL', '3', '101')})",
            lambda: f"{v(TEXT)} IN ('main', 'file', {self.constant(TEXT)})", lambda: f"({v()}) IS {self.pick('TRUE', 'NOT TRUE', 'FALSE')}",
            lambda: f"({v(INT)}) IS {self.pick('', 'NOT ')}DISTINCT FROM ({v(INT)})", lambda: f"{v(INT)} > 1000.5", lambda: f"({v(INT)}) * 0.1 > 12.3",
            lambda: f"STARTS_WITH({v(TEXT)}, {self.constant(TEXT)})")

    def pattern(self):
        return self.pick("'%a%'", "'m%'", "'%n'", "'_a%'", "'%/%.bin'", "'worker'", "'%'", "'%\\_%'", "'A%'")

    def aggregate(self, of=None, depth=2):
        v = lambda kind, d=depth: self.value(kind, d)
        ints = [
            "COUNT(*)", lambda: f"COUNT({v(INT)})", lambda: f"COUNT(DISTINCT {v(self.pick(INT, TEXT))})", lambda: f"SUM({v(INT)})", lambda: f"MIN({v(INT)})",
            lambda: f"MAX({v(INT)})", lambda: f"SUM(CASE WHEN {v(FLAG)} THEN {v(INT)} ELSE 0 END)", lambda: f"COUNT(*) FILTER (WHERE {v(FLAG)})",
            lambda: f"SUM({v(INT)}) FILTER (WHERE {v(FLAG)})", lambda: f"SUM({v(FLAG)})", lambda: f"QUANTILE_DISC({v(INT)}, {self.pick('0.5', '0.9', '0')})",
            lambda: f"ARG_MAX({v(INT, 1)}, ts_ns * 1000 + tid)" if "ts_ns" in self.columns and "tid" in self.columns else "COUNT(*)",
            lambda: f"SUM(DISTINCT {v(INT)})", "SUM(latency_ns)" if "latency_ns" in self.columns else "COUNT(*)",
            "MAX(ts_ns) - MIN(ts_ns)" if "ts_ns" in self.columns else "COUNT(*)"]
        floats = [lambda: f"AVG({v(INT)})", lambda: f"MEDIAN({v(INT)})", lambda: f"QUANTILE_CONT({v(INT)}, {self.pick('0.5', '0.99', '0.25')})"]
        texts = [lambda: f"MIN({v(TEXT)})", lambda: f"MAX({v(TEXT)})"]
        flags = [lambda: f"BOOL_OR({v(FLAG)})", lambda: f"BOOL_AND({v(FLAG)})", lambda: f"MAX({v(FLAG)})"]
        of = of or self.pick(INT, INT, INT, FLOAT, TEXT, FLAG)
        return self.pick(*{INT: ints, FLOAT: floats, TEXT: texts, FLAG: flags}[of])

    def over_groups(self, keys, depth=2):
        """An expression of keys and aggregates."""
        r = self.r
        key = lambda of: r.choice([k for k, kind in keys if kind == of] or [self.aggregate(of)])
        atom = lambda of: key(of) if r.random() < 0.4 else self.aggregate(of)
        if depth == 0 or r.random() < 0.3:
            return atom(self.pick(INT, TEXT, FLAG, FLOAT))
        return self.pick(
            lambda: f"{atom(INT)} - {atom(INT)}", lambda: f"{atom(INT)} * 100.0 / NULLIF({atom(INT)}, 0)", lambda: f"{atom(INT)} + {atom(INT)}",
            lambda: f"CASE WHEN {atom(INT)} > {atom(INT)} THEN {atom(INT)} ELSE {atom(INT)} END", lambda: f"UPPER({atom(TEXT)})",
            lambda: f"COALESCE({atom(INT)}, {atom(INT)})", lambda: f"{atom(INT)} // {self.divisor_of(atom)}", lambda: f"CAST({atom(INT)} AS VARCHAR)",
            lambda: f"ROUND({atom(FLOAT)}, 2)", lambda: f"{atom(INT)} > {atom(INT)}", lambda: f"{atom(TEXT)} || '/' || {atom(TEXT)}",
            lambda: f"CASE {atom(TEXT)} WHEN 'main' THEN 1 ELSE {atom(INT)} END")

    def divisor_of(self, atom):
        return self.pick("10", "1000", f"NULLIF({atom(INT)}, 0)")

    def window(self, keys=None):
        r = self.r
        if keys is None:
            atom = lambda of: self.value(of, 1)
            partition = ", ".join(r.sample([c for c in self.columns if c.split(".")[-1] in COARSE] or list(self.columns), 1))
            tie = ", ".join(f"{name}" for name in self.columns)
        else:
            atom = lambda of: r.choice([k for k, kind in keys if kind == of] + [self.aggregate(of)])
            partition = r.choice([k for k, _ in keys])
            tie = ", ".join(k for k, _ in keys)
        part = r.choice(["", f"PARTITION BY {partition} "])
        key = atom(INT)
        direction = r.choice(["", " DESC", " NULLS FIRST", " DESC NULLS FIRST"])
        total = f"ORDER BY {key}{direction}, {tie}"
        peers = f"ORDER BY {key}{direction}"
        frame = r.choice(["", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
                          " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", " ROWS UNBOUNDED PRECEDING"])
        return self.pick(
            lambda: f"ROW_NUMBER() OVER ({part}{total})", lambda: f"RANK() OVER ({part}{peers})", lambda: f"DENSE_RANK() OVER ({part}{peers})",
            lambda: f"SUM({atom(INT)}) OVER ({part.strip()})", lambda: f"SUM({atom(INT)}) OVER ({part}{peers})", lambda: f"COUNT(*) OVER ({part}{peers})",
            lambda: f"LAG({atom(INT)}) OVER ({part}{total})", lambda: f"LEAD({atom(TEXT)}, 2) OVER ({part}{total})",
            lambda: f"FIRST_VALUE({atom(INT)}) OVER ({part}{total})", lambda: f"LAST_VALUE({atom(INT)}) OVER ({part}{total}{frame})",
            lambda: f"MAX({atom(INT)}) OVER ({part}{total}{frame})", lambda: f"SUM({atom(INT)}) OVER ({part}{total}{frame})",
            lambda: f"AVG({atom(INT)}) OVER ({part})", lambda: f"MIN({atom(TEXT)}) OVER ({part}{peers})", lambda: f"NTILE(3) OVER ({part}{total})",
            lambda: f"PERCENT_RANK() OVER ({part}{peers})", lambda: f"COUNT({atom(INT)}) OVER ({part}{total}{frame})",
            lambda: f"{atom(INT)} * 100.0 / NULLIF(SUM({atom(INT)}) OVER (), 0)",
            lambda: f"LAG({atom(INT)}, 1, -1) OVER ({part}{total})")

    def source(self):
        """FROM; sets the columns that there are."""
        r = self.r
        kind = r.random()
        if kind < 0.62:
            self.columns = dict(FAULTS)
            return "faults"
        if kind < 0.72:
            table = self.pick("threads", "files", "mappings", "host")
            self.columns = dict(TABLES[table])
            return table
        if kind < 0.80:
            self.columns = {f"f.{c}": k for c, k in FAULTS.items()} | {f"t.{c}": k for c, k in THREADS.items()}
            join = self.pick("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "INNER JOIN")
            more = self.pick("", " AND f.latency_ns > 1000", " AND t.comm <> 'main'", " AND f.major", " AND f.cpu < t.tid - 100")
            return f"faults AS f {join} threads AS t ON f.pid = t.pid AND f.tid = t.tid{more}"
        if kind < 0.86:
            self.columns = dict(FAULTS) | {c: k for c, k in HOST.items()}
            return "faults CROSS JOIN host"
        if kind < 0.92:
            self.columns = {"m.ts_ns": INT, "m.file": TEXT, "m.start_address": INT, "t.tid": INT, "t.comm": TEXT, "t.end_ns": INT}
            return self.pick("mappings AS m, threads AS t WHERE m.pid = t.pid AND m.ts_ns <= COALESCE(t.begin_ns, m.ts_ns)",
                             "mappings AS m LEFT JOIN threads AS t ON m.ts_ns < t.begin_ns",
                             "mappings AS m JOIN threads AS t USING (pid)")
        if kind < 0.96:
            self.columns = {"comm": TEXT, "n": INT, "wait": INT}
            return self.pick(
                "(SELECT comm, COUNT(*) AS n, SUM(latency_ns) AS wait FROM faults GROUP BY comm) AS g",
                "(SELECT *, latency_ns AS wait, tid AS n FROM faults WHERE major) AS g")
        self.columns = dict(FAULTS)
        return "(SELECT * FROM faults WHERE %s) AS g" % self.value(FLAG, 2)

    def where(self, source):
        if self.r.random() < 0.45:
            return ""
        condition = self.value(FLAG, 3)
        if "latency_ns" in self.columns and self.r.random() < 0.3:
            condition = self.pick(
                f"latency_ns > {self.constant(INT)} AND {condition}", "major AND latency_ns <= 3000", "tid = 101 AND NOT failed",
                "latency_ns > (SELECT AVG(latency_ns) FROM faults)", "tid IN (SELECT tid FROM threads WHERE comm = 'worker')",
                "comm NOT IN (SELECT file FROM files)", "EXISTS (SELECT 1 FROM files)", "3000 >= latency_ns AND latency_ns > 500",
                "ts_ns > (SELECT start_ns + 3000000 FROM host)")
        return (" AND " if " WHERE " in source and not source.startswith("(") else " WHERE ") + condition

    def order(self, count, names=()):
        """ORDER BY that ends with all columns of the answer."""
        r = self.r
        if r.random() < 0.4:
            return ""
        places = list(range(1, count + 1))
        r.shuffle(places)
        keys = [f"{place}{self.pick('', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST', ' ASC')}" for place in places]
        text = " ORDER BY " + ", ".join(keys)
        if r.random() < 0.7:
            text += f" LIMIT {self.pick(0, 1, 3, 7, 20)}"
            if r.random() < 0.3:
                text += f" OFFSET {self.pick(1, 2, 5)}"
        return text

    def key(self):
        r = self.r
        if r.random() < 0.55:
            names = [c for c in self.columns if c.split(".")[-1] in COARSE]
            if names:
                name = r.choice(names)
                return name, self.columns[name]
        of = self.pick(INT, TEXT, FLAG)
        expression = self.pick(self.value(of, 2), self.value(of, 1))
        if of == INT and r.random() < 0.5:
            expression = f"({self.leaf(INT)}) // {self.pick('1000', '100000', '10')} * {self.pick('1000', '7')}"
        return expression, of

    def grouped(self):
        r = self.r
        source = self.source()
        where = self.where(source)
        keys = []
        for _ in range(r.choice([0, 1, 1, 1, 2, 2, 3])):
            key, of = self.key()
            if any(c in key for c in self.columns):
                keys.append((key, of))
        items, by = [], []
        for index, (key, _) in enumerate(keys):
            style = r.random()
            if style < 0.3:
                items.append(f"{key} AS key{index}")
                by.append(self.pick(f"key{index}", key))
            elif style < 0.5:
                items.append(key)
                by.append(str(len(items)))
            elif style < 0.9:
                items.append(key)
                by.append(key)
            else:
                by.append(key)
        for index in range(r.choice([1, 1, 2, 2, 3])):
            style = r.random()
            if style < 0.5 or not keys:
                items.append(self.over_groups(keys) if keys else self.aggregate())
            elif style < 0.8:
                items.append(self.over_groups(keys))
            else:
                items.append(self.window(keys))
        text = f"SELECT {self.pick('', '', '', 'DISTINCT ')}{', '.join(items)} FROM {source}{where}"
        if by:
            text += f" GROUP BY {', '.join(by)}"
        if r.random() < 0.25:
            text += f" HAVING {self.aggregate(INT)} {self.pick('>', '<', '<>')} {self.pick('1', '3', '1000', self.aggregate(INT))}"
        return text + self.order(len(items))

    def plain(self):
        r = self.r
        source = self.source()
        where = self.where(source)
        items = []
        for _ in range(r.choice([1, 2, 3, 4])):
            style = r.random()
            if style < 0.2:
                items.append(self.window())
            elif style < 0.4:
                items.append(self.leaf(self.pick(INT, TEXT, FLAG)))
            else:
                items.append(self.value(self.pick(INT, INT, TEXT, FLAG, FLOAT), 3))
        text = f"SELECT {self.pick('', '', '', 'DISTINCT ')}{', '.join(items)} FROM {source}{where}"
        if r.random() < 0.06 and "DISTINCT" not in text:
            text += f" QUALIFY {self.window().replace('LEAD', 'LAG')} IS NOT NULL"
        return text + self.order(len(items))

    def in_steps(self):
        r = self.r
        self.columns = dict(FAULTS)
        key, of = self.key()
        inner = f"SELECT {key} AS k, {self.aggregate(INT)} AS n, {self.aggregate(INT)} AS m FROM faults{self.where('faults')} GROUP BY {key}"
        self.columns = {"k": of, "n": INT, "m": INT}
        style = r.random()
        if style < 0.4:
            return f"WITH g AS ({inner}) SELECT k, n, {self.value(INT, 2)} FROM g{self.where('g')}{self.order(3)}"
        if style < 0.6:
            return (f"WITH g AS ({inner}), h AS (SELECT k, n + 1 AS n1 FROM g) SELECT g.k, g.m, h.n1 FROM g "
                    f"{self.pick('JOIN', 'LEFT JOIN')} h ON g.k = h.k{self.order(3)}")
        if style < 0.8:
            return f"WITH g AS ({inner}) SELECT {self.aggregate(INT)}, {self.aggregate(FLOAT)}, COUNT(*) FROM g"
        return f"SELECT k, n FROM ({inner}) AS g WHERE n > (SELECT MIN(n) FROM ({inner}) AS h){self.order(2)}"

    def sets(self):
        self.columns = dict(FAULTS)
        of = [self.pick(INT, TEXT), self.pick(INT, TEXT, FLAG)]
        one = ", ".join(self.value(kind, 1) for kind in of)
        two = ", ".join(self.value(kind, 1) for kind in of)
        first, second = self.where("faults"), self.where("faults")
        operation = self.pick("UNION", "UNION ALL", "EXCEPT", "INTERSECT")
        return f"SELECT {one} FROM faults{first} {operation} SELECT {two} FROM faults{second}{self.order(2)}"

    def question(self):
        kind = self.r.random()
        if kind < 0.45:
            return self.grouped()
        if kind < 0.80:
            return self.plain()
        if kind < 0.93:
            return self.in_steps()
        return self.sets()


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    writer = Writer(seed)
    print(json.dumps([writer.question() for _ in range(count)]))


main()
