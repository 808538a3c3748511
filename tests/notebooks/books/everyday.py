# %%
%matplotlib inline
import sys
import time
print("to stdout")
print("to stderr", file=sys.stderr)
# %%
!echo from the shell
files = !printf 'a\nb\n'
files
# %%
%%bash
echo "bash $((1 + 1))"
# %%
%%writefile module_made_here.py
def hello(name):
    return f"hello {name}"
# %%
from module_made_here import hello
hello("reader")
# %%
from IPython.display import HTML, JSON, Latex, Markdown, clear_output, display
display(HTML("<b>html</b>"), Markdown("*md*"), Latex("$x$"))
JSON({"a": [1, {"b": None}]})
# %%
handle = display("first", display_id="here")
# %%
handle.update("second")
# %%
for i in range(3):
    clear_output(wait=True)
    print("step", i)
# %%
class Money:
    def __init__(self, amount):
        self.amount = amount

    def _repr_html_(self):
        return f"<code>{self.amount} €</code>"

    def __repr__(self):
        return f"Money({self.amount})"

[Money(1)], Money(2)
# %%
Money(3)
# %%
def outer(n):
    return inner(n - 1)

def inner(n):
    return 1 / n

outer(1)
# %%
raise ExceptionGroup("many", [ValueError("one"), TypeError("two")])
# %%
%%time
sum(range(1000))
# %%
%timeit -n 5 -r 2 sum(range(10))
# %%
_, __, Out[5]
# %%
%%html
<i>html cell</i>
# %%
get_ipython().run_cell_magic("capture", "caught", "print('caught'); 5")
caught.stdout
# %%
for i in range(2000):
    print(i, end=" ")
