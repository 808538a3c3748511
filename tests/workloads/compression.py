# SPDX-License-Identifier: Apache-2.0
"""Compression and archives."""

import bz2
import gzip
import hashlib
import lzma
import tarfile
import zipfile
import zlib

data = b"".join(str(i).encode() for i in range(200_000))
for module in (bz2, gzip, lzma, zlib):
    assert module.decompress(module.compress(data)) == data
with open("data", "wb") as file:
    file.write(data)
with tarfile.open("data.tar.xz", "w:xz") as archive:
    archive.add("data")
with tarfile.open("data.tar.xz") as archive:
    assert archive.extractfile("data").read() == data
with zipfile.ZipFile("data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.write("data")
with open("data", "rb") as file:
    assert hashlib.file_digest(file, "sha256").hexdigest() == hashlib.sha256(data).hexdigest()
