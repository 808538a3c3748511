# SPDX-License-Identifier: Apache-2.0
"""matplotlib: each kind of file, text with mathematics, three dimensions, an animation."""
# needs: matplotlib

import io
import os

import matplotlib

matplotlib.use("agg")
import matplotlib.animation
import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0, 10, 500)
figure, axes = plt.subplots(2, 2, figsize=(8, 6))
axes[0, 0].plot(x, np.sin(x), label=r"$\sin(x)$, größer")
axes[0, 0].legend()
axes[0, 1].hist(np.random.default_rng(7).standard_normal(5000), bins=50)
axes[1, 0].imshow(np.outer(np.sin(x), np.cos(x)), cmap="viridis")
axes[1, 1].scatter(x, x**2, c=x)
figure.suptitle(r"$\int_0^\infty e^{-x^2}\,dx = \frac{\sqrt{\pi}}{2}$")
figure.tight_layout()
for kind, start in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml"), ("jpg", b"\xff\xd8")):
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    assert buffer.getvalue().startswith(start), kind
    figure.savefig(f"figure.{kind}", dpi=120)
    assert os.path.getsize(f"figure.{kind}") > 1000
space = plt.figure().add_subplot(projection="3d")
space.plot_surface(*np.meshgrid(x[::50], x[::50]), np.outer(x[::50], x[::50]))
space.figure.savefig("space.png")
moving, axis = plt.subplots()
(line,) = axis.plot(x, np.sin(x))
animation = matplotlib.animation.FuncAnimation(moving, lambda i: line.set_ydata(np.sin(x + i)), frames=4)
animation.save("moving.gif", writer="pillow")
plt.close("all")
