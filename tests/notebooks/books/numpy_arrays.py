# %%
import numpy as np

a = np.arange(24).reshape(2, 3, 4)
a
# %%
a.sum(axis=1), a.mean()
# %%
np.linalg.solve(np.array([[3.0, 1], [1, 2]]), np.array([9.0, 8]))
# %%
rng = np.random.default_rng(42)
rng.normal(size=(2, 3)).round(4)
# %%
with np.printoptions(precision=2, suppress=True):
    print(np.exp(np.linspace(0, 3, 7)))
# %%
np.array([1, 2]) / np.array([0, 1])
# %%
np.fft.rfft([0, 1, 0, -1]).round(6)
# %%
a[5]
# %%
np.ones((2, 3)) @ np.ones((2, 3))
# %%
np.array(["a", "bc"]), np.datetime64("2024-02-29") + np.timedelta64(1, "D")
# %%
big = rng.random((400, 400))
(big @ big).shape, bool(np.isfinite(big @ big).all())
