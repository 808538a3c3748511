# SPDX-License-Identifier: Apache-2.0
"""Files: kinds, times, links, locks, copies, trees, temporary ones."""

import fcntl
import os
import pathlib
import shutil
import tempfile
import zipfile

top = pathlib.Path("tree")
(top / "a" / "b").mkdir(parents=True)
(top / "a" / "file").write_text("content")
(top / "a" / "file").chmod(0o640)
(top / "link").symlink_to("a/file")
os.link(top / "a" / "file", top / "hard")
os.rename(top / "a" / "file", top / "a" / "b" / "moved")
os.replace(top / "a" / "b" / "moved", top / "moved")
os.utime(top / "moved", (1_000_000_000, 1_100_000_000))
assert os.stat(top / "moved").st_mtime == 1_100_000_000 and os.stat(top / "moved").st_nlink == 2
os.mkfifo(top / "fifo")
reader = os.open(top / "fifo", os.O_RDONLY | os.O_NONBLOCK)
with open(top / "fifo", "wb") as writer:
    writer.write(b"through")
assert os.read(reader, 10) == b"through"
os.close(reader)
shutil.copy2(top / "moved", top / "copied")
shutil.copytree(top, "copy", ignore=shutil.ignore_patterns("fifo", "link"))
shutil.make_archive("archive", "zip", "copy")
assert "moved" in zipfile.ZipFile("archive.zip").namelist()
assert shutil.make_archive("archive", "gztar", "copy")
assert sum(len(names) for _, _, names in os.walk(top)) == 5
with open("locked", "w+b") as file:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file.truncate(1 << 20)
    os.posix_fallocate(file.fileno(), 0, 1 << 16)
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
    os.fdatasync(file.fileno())
    os.pwritev(file.fileno(), [b"ab", b"cd"], 10)
    assert os.preadv(file.fileno(), [bytearray(4)], 10) == 4
with open("locked", "rb") as source, open("sent", "wb") as target:
    assert os.sendfile(target.fileno(), source.fileno(), 0, 4096) == 4096
    assert os.copy_file_range(source.fileno(), target.fileno(), 4096) == 4096
os.sync()
assert shutil.disk_usage(".").total > 0
assert os.statvfs(".").f_bsize > 0
with tempfile.NamedTemporaryFile() as file, tempfile.TemporaryDirectory() as directory:
    file.write(b"x")
    assert os.path.isdir(directory)
os.listxattr("locked")
mask = os.umask(0o077)
os.umask(mask)
shutil.rmtree("copy")
