# SPDX-License-Identifier: Apache-2.0
"""pyarrow: files, memory maps, threads, expressions."""
# needs: pyarrow

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.feather
import pyarrow.parquet as pq

table = pa.table({"n": list(range(100_000)), "s": [str(i % 7) for i in range(100_000)]})
for compression in ("snappy", "zstd", "gzip"):
    pq.write_table(table, f"{compression}.parquet", compression=compression)
    assert pq.read_table(f"{compression}.parquet", memory_map=True).equals(table)
pa.feather.write_feather(table, "table.feather")
assert pa.feather.read_table("table.feather").num_rows == 100_000
with pa.OSFile("stream.arrow", "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
    writer.write_table(table)
with pa.memory_map("stream.arrow") as source:
    assert pa.ipc.open_file(source).read_all().equals(table)
pa.csv.write_csv(table, "table.csv")
assert pa.csv.read_csv("table.csv", read_options=pa.csv.ReadOptions(use_threads=True)).num_rows == 100_000
ds.write_dataset(table, "parts", format="parquet", partitioning=["s"])
assert ds.dataset("parts", partitioning=["s"]).to_table(filter=pc.field("n") < 10).num_rows == 10
assert table.group_by("s").aggregate([("n", "sum")]).num_rows == 7
