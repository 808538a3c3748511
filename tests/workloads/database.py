# SPDX-License-Identifier: Apache-2.0
"""SQLite: files, write-ahead log, threads, functions, backup."""

import sqlite3
import threading

with sqlite3.connect("data.sqlite") as db:
    assert db.execute("pragma journal_mode=wal").fetchone()[0] == "wal"
    db.execute("create table t (n integer primary key, s text)")
    db.executemany("insert into t values (?, ?)", [(i, str(i) * 3) for i in range(10_000)])
    db.create_function("twice", 1, lambda n: 2 * n)
    assert db.execute("select sum(twice(n)) from t").fetchone() == (99_990_000,)


def insert(k):
    with sqlite3.connect("data.sqlite", timeout=30) as own:
        for i in range(50):
            own.execute("insert into t values (?, ?)", (100_000 + 1000 * k + i, "thread"))
    own.close()


threads = [threading.Thread(target=insert, args=(k,)) for k in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert db.execute("select count(*) from t where s = 'thread'").fetchone() == (200,)
db.execute("vacuum")
copy = sqlite3.connect(":memory:")
db.backup(copy)
assert copy.execute("select count(*) from t").fetchone() == (10_200,)
copy.close()
db.close()
