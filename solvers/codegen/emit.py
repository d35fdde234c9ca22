"""Source text of NumPy functions, with common sub-expressions shared; the text is what runs.

The same text serves the solvers and ``gatefield export``.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
from sympy.printing.numpy import NumPyPrinter

from derive.elementary import FunctionTable
from derive.gaussian.safe import Correlation, DampedSinh, Ratio, Root
from solvers.codegen.lower import lower

PREAMBLE = '''\
import numpy as np
from scipy.special import erf, expit, ndtr


def sigmoid(x):
    """Logistic function, never exactly zero, so that it can stand below a fraction line."""
    return np.maximum(expit(x), 1e-300)


def softplus(x):
    return np.logaddexp(0.0, x)


def normal_cdf(x):
    return ndtr(x)


def step(x):
    return np.heaviside(x, 0.5)


def exp_negative(x):
    return np.exp(np.minimum(x, 0.0))


def expm1_negative(x):
    return np.expm1(np.minimum(x, 0.0))


def ratio(above, below):
    """above / below, and 0 for 0/0."""
    with np.errstate(all="ignore"):
        return np.where((np.asarray(above) == 0) & (np.asarray(below) == 0), 0.0, np.divide(above, below))


def root(variance):
    return np.sqrt(np.maximum(variance, 0.0))


def correlation(covariance, left, right):
    """covariance / sqrt(left right) within [-1, 1], and 0 where a variance is."""
    return np.clip(ratio(covariance, root(left) * root(right)), -1.0, 1.0)


def arcsine(x):
    return np.arcsin(np.clip(x, -1.0, 1.0))


def damped_sinh(x, damping):
    """exp(-damping) sinh(x) without overflow or cancellation."""
    return -0.5 * np.sign(x) * np.exp(np.abs(x) - damping) * np.expm1(-2.0 * np.abs(x))
'''


_KERNELS = {Ratio: "ratio", Root: "root", Correlation: "correlation", DampedSinh: "damped_sinh"}


class Printer(NumPyPrinter):
    """NumPy source with the kernels of the preamble; constants as short literals."""

    def __init__(self) -> None:
        super().__init__({"fully_qualified_modules": False, "allow_unknown_functions": True})

    def _print_erf(self, node: sp.Expr) -> str:
        return f"erf({self._print(node.args[0])})"

    def _print_asin(self, node: sp.Expr) -> str:
        return f"arcsine({self._print(node.args[0])})"

    def _print_Function(self, node: sp.Expr) -> str:
        if type(node) not in _KERNELS:
            return super()._print_Function(node)
        return f"{_KERNELS[type(node)]}({', '.join(self._print(part) for part in node.args)})"

    def _print_ITE(self, node: sp.Basic) -> str:
        return f"np.where({', '.join(self._print(part) for part in node.args)})"

    def _print_And(self, node: sp.Basic) -> str:
        return "(" + " & ".join(self._print(part) for part in node.args) + ")"

    def _print_Or(self, node: sp.Basic) -> str:
        return "(" + " | ".join(self._print(part) for part in node.args) + ")"

    def _module_format(self, name: str, register: bool = True) -> str:
        return name.replace("numpy.", "np.")


def identifiers(symbols: Sequence[sp.Symbol]) -> dict[sp.Symbol, sp.Symbol]:
    """A distinct Python identifier for every symbol, as close to its name as can be."""
    taken: set[str] = set()
    names: dict[sp.Symbol, sp.Symbol] = {}
    for symbol in symbols:
        base = re.sub(r"\W+", "_", symbol.name).strip("_") or "s"
        if keyword.iskeyword(base) or base in _RESERVED or base[0].isdigit() or re.fullmatch(r"t\d+", base):
            base += "_"
        candidate, number = base, 2
        while candidate in taken:
            candidate, number = f"{base}_{number}", number + 1
        taken.add(candidate)
        names[symbol] = sp.Symbol(candidate, real=symbol.is_real)
    return names


_RESERVED = {"np", "erf", "expit", "ndtr", "sigmoid", "softplus", "normal_cdf", "step", "exp_negative",
             "expm1_negative", "ratio", "root", "correlation", "arcsine", "damped_sinh", "print", "lambda"}  # fmt: skip


def function_source(
    name: str,
    arguments: Sequence[sp.Symbol],
    results: Sequence[sp.Expr],
    functions: FunctionTable,
    *,
    docstring: str = "",
) -> str:
    """Source of ``def name(arguments)`` returning a tuple of the results."""
    names = identifiers(arguments)
    lowered = [lower(expression, functions).xreplace(names) for expression in results]
    shared, final = sp.cse(lowered, symbols=(sp.Symbol(f"t{k}") for k in range(10**6)), order="none")
    printer = Printer()
    lines = [f"def {name}({', '.join(str(names[a]) for a in arguments)}):"]
    if docstring:
        lines.append(f'    """{docstring}"""')
    lines += [f"    {symbol} = {printer.doprint(expression)}" for symbol, expression in shared]
    inside = ", ".join(printer.doprint(expression) for expression in final)
    lines.append(f"    return ({inside}{',' if len(final) == 1 else ''})")
    return "\n".join(lines) + "\n"


_namespace: dict[str, Any] = {}


def compile_function(
    arguments: Sequence[sp.Symbol], results: Sequence[sp.Expr], functions: FunctionTable
) -> Callable[..., tuple[Any, ...]]:
    """A callable of ``arguments`` (scalars or broadcastable arrays) returning a tuple of arrays."""
    if not _namespace:
        exec(compile(PREAMBLE, "<gatefield kernels>", "exec"), _namespace)
    local: dict[str, Any] = dict(_namespace)
    source = function_source("generated", arguments, results, functions)
    exec(compile(source, "<gatefield generated>", "exec"), local)
    return local["generated"]


def broadcast_rows(values: Sequence[Any], size: int) -> np.ndarray:
    """Stack results (some of which may be constants) into shape (m, size)."""
    kind = complex if any(np.iscomplexobj(value) for value in values) else float
    rows = np.empty((len(values), size), dtype=kind)
    for row, value in zip(rows, values, strict=True):
        row[:] = value
    return rows
