# %%
import sqlite3

import pandas as pd

db = sqlite3.connect(":memory:")
db.executescript(
    """
    create table city (id integer primary key, name text, people integer);
    insert into city (name, people) values ('Alpha', 10), ('Beta', 200), ('Gamma', 3000);
    """
)
db.execute("select count(*), sum(people) from city").fetchone()
# %%
pd.read_sql("select * from city where people > 50 order by people desc", db)
# %%
db.create_function("twice", 1, lambda n: 2 * n)
db.execute("select name, twice(people) from city").fetchall()
# %%
with db:
    db.execute("insert into city (name, people) values (?, ?)", ("Delta", 4))
pd.read_sql("select avg(people) as mean from city", db)
# %%
pd.DataFrame({"a": [1, 2]}).to_sql("other", db, index=False)
db.execute("select * from other").fetchall()
# %%
db.row_factory = sqlite3.Row
dict(db.execute("select * from city where id = 1").fetchone())
# %%
db.execute("select * from nowhere")
