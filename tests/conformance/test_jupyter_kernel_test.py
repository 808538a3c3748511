# SPDX-License-Identifier: Apache-2.0
"""The official conformance suite, jupyter_kernel_test, with every optional feature switched on.

Needs HUSK_KERNEL (path of husk-kernel) and, as HUSK_TEST_PYTHON, an environment with IPython. HUSK_TEST_PROFILE names the
profile of the kernels (default: none).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "sandbox"))

import inside  # noqa: E402

jupyter_kernel_test = pytest.importorskip("jupyter_kernel_test")

PNG = "from base64 import b64decode\nfrom IPython.display import Image\nraw = b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==')\n"


@pytest.fixture(scope="module", autouse=True)
def kernelspec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A kernelspec named husk in a place of its own, by `husk-kernel install`."""
    prefix = tmp_path_factory.mktemp("prefix")
    program = os.environ.get("HUSK_KERNEL")
    assert program, "HUSK_KERNEL must name the husk-kernel to test"
    python = os.environ.get("HUSK_TEST_PYTHON", sys.executable)
    profile = ["--profile", inside.NAME] if inside.NAME else []
    subprocess.run([program, "install", "--prefix", prefix, "--python", python, *profile], check=True, timeout=30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(Path(prefix, "share/jupyter")))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        yield


class HuskTests(jupyter_kernel_test.KernelTests):
    """All of it."""

    kernel_name = "husk"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = [
        {"text": "zi", "matches": ["zip"]},
        {"text": "%timei", "matches": ["%timeit", "%%timeit"]},
        {"text": "import subproc"},
    ]
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n"]
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2", "for i in range(3):"]
    invalid_code_samples = ["import = 7q", "a = )"]
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('on purpose')"
    code_execute_result = [
        {"code": "6*7", "result": "42"},
        {"code": "'text'", "result": "'text'"},
        {"code": PNG + "Image(raw)", "mime": "image/png"},
    ]
    code_display_data = [
        {"code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))", "mime": "text/html"},
        {"code": "from IPython.display import Math, display; display(Math('\\\\frac{1}{2}'))", "mime": "text/latex"},
        {"code": PNG + "display(Image(raw))", "mime": "image/png"},
    ]
    # "range" is left out: the suite expects the absolute number of the running session, IPython's kernels say 0.
    supported_history_operations = ("tail", "search")
    code_history_pattern = "6?7*"
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


    def test_the_kernel_is_where_it_was_asked_for(self) -> None:
        """In a sandbox whose every layer is said, or in none."""
        self.flush_channels()
        self.kc.kernel_info()
        sandbox = self.kc.get_shell_msg(timeout=20)["content"]["husk"].get("sandbox", {})
        self.assertEqual(sandbox.get("level", "none") in ("full", "full-nocg"), bool(inside.NAME), sandbox)


class HuskWelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    """The first message on iopub."""

    kernel_name = "husk"
    support_iopub_welcome = True


# Only the subclasses are to be collected.
del jupyter_kernel_test
