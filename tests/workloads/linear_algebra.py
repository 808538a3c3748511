# SPDX-License-Identifier: Apache-2.0
"""Matrices that are large enough for a BLAS to use its threads."""
# needs: numpy

import numpy as np

rng = np.random.default_rng(7)
a = rng.standard_normal((400, 300))
u, s, vt = np.linalg.svd(a, full_matrices=False)
assert np.allclose(u * s @ vt, a)
square = a.T @ a
values, vectors = np.linalg.eigh(square)
assert np.allclose(vectors * values @ vectors.T, square)
x = np.linalg.solve(square, np.ones(300))
assert np.allclose(square @ x, np.ones(300))
big = rng.standard_normal((900, 900))
assert np.allclose(big @ np.linalg.inv(big), np.eye(900), atol=1e-6)
assert np.allclose(np.fft.ifft(np.fft.fft(s)).real, s)
