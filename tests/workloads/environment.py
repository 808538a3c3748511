# SPDX-License-Identifier: Apache-2.0
"""A virtual environment, made and used; packages of its own."""

import pathlib
import subprocess
import venv

venv.create("env", with_pip=False, symlinks=True)
python = pathlib.Path("env/bin/python")
prefix = subprocess.check_output([python, "-c", "import sys; print(sys.prefix)"], text=True).strip()
assert pathlib.Path(prefix) == pathlib.Path("env").resolve()
site = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
pathlib.Path(site.strip(), "own_package.py").write_text("answer = 42\n")
assert subprocess.check_output([python, "-c", "import own_package; print(own_package.answer)"], text=True) == "42\n"
