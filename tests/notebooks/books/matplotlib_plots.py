# %%
import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0, 2 * np.pi, 200)
# %%
plt.plot(x, np.sin(x), label="sin")
plt.plot(x, np.cos(x), label="cos")
plt.legend()
plt.title("Two waves");
# %%
fig, axes = plt.subplots(2, 2, figsize=(6, 4))
axes[0, 0].hist(np.random.default_rng(0).normal(size=500), bins=20)
axes[0, 1].scatter(x, x**2, s=4)
axes[1, 0].bar(list("abc"), [3, 1, 2])
axes[1, 1].imshow(np.outer(np.sin(x), np.cos(x)))
fig.tight_layout()
print("printed before the figure")
# %%
plt.figure(figsize=(2, 2))
plt.pie([1, 2, 3])
plt.show()
print("printed after show")
# %%
fig
# %%
%config InlineBackend.figure_format = "svg"
import matplotlib
matplotlib.rcParams["svg.hashsalt"] = "fixed"
plt.figure(figsize=(2, 1))
_ = plt.plot([1, 2, 3])
# %%
%config InlineBackend.figure_format = "png"
fig, ax = plt.subplots(figsize=(2, 1))
plt.close(fig)
# %%
for i in range(2):
    plt.figure(figsize=(1, 1))
    plt.plot([i, i + 1])
