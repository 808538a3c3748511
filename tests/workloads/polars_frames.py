# SPDX-License-Identifier: Apache-2.0
"""polars: eager and lazy frames, files, its own pool of threads."""
# needs: polars

import polars as pl

frame = pl.DataFrame({"n": range(100_000), "s": [str(i % 7) for i in range(100_000)]})
frame.write_parquet("frame.parquet")
frame.write_csv("frame.csv")
frame.write_ipc("frame.arrow")
lazy = pl.scan_parquet("frame.parquet").filter(pl.col("n") % 2 == 0).group_by("s").agg(pl.col("n").sum()).sort("s")
assert lazy.collect().shape == (7, 2)
assert lazy.collect(engine="streaming").shape == (7, 2)
assert pl.read_csv("frame.csv", schema_overrides={"s": pl.String}).equals(frame)
assert pl.read_ipc("frame.arrow").equals(frame)
assert frame.join(frame.with_columns(twice=pl.col("n") * 2), on="n").shape[0] == 100_000
assert "<table" in frame._repr_html_()
