# %%
import io
from tqdm import tqdm

sink = io.StringIO()
for _ in tqdm(range(5), file=sink, bar_format="{n}/{total}"):
    pass
sink.getvalue().split("\r")[-1].strip()
# %%
from tqdm.auto import tqdm as auto
auto.__mro__[0].__module__, auto.__mro__[1].__module__
# %%
total = 0
for i in auto(range(3), bar_format="{l_bar}{bar}"):
    total += i
total
# %%
from tqdm.notebook import tqdm as notebook_bar
bar = notebook_bar(total=2, bar_format="{l_bar}{bar}")
bar.update(2)
bar.close()
# %%
from tqdm import trange
list(trange(3, disable=True))
