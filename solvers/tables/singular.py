"""Singular values as rows of text, from the same objects that JSON prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from solvers.tables.numbers import compact, short

Record = Mapping[str, Any]

HOW = {"exact": "closed recursion", "free": "free factors", "sampled": "sampled chain"}


def singular_rows(record: Record) -> Iterator[tuple[str, str]]:
    """m1, m2, quantiles, support, exact zeros and condition numbers of a record that has them."""
    found = record.get("singular")
    if not found:
        return
    errors = record["error"]["singular"]
    for name in ("m1", "m2"):
        yield name, compact(found[name], errors[name])
    yield from _law_rows(found, errors)
    if product := found.get("product"):
        yield from _product_rows(product, errors["product"])


def _product_rows(product: Record, errors: Record) -> Iterator[tuple[str, str]]:
    """m1, m2 and the spread of the product of several steps."""
    steps, how = product["steps"], HOW[product["closure"]]
    for name in ("m1", "m2"):
        yield f"{name} of {steps} steps", f"{compact(product[name], errors[name])}  ({how})"
    yield f"m2/m1^2 - 1 of {steps} steps", compact(product["spread"], errors["spread"])
    if product["slope"] is not None:
        yield "growth of m2/m1^2 per step", compact(product["slope"], errors["slope"])
    if "quantiles" in product:
        yield from _law_rows(product, errors, f" of {steps} steps")


def _law_rows(found: Record, errors: Record, what: str = "") -> Iterator[tuple[str, str]]:
    """Quantiles, support, exact zeros and condition numbers."""
    for level, value in found["quantiles"].items():
        shown = compact(value, errors["quantiles"][level])
        yield f"singular {level}{what}", f"{shown}  (a share of {level} lies below)"
    low, high = found["support"]
    zero = f", and {100 * found['zero']:.3g} % are zero" if found["zero"] else ""
    yield f"singular values{what}", f"{short(low)} to {compact(high, errors['support'][1])}{zero}"
    for trim, value in found["condition"].items():
        how = "largest to smallest" if float(trim) == 0.0 else f"without {trim} on either side"
        shown = "infinite as N grows" if value is None else compact(value, errors["condition"][trim])
        yield f"condition{what}", f"{shown}  ({how})"
