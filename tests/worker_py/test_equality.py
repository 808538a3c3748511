# SPDX-License-Identifier: Apache-2.0
"""Every way to run a cell gives what IPython's run_cell() gives: the corpus, cell by cell, in two workers."""

import difflib
import json
import os
import re
import subprocess
import sys

import corpus
import pytest
from front import Front, Result

PYTHON = os.environ.get("HUSK_TEST_PYTHON", sys.executable)
SESSIONS = corpus.sessions()
PROBE = """
def _probe():
    ip = get_ipython()
    m = ip.history_manager
    ns = ip.user_ns
    safe = (int, str, float, bool, type(None))
    show = lambda v: v if type(v) in safe else type(v).__name__
    return '\\n'.join(map(repr, (
        list(m.input_hist_parsed[-4:]), list(m.input_hist_raw[-4:]), sorted(ns['Out']), ns['Out'] is m.output_hist,
        {k: show(v) for k, v in ns['Out'].items()}, dict(m.output_hist_reprs), [show(ns.get(k)) for k in ('_', '__', '___')],
        [ns.get(k) for k in ('_i', '_ii', '_iii')], sorted(k for k in ns if k not in ('_probe',)), sorted(ip.user_ns_hidden),
        ip.execution_count, ip.last_execution_succeeded, show(ip.last_execution_result.result),
        ip.last_execution_result.execution_count, type(ip.last_execution_result.error_in_exec).__name__,
        type(ip.last_execution_result.error_before_exec).__name__, sorted(getattr(m, 'exceptions', ())),
        {k: [o.output_type for o in v if not o.output_type.endswith('stream')] for k, v in dict(getattr(m, 'outputs', {})).items()
         if any(not o.output_type.endswith('stream') for o in v)},
        len(ip.compile._filename_map), ip._last_traceback is None, ip.displayhook.exec_result is None,
    )))
print(_probe())
del _probe
"""
NORMAL = (
    (re.compile(r"/ipykernel_\d+/"), "/ipykernel_PID/"),
    (re.compile(r"0x[0-9a-f]{6,}"), "0xADDRESS"),
    (re.compile(r"\(\d+ times\)"), "(N times)"),
    (re.compile(r'(Wall time|CPU times)(?:[^"\\]|\\.)*'), r"\1"),
    (re.compile(r"(object at )[0-9a-f]{6,}"), r"\1ADDRESS"),
)


def _normal(text: str) -> str:
    for pattern, by in NORMAL:
        text = pattern.sub(by, text)
    return text


def transcript(result: Result) -> list:
    """What a client sees of a cell, texts of one stream joined, with process-dependent details made equal."""
    out: list = []
    for name, fields in result.frames:
        if name == "TEXT":
            if out and out[-1][0] == "TEXT" and out[-1][1] == fields[0]:
                out[-1][2] += fields[2]
            else:
                out.append(["TEXT", fields[0], fields[2]])
        else:
            out.append([name, *fields])
    reply = dict(result.reply)
    if reply["history"] is True:
        reply["history"] = None
    out.append(["REPLY", *reply.values()])
    for item in out:
        if item[0] == "TEXT":
            item[2] = item[2].split("\n")
    return json.loads(_normal(json.dumps(out, default=lambda value: value.decode("utf-8", "replace"))))


def run_both(cells: list) -> list[str]:
    """Descriptions of the differences between the two ways over a session."""
    differences = []
    options = {"options": {"history_session": 1}}
    env = {"PYTHONHASHSEED": "0"}
    with Front(PYTHON, env, **options) as ours, Front(PYTHON, {**env, "HUSK_TEST_RUN_CELL": "1"}, **options) as theirs:
        for at, (code, flags) in enumerate(cells):
            one, two = transcript(ours.run(code, **flags)), transcript(theirs.run(code, **flags))
            probe = at % 10 == 9 and at > 10
            if probe:
                one += transcript(ours.run(PROBE, silent=True))
                two += transcript(theirs.run(PROBE, silent=True))
            if one != two:
                left, right = (json.dumps(side, indent=1).split("\n") for side in (one, two))
                diff = "\n".join(difflib.unified_diff(right, left, "run_cell", "husk", lineterm="", n=2))
                differences.append(f"cell {at} {flags}: {code!r}\n{diff}")
    return differences


NEEDS_IPYTHON = pytest.mark.skipif(
    subprocess.run([PYTHON, "-I", "-c", "import IPython"], capture_output=True).returncode != 0, reason="needs IPython"
)


@NEEDS_IPYTHON
@pytest.mark.parametrize("number", range(len(SESSIONS)))
def test_every_way_to_run_a_cell_is_equal(number):
    differences = run_both(SESSIONS[number])
    assert not differences, f"{len(differences)} of {len(SESSIONS[number])} cells differ\n" + "\n\n".join(
        differences[:12]
    )


LINES = """
import json, re, warnings
from husk_worker import lean, leanpath
warnings.simplefilter("ignore")
same = 0
for code in json.load(open("lines.json")):
    word = re.match(r"\\w*", code).group()
    if not code or "\\n" in code or "await" in code or not lean.keeps_text(code) or not lean.is_simple_line(code, word, False):
        continue
    codes = []
    for compile in (leanpath.compile_line, lambda *args: leanpath.compile_cell(*args, False)):
        try:
            codes.append(compile(code + "\\n", "name", 0x200))
        except (SyntaxError, ValueError):
            codes.append(None)
    line, cell = codes
    if line is None:
        continue  # the longer way says what is wrong
    assert cell is None or line == cell and [*line[0].co_positions()] == [*cell[0].co_positions()], code
    assert cell is None or cell.value is None or line.value is line[-1], code
    same += cell is not None
print(same)
"""


@NEEDS_IPYTHON
def test_a_line_compiles_to_the_same_code_without_a_tree(tmp_path):
    compound = [f"{word} 1: 2" for word in ("if", "while", "with")] + ["x: int", "a.b: 1 = 2", "x[1:2]: int", "if'a': 1", "for*a, in (): 2", "class A: 1", "@f", "try: 1"]
    lines = [code for session in SESSIONS for code, _ in session] + compound + [code + "\n" for code in compound]
    (tmp_path / "lines.json").write_text(json.dumps(lines))
    with Front(PYTHON, cwd=str(tmp_path)) as front:
        result = front.run(LINES)
        assert result.ok, result.reply["error"][:2]
        assert int(result.out) > 500


def test_the_corpus_is_large_enough():
    assert sum(map(len, SESSIONS)) >= 2000
