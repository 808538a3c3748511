# %% tags=["parameters"]
count = 3
name = "default"
# %%
print(name, sum(range(count)))
# %%
{"count": count, "name": name}
