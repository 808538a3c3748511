# %% [markdown]
# # Frames: grouping, joining, reshaping
# %%
import numpy as np
import pandas as pd

rng = np.random.default_rng(7)
sales = pd.DataFrame(
    {
        "day": pd.date_range("2024-01-01", periods=120),
        "region": rng.choice(["north", "south", "west"], 120),
        "units": rng.integers(1, 50, 120),
        "price": rng.normal(20, 3, 120).round(2),
    }
)
sales.head()
# %%
sales["revenue"] = sales.units * sales.price
sales.groupby("region").agg(units=("units", "sum"), revenue=("revenue", "mean")).round(2)
# %%
sales.pivot_table(index=sales.day.dt.month, columns="region", values="revenue", aggfunc="sum").round(1)
# %%
sales.describe()
# %%
sales.set_index("day").revenue.resample("ME").sum()
# %%
capitals = pd.DataFrame({"region": ["north", "south", "east"], "city": ["N", "S", "E"]})
sales.merge(capitals, on="region", how="outer", indicator=True)._merge.value_counts()
# %%
sales.info()
# %%
sales.query("units > 45").style.format({"price": "{:.1f}"}).to_html(uuid="fixed")[:200] if hasattr(pd, "_no") else len(sales)
# %%
with pd.option_context("display.max_rows", 6, "display.max_columns", 3):
    display(sales)
# %%
print(sales.corr(numeric_only=True).round(3).to_string())
