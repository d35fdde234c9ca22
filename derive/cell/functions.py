"""The names of the elementwise functions, and the names that stand for something not elementwise."""

from __future__ import annotations

BUILTIN_FUNCTIONS: tuple[str, ...] = (
    "sigmoid",
    "tanh",
    "erf",
    "relu",
    "leaky_relu",
    "softplus",
    "elu",
    "gelu",
    "silu",
    "hard_sigmoid",
    "hard_tanh",
    "sign",
    "step",
    "softsign",
    "exp",
    "log",
    "sqrt",
    "sin",
    "cos",
    "abs",
    "arctan",
    "identity",
)

#: What other libraries call our functions.
OTHER_SPELLINGS: dict[str, str] = {
    "logistic": "sigmoid",
    "expit": "sigmoid",
    "sigm": "sigmoid",
    "swish": "silu",
    "lrelu": "leaky_relu",
    "leakyrelu": "leaky_relu",
    "atan": "arctan",
    "fabs": "abs",
    "sgn": "sign",
    "heaviside": "step",
    "ln": "log",
    "hardsigmoid": "hard_sigmoid",
    "hardtanh": "hard_tanh",
    "linear": "identity",
}

_NORMALISATION = (
    "Normalisation couples all units of a layer through their empirical mean and variance; "
    "a cell acts on each unit by itself."
)
_REDUCTION = "It reduces over the units of a layer; outside the product @ a cell acts on each unit by itself."
_STACKING = "Stacked vectors are written as one product per part."

_REFUSED: dict[str, tuple[str, str]] = {
    "layernorm": (_NORMALISATION, "Remove it; the gain of a weight can absorb the scale."),
    "layernormalization": (_NORMALISATION, "Remove it; the gain of a weight can absorb the scale."),
    "ln1": (_NORMALISATION, "Remove it; the gain of a weight can absorb the scale."),
    "batchnorm": (_NORMALISATION, "Remove it; the gain of a weight can absorb the scale."),
    "rmsnorm": (_NORMALISATION, "Remove it; the gain of a weight can absorb the scale."),
    "norm": (_NORMALISATION, "Remove it; the gain of a weight can absorb the scale."),
    "softmax": (_REDUCTION, "For a gate in (0, 1) write sigmoid(...)."),
    "mean": (_REDUCTION, "Remove it, or couple the units by a product W @ v."),
    "sum": (_REDUCTION, "Remove it, or couple the units by a product W @ v."),
    "std": (_REDUCTION, "Remove it, or couple the units by a product W @ v."),
    "var": (_REDUCTION, "Remove it, or couple the units by a product W @ v."),
    "dot": (_REDUCTION, "The matrix product is written W @ v."),
    "matmul": ("The matrix product has an operator of its own.", "Write W @ v."),
    "concat": (_STACKING, "For W @ [h, x] write W_h @ h + U_x @ x with two weights."),
    "concatenate": (_STACKING, "For W @ [h, x] write W_h @ h + U_x @ x with two weights."),
    "cat": (_STACKING, "For W @ [h, x] write W_h @ h + U_x @ x with two weights."),
    "stack": (_STACKING, "For W @ [h, x] write W_h @ h + U_x @ x with two weights."),
    "split": (_STACKING, "Write each part as a definition of its own."),
    "dropout": ("A fresh random mask at each step is not part of a cell.", "Remove it."),
    "attention": ("Attention couples all units through a softmax.", "Only W @ v couples units."),
    "transpose": ("A matrix and its transpose are not independent; a cell has no transposes.", "Declare a new weight."),
    "diag": ("A diagonal matrix is an elementwise factor.", "Declare it under [biases] and write p*h."),
    "min": ("A function takes one argument.", "Write min(a, b) as a - relu(a - b)."),
    "minimum": ("A function takes one argument.", "Write min(a, b) as a - relu(a - b)."),
    "max": ("A function takes one argument.", "Write max(a, b) as b + relu(a - b)."),
    "maximum": ("A function takes one argument.", "Write max(a, b) as b + relu(a - b)."),
    "pow": ("Powers have an operator of their own.", "Write a**b."),
    "clip": ("A function takes one argument.", "Write hard_tanh(...) or hard_sigmoid(...)."),
    "bidirectional": ("A cell runs in one direction of time.", "Analyse each direction as a cell of its own."),
    "reverse": ("A cell runs in one direction of time.", "Analyse each direction as a cell of its own."),
}


def refused(name: str) -> tuple[str, str] | None:
    """Rule and mend for the name of a well-known operation that a cell cannot express, or None."""
    return _REFUSED.get(name.replace("_", "").lower())
