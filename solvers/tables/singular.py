"""Singular values as rows of text, from the same objects that JSON prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from solvers.tables.numbers import compact, short

Record = Mapping[str, Any]


def singular_rows(record: Record) -> Iterator[tuple[str, str]]:
    """m1, m2, quantiles, support, exact zeros and condition numbers of a record that has them."""
    found = record.get("singular")
    if not found:
        return
    errors = record["error"]["singular"]
    for name in ("m1", "m2"):
        yield name, compact(found[name], errors[name])
    for level, value in found["quantiles"].items():
        yield f"singular {level}", compact(value, errors["quantiles"][level]) + f"  (a share of {level} lies below)"
    low, high = found["support"]
    zero = f", and {100 * found['zero']:.3g} % are zero" if found["zero"] else ""
    yield "singular values", f"{short(low)} to {short(high)}{zero}"
    for trim, value in found["condition"].items():
        what = "largest to smallest" if float(trim) == 0.0 else f"without {trim} on either side"
        text = "infinite as N grows" if value is None else short(value)
        yield "condition", f"{text}  ({what})"
    if product := found.get("product"):
        for name in ("m1", "m2"):
            yield f"{name} of {product['steps']} steps", compact(product[name], errors["product"][name])
