# %%
from sympy import Eq, Function, Integral, Matrix, Rational, dsolve, expand, factor, init_printing, integrate, latex, limit, oo, pi, sin, solve, symbols

init_printing()
x, y = symbols("x y")
expand((x + y) ** 3)
# %%
integrate(sin(x) ** 2, (x, 0, pi))
# %%
Integral(sin(x) / x, (x, 0, oo))
# %%
solve(Eq(x**2 - x - 1, 0), x)
# %%
Matrix([[1, x], [y, Rational(1, 2)]]).det()
# %%
factor(x**4 - 1)
# %%
limit(sin(x) / x, x, 0), latex(x**2)
# %%
f = Function("f")
dsolve(f(x).diff(x) - f(x), f(x))
# %%
print(expand((x - 1) ** 2))
