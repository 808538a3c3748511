# %%
import altair as alt
import pandas as pd

data = pd.DataFrame({"x": [1, 2, 3], "y": [3, 1, 2]})
alt.Chart(data).mark_line().encode(x="x", y="y")
# %%
alt.Chart(data).mark_bar().encode(x="x:O", y="y").properties(width=100).to_dict()["mark"]
# %%
alt.renderers.active
# %%
alt.renderers.enable("html", fullhtml=False, output_div="fixed")
alt.Chart(data).mark_point().encode(x="x", y="y")
# %%
alt.Chart(data).mark_nothing()
