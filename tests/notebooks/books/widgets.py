# %%
import ipywidgets as widgets
from IPython.display import display

slider = widgets.IntSlider(value=3, min=0, max=10, description="n")
slider
# %%
seen = []
slider.observe(lambda change: seen.append((change.old, change.new)), "value")
slider.value = 8
seen
# %%
output = widgets.Output()
with output:
    print("inside the widget")
    display({"text/plain": "shown"}, raw=True)
output
# %%
len(output.outputs)
# %%
@widgets.interact(x=(0, 4), mode=["a", "b"])
def show(x=2, mode="a"):
    print(x, mode)
# %%
box = widgets.VBox([widgets.Label("one"), widgets.Button(description="two"), widgets.Checkbox(True)])
display(box)
# %%
widgets.HTML("<b>bold</b>")
# %%
tab = widgets.Tab([widgets.Text("a"), widgets.Textarea("b")], titles=("A", "B"))
tab
# %%
a, b = widgets.FloatText(1.0), widgets.FloatText(2.0)
widgets.link((a, "value"), (b, "value"))
a.value = 5.0
b.value
# %%
slider.close()
slider.comm is None
