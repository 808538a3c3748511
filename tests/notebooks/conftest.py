# SPDX-License-Identifier: Apache-2.0
"""Kernelspecs of ipykernel and of the husk that was built, in a home of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "sandbox"))

import inside  # noqa: E402


def find_husk() -> str:
    """$HUSK_KERNEL, or the one of $HUSK_BUILD_DIR, or the one on PATH."""
    built = Path(os.environ.get("HUSK_BUILD_DIR", ".")) / "kernel/front/husk-kernel"
    found = os.environ.get("HUSK_KERNEL") or (str(built.resolve()) if built.is_file() else shutil.which("husk-kernel"))
    assert found, "no husk-kernel: set HUSK_KERNEL or HUSK_BUILD_DIR"
    return found


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with the kernelspecs "husk" (as husk-kernel installs it) and "peer" (ipykernel)."""
    folder = tmp_path_factory.mktemp("home")
    husk = find_husk()
    install = [husk, "install", "--prefix", str(folder), "--python", sys.executable, "--name", "husk"]
    install += ["--profile", inside.NAME] if inside.NAME else []
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    peer = folder / "share/jupyter/kernels/peer"
    peer.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (peer / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "peer", "language": "python"}))
    settings = {
        "HOME": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_PATH": str(folder / "share/jupyter"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "MPLCONFIGDIR": str(folder / "mpl"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
    } | (inside.VARIABLES if inside.NAME else {})
    patch = pytest.MonkeyPatch()
    for name, value in settings.items():
        patch.setenv(name, value)
    patch.delenv("PYTHONUNBUFFERED", raising=False)
    yield folder
    patch.undo()
