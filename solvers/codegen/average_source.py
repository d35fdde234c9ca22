"""The source of one Gaussian average of an exported file: its law, its integrand, and a function that joins them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import sympy as sp

from derive.gaussian.average import Average, Law
from derive.gaussian.forms import ConditionalForm, Form, Reduced, reduce_forms
from derive.theory import law_symbols
from solvers.codegen.emit import function_source


def average_source(number: int, node: Average, law: Law, extra: Sequence[sp.Symbol]) -> str:
    """``average_<number>(v)`` and what it calls; v holds parameters, unknowns and ``extra`` by symbol name."""
    reduced = reduce_forms((node.integrand,), law)
    given = [*sorted(law_symbols(node.integrand, law) - set(extra), key=str), *extra]
    inner = [form for outer in reduced.conditional for _, form in outer.parts]
    weights = [weight for outer in reduced.conditional for weight, _ in outer.parts]
    means = _function(f"law_{number}", _moments(reduced.free, law), given, [], law, _law_text(reduced.free))
    site = [*(form.symbol for form in reduced.free), *(form.symbol for form in reduced.conditional)]
    body = _function(f"integrand_{number}", reduced.expressions, given, site, law)
    if not inner:
        return "\n\n".join([means[0], body[0], _plain_caller(number, node, means[1], body[1])])
    mixing = _function(f"inner_law_{number}", _moments(inner, law), given, [], law, _law_text(inner))
    mix = _function(f"weights_{number}", weights, given, [form.symbol for form in reduced.free], law)
    caller = _mixed_caller(number, node, reduced, [call for _, call in (means, body, mixing, mix)])
    return "\n\n".join([means[0], mixing[0], mix[0], body[0], caller])


def _function(
    name: str,
    results: Sequence[sp.Expr],
    given: Sequence[sp.Symbol],
    site: Sequence[sp.Symbol],
    law: Law,
    doc: str = "",
) -> tuple[str, str]:
    """A function of those of ``given`` that it needs and of ``site``, and the beginning of its call."""
    used = set().union(*(law.functions.expand(result).free_symbols for result in results)) if results else set()
    own = [symbol for symbol in given if symbol in used]
    source = function_source(name, [*own, *site], results, law.functions, docstring=doc)
    return source, f"{name}({', '.join(f'v[{symbol.name!r}]' for symbol in own)}"


def _moments(forms: Sequence[Form], law: Law) -> list[sp.Expr]:
    """Means, then covariances row by row, of affine forms of Gaussian symbols."""
    means = [sp.Add(*(c * law.mean_of(s) for s, c in form.coefficients.items())) for form in forms]
    covariances = [
        sp.Add(*(c * d * law.covariance(s, t) for s, c in left.coefficients.items()
                 for t, d in right.coefficients.items()))
        for left in forms for right in forms
    ]  # fmt: skip
    return [*means, *covariances]


def _law_text(forms: Sequence[Form]) -> str:
    named = "; ".join(str(sp.Add(*(c * s for s, c in form.coefficients.items()))) for form in forms)
    return textwrap.shorten("Means and covariances of " + named, 88, placeholder=" ...") if forms else "No direction."


def _plain_caller(number: int, node: Average, law: str, integrand: str) -> str:
    lines = [f"def average_{number}(v):", *docstring(str(node)), f"    law = split({law}))", ""]
    lines += ["    def integrand(y, xi):", f"        return {_more(integrand, '*y')})[0]", ""]
    return "\n".join([*lines, "    return expectation(integrand, *law)", ""])


def _mixed_caller(number: int, node: Average, reduced: Reduced, calls: Sequence[str]) -> str:
    law, integrand, inner, weights = calls
    lines = [f"def average_{number}(v):", *docstring(str(node))]
    lines += [f"    law = split({law}))", f"    inner = split({inner}))", "", "    def integrand(y, xi):"]
    lines += [f"        weights = {_more(weights, '*y')})"]
    lines += [f"        w = mixed({_positions(reduced.conditional)}, weights, *inner, xi)"]
    lines += [f"        return {_more(integrand, '*y, *w')})[0]", ""]
    return "\n".join([*lines, f"    return expectation(integrand, *law, extra={len(reduced.conditional)})", ""])


def _more(call: str, arguments: str) -> str:
    return f"{call}{'' if call.endswith('(') else ', '}{arguments}"


def _positions(conditional: Sequence[ConditionalForm]) -> str:
    """Which inner forms belong to each sum."""
    found, start = [], 0
    for form in conditional:
        found.append(list(range(start, start + len(form.parts))))
        start += len(form.parts)
    return str(found)


def docstring(text: str, indent: int = 4) -> list[str]:
    """A docstring, wrapped, safe for any text."""
    space = " " * indent
    plain = text.replace("\\", "/").replace(chr(34), chr(39))
    lines = textwrap.wrap(plain, 96 - indent, break_long_words=False, break_on_hyphens=False)
    if len(lines) <= 1:
        return [f'{space}"""{"".join(lines)}"""']
    return [f'{space}"""{lines[0]}', *(space + line for line in lines[1:]), f'{space}"""']
