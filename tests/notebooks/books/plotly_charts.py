# %%
import plotly.graph_objects as go
import plotly.io as pio

pio.renderers.default
# %%
fig = go.Figure(go.Bar(x=["a", "b"], y=[2, 1]), layout={"title": {"text": "bars"}, "template": "none"})
fig.to_dict()["data"]
# %%
pio.renderers.default = "plotly_mimetype"
fig
# %%
fig.show()
# %%
pio.show(fig, renderer="json")
# %%
fig.update_traces(marker_color="red").to_json()[:80]
