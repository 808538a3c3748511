# %%
import numpy as np
from scipy import integrate, interpolate, linalg, optimize, signal, stats

integrate.quad(lambda t: np.exp(-(t**2)), -np.inf, np.inf)
# %%
found = optimize.minimize(optimize.rosen, [1.3, 0.7, 0.8], method="Nelder-Mead")
found.success, found.x.round(3)
# %%
optimize.brentq(np.cos, 0, 3)
# %%
sample = stats.norm.rvs(size=200, random_state=1)
stats.ttest_1samp(sample, 0)
# %%
b, a = signal.butter(3, 0.2)
b.round(5), a.round(5)
# %%
linalg.eigvalsh(np.array([[2.0, 1], [1, 3]])).round(6)
# %%
spline = interpolate.CubicSpline([0, 1, 2, 3], [0, 1, 4, 9])
spline(1.5)
# %%
integrate.solve_ivp(lambda t, y: -y, (0, 1), [1.0], rtol=1e-8).y[0, -1].round(6)
# %%
linalg.inv(np.zeros((2, 2)))
