# SPDX-License-Identifier: Apache-2.0
"""Cells for the comparison of the ways to run a cell: made by rule from a seed, taken from docstrings, and written by hand.

A cell is (code, options); the options are those of front.Front.run().
"""

import doctest
import importlib
import random
from collections.abc import Iterator

Cell = tuple[str, dict]

DOCUMENTED = (
    "bisect calendar collections contextlib copy dataclasses datetime decimal difflib enum fractions functools heapq "
    "html inspect ipaddress itertools json keyword math numbers operator pprint random re reprlib shlex statistics "
    "string struct textwrap timeit token tokenize types typing unicodedata urllib.parse uuid zlib bdb pickle ast "
    "_pydecimal _collections_abc collections.abc http.cookies xml.etree.ElementTree email.utils mailbox turtle"
).split()
# stack_data chooses the lines of a one-line function by the order of a set of nodes: functions that raise have lines.
UNSTABLE = ("time.", "timeit", "id(", "uuid", "getrandom", "urandom", "open(", "now()", "today()", "Turtle", "input(",
            "socket", "tempfile", "sys.exit", "fork", "while True", "getsizeof", "hash(")  # fmt: skip


def documented() -> Iterator[Cell]:
    """The examples in the docstrings of standard modules, each block of one docstring after the other."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in DOCUMENTED:
        try:
            module = importlib.import_module(name)
            tests = finder.find(module, name)
        except Exception:
            continue
        yield f"from {name} import *", {}
        for test in tests:
            for example in test.examples:
                if not any(word in example.source for word in UNSTABLE) and len(example.source) < 2000:
                    yield example.source, {}


NAMES = ("a", "b", "c", "xs", "d", "s", "n", "total", "result")
VALUES = (
    "0", "1", "-7", "3.5", "1e300", "float('nan')", "float('inf')", "2 ** 70", "True", "None", "...", "'text'", "''",
    "'quote\\'s'", "'tab\\there'", "'two\\nlines'", "b'bytes'", "'x' * 100", "'\\u00e9\\u4e2d\\U0001f600'", "1j", "(1,)",
    "()", "[]", "{}", "set()", "[1, 2, 3]", "list(range(50))", "list(range(2000))", "{'a': 1, 'b': [2]}", "{3, 1, 2}",
    "frozenset({1})", "{i: i * i for i in range(30)}", "[[1, 2], [3, [4]]]", "('a', 1.0, None)", "range(5)", "slice(1)",
    "[1.0, 2.5, float('nan')]", "['long string ' * 3] * 4", "{'k' * 30: 'v' * 40}", "NotImplemented", "int", "len",
    "bytearray(b'x')", "memoryview(b'x')[0]", "type(None)", "object", "ValueError('x')", "[True, None, ...]",
    "{'a': {'b': {'c': 1}}}", "[{}]", "([],)", "{(1, 2): 'x'}", "10 ** 40", "-0.0", "1_000", "0x10", "1 if 1 else 2",
    "[None] * 41", "{i for i in 'abc'} & {'a'}", "dict.fromkeys('abcdefghijklmnopqrstuvwxyz')", "'%d' % 3", "f'{1:>5}'",
)  # fmt: skip
ERRORS = (
    "1 / 0", "nosuch", "[][1]", "{}['k']", "int('x')", "'a' + 1", "None.x", "(lambda: 1)(2)", "raise ValueError('v')",
    "assert 1 == 2, 'no'", "raise KeyError('k') from ValueError('c')", "import nosuchmodule", "'\\ud800'.encode()",
    "raise Exception", "raise Exception('multi\\nline')", "next(iter(()))", "open('/nonexistent/file')", "a b", "def f(:",
    "x = = 1", "(", "'unclosed", "return 1", "yield 1", "break", "continue", "nonlocal q", "  indented", "if 1:\nx",
    "for i in 3: pass", "del nosuch", "f'{nosuch}'", "class C(int, str): pass", "1 = x", "raise", "raise 5",
    "raise SystemExit", "raise SystemExit(2)", "exec('1/0')", "eval('(')", "import sys; sys.exit('bye')",
    "sum(['a'])", "max([])", "range('a')", "print(1, nosuch=2)", "lambda: (yield)", "async def f():\n    await 1\nawait f()",
    "raise StopIteration(3)", "raise type('E', (Exception,), {})('dyn')", "globals()['zz']", "exec('a b')",
    "compile('(', 'file', 'exec')", "raise KeyboardInterrupt", "raise GeneratorExit", "raise RecursionError('r')",
    "import json; json.loads('{')", "def g():\n    yield 1\n    1/0\nlist(g())",
    "try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise RuntimeError('after') from e",
    "try:\n    1/0\nexcept ZeroDivisionError:\n    nosuch", "try:\n    1/0\nfinally:\n    print('finally')",
    "def f(n):\n    if n:\n        return f(n - 1)\n    raise ValueError(n)\nf(5)", "raise ExceptionGroup('g', [ValueError(1)])",
)  # fmt: skip
SPECIAL = (
    "_", "__", "___", "_ is Out", "_1", "Out[1]", "In[1]", "_i", "_ii", "_iii", "_i1", "len(In) > 3", "type(Out)",
    "len(Out) >= 0", "In[-1]", "_ih[-2:]", "__name__", "__doc__", "__file__", "get_ipython().__class__.__name__",
    "exit.__class__.__name__", "print.__name__", "sorted(k for k in globals() if len(k) == 1)", "'_' in globals()",
    "get_ipython().execution_count - len(In)", "display", "type(display)", "__builtins__.__name__", "open.__module__",
    "import sys; sys.displayhook.__class__.__name__", "import builtins; hasattr(builtins, 'get_ipython')",
    "sys.modules['__main__'].__dict__ is globals()", "(lambda: 0).__module__", "__import__('inspect').currentframe().f_code.co_name",
    "get_ipython().last_execution_succeeded", "get_ipython().last_execution_result.success",
    "type(get_ipython().last_execution_result.info).__name__", "get_ipython().last_execution_result.execution_count is None",
    "get_ipython().displayhook.prompt_count > 0", "_ = 5", "del _", "_", "a = _", "__ = 1", "In.append", "Out.get(99999)",
)  # fmt: skip
MAGIC = (
    "%who", "%who_ls", "%whos int", "%pprint", "%pprint", "%precision 3", "3.14159", "[3.14159, 2.0]", "%precision", "3.14159",
    "%automagic", "%automagic", "who", "%lsmagic?", "!echo shell", "x = !echo captured", "x", "%%python_nosuch\n1",
    "%nosuchmagic", "%%nosuchcell\nbody", "len?", "str.split??", "?len", "*int*?", "%alias e echo", "e hi", "%unalias e",
    "%env NOSUCHVARIABLE", "%set_env ABC=1", "%env ABC", "%pwd;", "%psource nosuch", "%matplotlib nosuch", "%xmode Plain",
    "1/0", "%xmode Context", "1/0", "%xmode Verbose", "zz = 3\ndef f(q): return q / 0\nf(zz)", "%xmode Minimal", "1/0",
    "%xmode Context", "%reset_selective -f ^zz$", "%%capture out\nprint('hidden')\n5", "out.stdout", "%%writefile?",
    "%config InlineBackend", "%load_ext nosuchext", "%rerun -l 0", "%recall 1", "%macro m 1", "m", "%time 1 if 0 else 2;",
    "%%bash\necho from bash", "%%script false\n", "%store", "%colors nocolor", "1/0", "%colors linux", "%tb", "%autocall 1",
    "len 'abc'", "%autocall 0", ">>> 1 + 1", "In [5]: 1 + 2", "... : 3", "/len [1]", ",len a b", "%autoawait",
    "get_ipython().run_cell('1 + 1')", "get_ipython().run_line_magic('who_ls', '')", "get_ipython().run_cell('1/0', store_history=True)",
    "%%html\n<b>x</b>", "%%latex\nx", "%%javascript\n1", "%%markdown\n# x", "get_ipython().set_next_input('abc')", "get_ipython().getoutput('echo a')",
)  # fmt: skip
# One line for a magic, in every shape that IPython's tokenizer may see in another way.
MAGIC_LINES = (
    "%time 1", "%time 1;", "%time x = 5", "x", "%time  2 ", "%time 'a?'", "%time 'a' # c", "%time \"unclosed", "%time '''", "%time (1", "%time 0777", "%time 1/0",
    "%time nosuch", "%time print('%d' % 3)", "%time 5 % 3", "%time a = %pwd", "%time a = !echo z", "%time 1 if 1 else 2; 3", "%time\t4", "%time 'tab\there'", "%time\n",
    "%time 1\n", "%time 1\n\n", "%time 1\n2", "%time 1\\", "%time 1\\\n+2", "%time '\u2028/x'", "%time '\x1c'", "%time '\u00e9\u4e2d'", "%time x?", "%time??", "%_nosuch", "%9", "%", "%%", "%%%time 1",
    "% time 1", "%Time 1", "%time.x 1", "%time* 1", "%t\u00efme 1", "%time --no-raise-error 1/0", "%%time\n1", "%%time\nx = 1\nx + 1", "%%time 1\n", "%timeit -n1 -r1 -q 1", "%%timeit -n1 -r1 -q\n1",
    "%who_ls int", "%pwd", "p = %pwd", "type(p)", "x = %time 5", "%time await nosuch()", "%time async_ = 1", "%prun -q 1", "%debug_nosuch", "%paste_nosuch", "%cpaste_nosuch 1", "%set_env A_PASTE 1",
    "%alias_magic tt time", "%tt 3", "get_ipython = 5", "%time 1", "get_ipython", "del get_ipython", "%time 1", "%xmode Plain", "%time 1/0", "%xmode Context", "%sx echo a", "%env A_PASTE", "%precision 2", "%time 2.345", "%precision",
    "%time _", "%time _i", "%time In[-1]", "%time Out and 1", "%time %time 1", "%time !echo deep", "%time ?", "%time len?", "%lsmagic;", "%psearch nos*", "%autocall 1", "%time 1", "%autocall 0",
    "def cleanup(lines): return [line.replace('ZZ', '7') for line in lines]\nget_ipython().input_transformers_cleanup.append(cleanup)", "%time ZZ", "ZZ", "get_ipython().input_transformers_cleanup.remove(cleanup)", "%time 1", "!echo {p == p} $x", "!!echo a",
    "a\u2028 = 1", "'a\u2028/b'", "'a\x1c%b'", "x = 1 # \x85 2", "'a\x0b'", "%time 'a\x0b'", ";len a", "/len 'abc'", "%%capture c\n%time 1", "c.stdout[:9]", "if 1:\n    %time 3", "for i in range(2):\n    !echo $i", "x = [\n%pwd\n]", "'''\n%pwd\n'''",
)  # fmt: skip
DISPLAY = (
    "display(1)", "display('a', [1], {'b': 2})", "from IPython.display import HTML, Markdown, Image, JSON, Latex, SVG, Javascript",
    "HTML('<b>bold</b>')", "Markdown('# m')", "JSON({'a': [1]})", "Latex('x^2')", "display(HTML('<i>'), metadata={'k': 1})",
    "h = display('first', display_id='fixed')", "h.update('second')", "from IPython.display import clear_output; clear_output()",
    "display({'text/plain': 'raw', 'text/html': '<u>'}, raw=True)", "class R:\n    def _repr_html_(self): return '<r>'\nR() is None",
    "r = R(); r.__class__.__repr__ = lambda s: 'R()'; r", "[R(), R()]", "class P:\n    def _repr_pretty_(self, p, cycle): p.text('pretty')\nP()",
    "class M:\n    def _repr_mimebundle_(self, include, exclude): return {'x/y': {'z': 1}}\n    def __repr__(self): return 'M'\nM()",
    "class F:\n    def _repr_html_(self):\n        raise ValueError('bad')\n    def __repr__(self): return 'F'\nF()", "display(F())",
    "class I:\n    def _ipython_display_(self): print('mine')\nI()", "class W:\n    def __repr__(self):\n        raise TypeError('r')\nW()",
    "class B:\n    def _repr_png_(self): return b'\\x89PNG'\n    def __repr__(self): return 'B'\nB()", "class S(str): pass\nS('sub')",
    "class L(list): pass\nL([1])", "class D(dict):\n    def __repr__(self): return 'D!'\nD(a=1)", "class N(int): pass\nN(5)",
    "from collections import *; OrderedDict(a=1), Counter('aab'), deque([1]), defaultdict(int, a=1)", "namedtuple('Q', 'x y')(1, 2)",
    "import datetime; datetime.date(2020, 1, 2)", "import re; re.compile('a+')", "import enum\nclass C(enum.Enum): A = 1\nC.A",
    "ip = get_ipython(); f = ip.display_formatter.formatters['text/html']; f.for_type(int, lambda v: f'<i>{v}</i>')", "5", "True",
    "f.pop(int)", "5", "ip.display_formatter.formatters['text/plain'].for_type(float, lambda v, p, c: p.text('float!'))", "1.5", "[1.5]",
    "_ = ip.display_formatter.formatters['text/plain'].for_type(float, lambda v, p, c: p.text(repr(v)))", "1.5",
    "from IPython.core.display_functions import publish_display_data; publish_display_data({'text/plain': 'p'})", "import sys; sys.displayhook(7)",
    "_ = f.for_type_by_name('builtins', 'int', lambda v: f'<u>{v}</u>')", "5", "True", "'s'", "f.pop(int)", "5",
    "_ = f.for_type(object, lambda v: '<o>'); 1", "None", "'s'", "f.pop(object)", "'s'", "f.singleton_printers[id(True)] = lambda v: '<t>'", "True", "f.singleton_printers.clear()", "True",
    "t = ip.display_formatter.formatters['text/plain']; s = t.singleton_printers.pop(id(True))", "[True]", "t.singleton_printers[id(True)] = lambda v, p, c: p.text('YES')", "True", "(True,)", "t.singleton_printers[id(True)] = s", "True",
    "t.max_seq_length = 3", "[1, 2, 3, 4, 5]", "t.max_seq_length = 1000", "t.max_width = 10", "[1000, 2000, 3000]", "t.max_width = 79", "[1000, 2000, 3000]",
    "ip.display_formatter.active_types = ['text/plain']", "5", "ip.display_formatter.active_types = ip.display_formatter.format_types", "5",
    "ip.display_formatter.format = lambda o, **k: ({'text/plain': 'patched'}, {})", "5", "del ip.display_formatter.format", "5",
    "from IPython.core import formatters as fs\nclass H(fs.HTMLFormatter):\n    def __call__(self, o): return '<h>'\nip.display_formatter.formatters['text/html'] = H()",
    "5", "ip.display_formatter.formatters['text/html'] = f", "5", "ip.displayhook.compute_format_data = lambda r: ({'text/plain': 'mine'}, {})", "5", "del ip.displayhook.compute_format_data", "5",
    "from IPython.core.displayhook import DisplayHook as DH; o = DH.__call__\ndef c(self, r=None):\n    print('seen', r)\n    return o(self, r)\nDH.__call__ = c", "5", "DH.__call__ = o", "5",
    "before = type(ip.displayhook).update_user_ns\ntype(ip.displayhook).update_user_ns = lambda s, r: (print('ns', r), before(s, r))[1]", "5", "type(ip.displayhook).update_user_ns = before", "5",
)  # fmt: skip
WARN = (
    "import warnings; warnings.warn('once')", "warnings.warn('dep', DeprecationWarning)", "'\\d'", "1 is 1", "x = 1\nx is 'a'",
    "assert (1, 'always')", "def f():\n    warnings.warn('in f', stacklevel=2)\nf()", "f()", "'\\.' + str(1)", "1 ()", "[] [0, 1]",
)  # fmt: skip
SHAPE = (
    "# only a comment", "\n\n1", "  ", "\t", "1;", "1; 2", "1;;", "a = 1; a", "a = 1; a;", "1 # c", "1; # c", "'#;'", "pass",
    "'doc'", "'doc'\n1", "'one'\n'two'\n3", "__doc__", "x: int = 3", "x: int", "x: int\nx", "1\n2\n3", "print(1)\nprint(2)\n3",
    "if True:\n    4", "for i in range(2):\n    i", "def f():\n    'd'\nf.__doc__", "1\n\n\n", "(1,\n 2,\n 3)", "a = \\\n  5\na",
    "'''\ntriple\n    \n'''", "\"\"\"\n>>> x\n\"\"\"", "1\r\n2", "\f1", "x = 1\n    \ny = 2\ny", "if 1:\n    x = 2\n\n    y = 3\ny",
    "# -*- coding: latin-1 -*-\n'\u00e9'", "\u00fcber = 3\n\u00fcber", "class A:\n    x = 1\n    class B:\n        y = 2\nA.B.y",
    "@property\ndef p(self): pass\np.__class__.__name__", "lambda x: x", "(yield)", "*a, b = range(3)\na", "print('no newline', end='')",
    "import sys; sys.stderr.write('err'); None", "sys.stdout.write('out'); None", "print('out'); print('err', file=sys.stderr); print('out')",
    "import this_does_not_exist_either as t", "from __future__ import annotations", "def g(x: undefined): return 1\ng(1)",
    "import asyncio", "await asyncio.sleep(0)", "await asyncio.sleep(0)\n'after'", "async def co(): return 4\nawait co()",
    "[await co() for _ in range(2)]", "co().close()", "t = asyncio.create_task(co())", "await t",
    "1/0 if await co() else 2", "asyncio.get_running_loop().is_running()", "with open('/dev/null') as fh: pass\nfh.closed", "a, b = 1, 2; b, a",
    "global gg\ngg = 1\ngg", "match 3:\n    case int(v):\n        print(v)", "x = 5 if False else 6\nx", "not None", "1 < 2 < 3", "x = y = []; x is y",
    "for i in []: pass\nelse: 'else'", "while False: pass", "try:\n    pass\nexcept* ValueError:\n    pass", "del x", "exec('zz = 9')\nzz", "...",
    "print(*range(5), sep=',')", "help", "type(exit)", "1if 1else 2", "0xfor 1", "print (1)", "_a = 1\n_a", "__private = 2\n__private",
)  # fmt: skip
EVENTS = (
    "ip = get_ipython(); log = []\ndef pre_e(): log.append('pre_e')\ndef post_e(): log.append('post_e')\n"
    "def pre_r(info): log.append(('pre_r', info.raw_cell[:20], info.store_history, info.silent, info.cell_id))\n"
    "def post_r(res): log.append(('post_r', res.execution_count, res.success, res.result if type(res.result) is int else None))\n"
    "for name, f in zip(('pre_execute', 'post_execute', 'pre_run_cell', 'post_run_cell'), (pre_e, post_e, pre_r, post_r)): ip.events.register(name, f)",
    "1", "2;", "3 / 0", "log[-9:]", "x = 3", "(", "await __import__('asyncio').sleep(0)", "log[-12:]", "%pwd;", "log[-6:]",
    "def bad():\n    raise ValueError('in event')\nip.events.register('post_execute', bad)", "1", "ip.events.unregister('post_execute', bad)",
    "ip.input_transformers_post.append(lambda lines: [l.replace('SWAP', '42') for l in lines])", "SWAP", "ip.input_transformers_post.clear()", "SWAP",
    "import ast\nclass T(ast.NodeTransformer):\n    def visit_Constant(self, n):\n        return ast.Constant(n.value + 1) if type(n.value) is int else n\nip.ast_transformers.append(T())",
    "1 + 1", "ip.ast_transformers.clear()", "1 + 1", "ip.ast_node_interactivity = 'all'", "1\n2", "ip.ast_node_interactivity = 'last_expr_or_assign'", "q = 5",
    "ip.ast_node_interactivity = 'last_expr'", "q = 6", "def h(shell, et, ev, tb, tb_offset=None): print('custom', et.__name__)\nip.set_custom_exc((KeyError,), h)",
    "{}['x']", "1/0", "ip.set_custom_exc((), None)", "{}['x']", "log.clear(); log",
    "old = ip.run_cell; ip.run_cell = lambda *a, **k: (print('wrapped'), old(*a, **k))[1]", "7", "del ip.run_cell", "8",
    "from IPython.core.events import EventManager as E; o = E.trigger\ndef t(self, e, *a, **k):\n    print(e)\n    return o(self, e, *a, **k)\nE.trigger = t", "5", "E.trigger = o", "5",
    "ip.events.trigger = lambda e, *a: print('own', e)", "5", "del ip.events.trigger", "5",
    "from IPython.core.builtin_trap import BuiltinTrap as B; o = B.__enter__; import builtins\nB.__enter__ = lambda s: (setattr(builtins, 'marked', 1), o(s))[1]", "builtins.__dict__.pop('marked', 'no')", "B.__enter__ = o", "5",
    "from IPython.core.display_trap import DisplayTrap as B; o = B.__enter__\nB.__enter__ = lambda s: (print('trap'), o(s))[1]", "5", "B.__enter__ = o", "5",
    "import builtins; builtins.exit = 5; hasattr(builtins, 'exit')", "hasattr(builtins, 'exit')", "builtins.__dict__.pop('exit', None)", "import sys; sys.displayhook = print; 5", "6", "ip.builtin_trap.auto_builtins['extra'] = 8", "extra", "del ip.builtin_trap.auto_builtins['extra']; 'extra' in dir(builtins)", "'extra' in dir(builtins)",
    "ip.compile.get_code_name = lambda *a: 'named'", "__import__('sys')._getframe().f_code.co_filename", "del ip.compile.get_code_name", "1",
    "hm = ip.history_manager; o = type(hm).store_inputs\ntype(hm).store_inputs = lambda s, *a: (print(a[0] > 0), o(s, *a))[1]", "5", "type(hm).store_inputs = o", "In[-2:]",
    "hm.observe(lambda c: print(c.name, repr(c.new)), ['_i00'])", "5", "hm.unobserve_all('_i00')", "ip.observe(lambda c: print(c.name, c.new), ['execution_count'])", "5", "ip.unobserve_all('execution_count')",
    "ip.run_code = lambda code, result=None, *, async_=False: type(ip).run_code(ip, code, result, async_=async_)", "5", "1/0", "del ip.run_code", "ip.push({'_': 'mine'})", "_", "5", "_", "del _; 6", "_",
)  # fmt: skip


def _expression(rng: random.Random, depth: int = 0) -> str:
    pick = rng.random()
    if depth > 2 or pick < 0.35:
        return rng.choice(VALUES) if rng.random() < 0.8 else rng.choice(NAMES)
    one, two = _expression(rng, depth + 1), _expression(rng, depth + 1)
    forms = (
        f"({one}, {two})", f"[{one}, {two}]", f"({one}) == ({two})", f"str({one})", f"repr({one})", f"len(str({one}))",
        f"({one}) and ({two})", f"[x for x in ({one}, {two})]", f"{{'k': {one}}}", f"(lambda v: v)({one})", f"bool({one})",
        f"({one}) is ({two})", f"isinstance({one}, int)", f"sorted([3, 1, 2])", f"({one}) + ({two})", f"max(1, len(repr({two})))",
        f"type({one}).__name__", f"'%s' % ({one},)", f"f'{{{rng.randrange(9)}}}'", f"tuple([{one}])", f"({one}) or ({two})",
    )  # fmt: skip
    return rng.choice(forms)


def _statement(rng: random.Random) -> str:
    name, value = rng.choice(NAMES), _expression(rng)
    forms = (
        f"{name} = {value}", f"{name} = {value}", f"print({value})", f"print({name})", f"{value}", f"{name}",
        f"for i in range({rng.randrange(4)}):\n    print(i, end=' ')", f"if {value}:\n    {name} = 1\nelse:\n    {name} = 2",
        f"def {name}(x=1, *args, **kw):\n    return x, {value}", f"try:\n    {name} = {value}\nexcept Exception as e:\n    print(type(e).__name__)",
        f"class K:\n    attr = {rng.choice(VALUES)}\n    def m(self): return self.attr\n{name} = K().m()", f"{name} = [i * 2 for i in range({rng.randrange(60)})]",
        f"{name} = 1\n{name} += {rng.randrange(9)}", f"with __import__('contextlib').suppress(Exception):\n    {value}", f"assert {value}",
        f"import math; {name} = math.floor({rng.random():.3f})", f"{name}, b = {value}, 2", f"del {name}", f"{name} = lambda: {value}", f"{name}()",
    )  # fmt: skip
    return rng.choice(forms)


def generated(count: int, seed: int = 20) -> Iterator[Cell]:
    """`count` cells by rule; equal for equal seeds."""
    rng = random.Random(seed)
    fixed = [(text, {}) for text in (*VALUES, *ERRORS)]
    rng.shuffle(fixed)
    for at in range(count):
        if fixed and at % 8 == 0:
            yield fixed.pop()
            continue
        lines = [_statement(rng) for _ in range(rng.choice((1, 1, 1, 2, 3, 5)))]
        code = "\n".join(lines)
        if rng.random() < 0.1:
            code += rng.choice((";", " # end", "\n", "\n\n", "; # c", "  "))
        options: dict = {}
        if rng.random() < 0.05:
            options["store"] = False
        if rng.random() < 0.05:
            options["silent"] = True
        if rng.random() < 0.1:
            options["expressions"] = {"e": rng.choice(NAMES), "f": _expression(rng)}
        yield code, options


def written() -> Iterator[Cell]:
    """The cells written by hand, in groups that belong together."""
    for group in (SHAPE, DISPLAY, MAGIC, MAGIC_LINES, WARN, EVENTS, SPECIAL, ERRORS, SHAPE, SPECIAL):
        for code in group:
            yield code, {}


def sessions(size: int = 220, made: int = 1300) -> list[list[Cell]]:
    """The corpus cut into sessions of at most `size` cells."""
    out = [list(written())]
    for cells in (list(documented()), list(generated(made))):
        out += [cells[at : at + size] for at in range(0, len(cells), size)]
    return out
