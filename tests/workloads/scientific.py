# SPDX-License-Identifier: Apache-2.0
"""scipy: optimisation, integration, sparse matrices, statistics, signals."""
# needs: scipy

import numpy as np
from scipy import fft, integrate, interpolate, optimize, signal, sparse, spatial, stats
from scipy.sparse import linalg

assert np.allclose(optimize.minimize(optimize.rosen, np.zeros(5), method="BFGS").x, 1, atol=1e-3)
assert np.isclose(integrate.quad(lambda t: np.exp(-t * t), -np.inf, np.inf)[0], np.sqrt(np.pi))
assert integrate.solve_ivp(lambda t, y: -y, (0, 1), [1.0], rtol=1e-8).y[0, -1] < 0.37
matrix = sparse.diags([-1, 2.1, -1], [-1, 0, 1], shape=(10_000, 10_000), format="csc")
assert np.allclose(matrix @ linalg.spsolve(matrix, np.ones(10_000)), 1)
rng = np.random.default_rng(7)
assert stats.ttest_ind(rng.normal(0, 1, 500), rng.normal(1, 1, 500)).pvalue < 1e-6
data = rng.standard_normal((256, 256))
assert np.allclose(fft.ifft2(fft.fft2(data, workers=2), workers=2).real, data)
assert spatial.cKDTree(data[:, :3]).query(data[:, :3], workers=2)[0].max() == 0
assert len(signal.find_peaks(np.sin(np.linspace(0, 20, 500)))[0]) == 3
assert interpolate.CubicSpline([0, 1, 2, 3], [0, 1, 8, 27])(1.5).shape == ()
