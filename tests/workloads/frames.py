# SPDX-License-Identifier: Apache-2.0
"""pandas: reading, writing, grouping, joining, pivoting."""
# needs: pandas

import io

import numpy as np
import pandas as pd

rng = np.random.default_rng(7)
frame = pd.DataFrame(
    {
        "day": pd.date_range("2026-01-01", periods=20_000, freq="min"),
        "place": rng.choice(["north", "south", "east"], 20_000),
        "value": rng.standard_normal(20_000),
    }
)
frame.to_csv("frame.csv", index=False)
back = pd.read_csv("frame.csv", parse_dates=["day"])
assert np.allclose(back["value"], frame["value"])
frame.to_pickle("frame.pickle.gz")
assert pd.read_pickle("frame.pickle.gz").equals(frame)
assert frame.describe().shape == (8, 2)
means = frame.groupby("place")["value"].agg(["mean", "std", "count"])
assert means["count"].sum() == 20_000
assert len(frame.merge(means, left_on="place", right_index=True)) == 20_000
assert frame.pivot_table(index=frame["day"].dt.hour, columns="place", values="value").shape == (24, 3)
assert frame.set_index("day")["value"].resample("1h").mean().notna().all()
assert pd.read_json(io.StringIO(frame.head(10).to_json(date_format="iso"))).shape == (10, 3)
assert "<table" in frame.head()._repr_html_()
