"""Mutants of the correct formulas, kept only where the independent evaluator finds the two sides apart.

python tests/hand/mutate.py          rewrites mutants.txt (about a minute)
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Iterator
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parent.parent))
    __package__ = "hand"

from hand import FOLDER, Formula, formulas
from hand.independent import APART, CELLS, RANGES, BeyondError, NoSolutionError, differences

PER_FORMULA = 6
TRIES = 14
GATES = {
    "minimal-rnn": ["u"],
    "gru": ["z", "r"],
    "gru-reset-after": ["z", "r"],
    "lstm": ["f", "i", "o"],
    "gated-rnn": ["gate_z", "gate_r"],
}
VARIABLES = {
    "vanilla": ["h", "phi"],
    "rate": ["x", "phi"],
    "minimal-rnn": ["u", "h"],
    "gru": ["z", "r", "y", "h"],
    "gru-reset-after": ["z", "r", "y", "h"],
    "lstm": ["f", "i", "o", "g", "c", "h"],
    "gated-rnn": ["gate_z", "gate_r", "phi", "h", "z", "r"],
}
FIELDS = {
    "vanilla": ["W_h", "U_x"],
    "rate": ["J"],
    "minimal-rnn": ["W_u", "V_u"],
    "gru": ["W_h", "W_r", "W_z", "U_h"],
    "gru-reset-after": ["W_h", "W_r", "W_z", "U_h"],
    "lstm": ["W_f", "W_i", "W_o", "W_g", "U_f"],
    "gated-rnn": ["J_h", "J_r", "J_z"],
}
EXTRA = {
    "vanilla": ["sigma_b**2", "sigma_v**2*R"],
    "rate": ["g**2"],
    "minimal-rnn": ["sigma_b**2", "R*E[D[u]**2]"],
    "gru": ["rho_h**2", "nu_h**2*R"],
    "gru-reset-after": ["rho_c**2", "E[r]**2"],
    "lstm": ["rho_f**2", "E[f**2]*E[o**2]"],
    "gated-rnn": ["beta_r**2", "E[gate_r]**2"],
}
Change = tuple[str, ast.expr]


def parse(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def text(node: ast.expr) -> str:
    written = ast.unparse(node).replace(" ** ", "**").replace(" * ", "*").replace(" / ", "/")
    return written.replace(", ", ",")


def after(names: list[str], name: str) -> list[str]:
    """The names that follow one in a cyclic list."""
    at = names.index(name)
    return names[at + 1 :] + names[:at]


def call(name: str, argument: ast.expr) -> ast.expr:
    return ast.Call(func=ast.Name(id=name), args=[argument], keywords=[])


def mean(what: ast.expr) -> ast.expr:
    return ast.Subscript(value=ast.Name(id="E"), slice=what)


def power(base: ast.expr, exponent: int) -> ast.expr:
    return ast.BinOp(left=base, op=ast.Pow(), right=ast.Constant(value=exponent))


def product(left: ast.expr, right: ast.expr) -> ast.expr:
    return ast.BinOp(left=left, op=ast.Mult(), right=right)


def is_mean(node: ast.expr) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "E"


def changes(node: ast.expr, cell: str, inside: bool) -> Iterator[Change]:
    """Wrong replacements of one node."""
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield "sign", ast.BinOp(left=left, op=ast.Sub(), right=right)
            yield "missing term", left
            yield "missing term", right
            yield "factor two", ast.BinOp(left=left, op=ast.Add(), right=product(ast.Constant(value=2), right))
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            yield "sign", ast.BinOp(left=left, op=ast.Add(), right=right)
            yield "missing term", left
            yield "factor two", ast.BinOp(left=left, op=ast.Sub(), right=product(ast.Constant(value=2), right))
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            yield "missing factor", left
            yield "missing factor", right
            if is_mean(left) and is_mean(right):
                yield "averages merged", mean(product(left.slice, right.slice))  # type: ignore[attr-defined]
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield "missing factor", left
            yield "reciprocal", ast.BinOp(left=right, op=ast.Div(), right=left)
            yield "reciprocal", product(left, right)
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(n))):
            yield "power", left if n == 2 else power(left, n - 1)
            yield "power", power(left, n + 1)
            if is_mean(left):
                yield "square inside", mean(power(left.slice, n))  # type: ignore[attr-defined]
        case ast.Subscript(value=ast.Name(id="E"), slice=ast.BinOp(left=f, op=ast.Pow(), right=ast.Constant(value=2))):
            yield "square outside", power(mean(f), 2)
            if isinstance(f, ast.Call):
                yield "square outside", power(call("abs", mean(f.args[0])), 2)
        case ast.Subscript(value=ast.Name(id="E"), slice=ast.BinOp(left=f, op=ast.Mult(), right=g)):
            yield "average split", product(mean(f), mean(g))
        case ast.Subscript(value=ast.Name(id="D"), slice=ast.Name(id=name)):
            yield "derivative order", ast.Name(id=name)
            for other in after(VARIABLES[cell], name)[:2]:
                yield "wrong derivative", parse(f"D[{other}]")
        case ast.Subscript(value=ast.Name(id="K"), slice=ast.Tuple(elts=[ast.Name(id=k), ast.Name(id=m)])):
            yield "entry transposed", parse(f"K[{m},{k}]")
            for other in after(FIELDS[cell], k)[:1]:
                yield "wrong entry", parse(f"K[{other},{m}]")
            for other in after(FIELDS[cell], m)[:1]:
                yield "wrong entry", parse(f"K[{k},{other}]")
        case ast.Subscript(value=ast.Name(id="q"), slice=ast.Name(id=name)):
            for other in after(FIELDS[cell], name)[:2] if name in FIELDS[cell] else []:
                yield "wrong field", parse(f"q[{other}]")
        case ast.Subscript(value=ast.Name(id="q_total"), slice=ast.Name(id=name)):
            yield "wrong variance", parse(f"q[{'U_x' if cell == 'vanilla' else FIELDS[cell][0]}]")
            for other in GATES.get(cell, []):
                yield "wrong variance", parse(f"q_total[{other}]")
        case ast.Subscript(value=ast.Name(id="Q"), slice=ast.Name(id=name)):
            yield "wrong variance", parse(f"q[{FIELDS[cell][0]}]")
            yield "wrong variance", power(mean(ast.Name(id=name)), 2)
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            yield f"missing {name}", argument
            if name == "abs":
                yield "part for modulus", call("re", argument)
        case ast.Constant(value=int(n)):
            yield "wrong number", ast.Constant(value=n + 1)
            yield "wrong number", ast.Constant(value=2 * n)
        case ast.UnaryOp(operand=operand):
            yield "sign", operand
        case ast.Name(id="lam"):
            yield "sign", parse("-lam")
            yield "conjugate", parse("conj(lam)")
        case ast.Name(id="chi1" | "chi_star" as name):
            yield "wrong growth", parse("chi_star" if name == "chi1" else "chi1")
        case ast.Name(id=name) if inside and name in VARIABLES[cell]:
            if name in GATES.get(cell, []):
                yield "gate complemented", parse(f"1 - {name}")
            others = after(GATES[cell] if name in GATES.get(cell, []) else VARIABLES[cell], name)
            for other in others[:2]:
                yield "wrong variable", ast.Name(id=other)
            yield "derivative order", parse(f"D[{name}]")
        case ast.Name(id=name) if name in RANGES[cell]:
            for other in after(list(RANGES[cell]), name)[:2]:
                yield "wrong parameter", ast.Name(id=other)


Steps = tuple[tuple[str, int | None], ...]


def places(node: ast.expr, inside: bool = False, at: Steps = ()) -> Iterator[tuple[Steps, ast.expr, bool]]:
    """Every expression in a tree with its path and whether it stands inside an average; exponents and indices aside."""
    yield at, node, inside
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            yield from places(left, inside, (*at, ("left", None)))
            if not isinstance(op, ast.Pow):
                yield from places(right, inside, (*at, ("right", None)))
        case ast.UnaryOp(operand=operand):
            yield from places(operand, inside, (*at, ("operand", None)))
        case ast.Call(args=[argument]):
            yield from places(argument, inside, (*at, ("args", 0)))
        case ast.Subscript(value=ast.Name(id="E"), slice=what):
            yield from places(what, True, (*at, ("slice", None)))


def replaced(tree: ast.expr, at: Steps, new: ast.expr) -> ast.expr:
    if not at:
        return new
    tree = copy.deepcopy(tree)
    parent: ast.expr = tree
    for name, index in at[:-1]:
        parent = getattr(parent, name) if index is None else getattr(parent, name)[index]
    name, index = at[-1]
    if index is None:
        setattr(parent, name, new)
    else:
        getattr(parent, name)[index] = new
    return tree


def candidates(entry: Formula) -> Iterator[tuple[str, str, str, str]]:
    """Changed formulas as (mutation, ansatz, where, formula)."""
    left, right = (part.strip() for part in entry.formula.split("="))
    tree = parse(right)
    for at, node, inside in places(tree):
        for label, new in changes(node, entry.cell, inside):
            yield label, entry.ansatz, entry.where, f"{left} = {text(replaced(tree, at, new))}"
    for at, node, inside in places(parse(left)) if not left.isidentifier() else ():
        for label, new in changes(node, entry.cell, inside):
            yield label, entry.ansatz, entry.where, f"{text(replaced(parse(left), at, new))} = {right}"
    yield "factor two", entry.ansatz, entry.where, f"{left} = 2*({right})"
    for extra in EXTRA[entry.cell]:
        yield "extra term", entry.ansatz, entry.where, f"{left} = {right} + {extra}"
    parts = [part.strip() for part in entry.where.split(",") if part.strip()]
    for part in parts:
        yield "condition dropped", entry.ansatz, ", ".join(p for p in parts if p != part), entry.formula
    if entry.cell not in ("rate", "gated-rnn"):
        other = "untied" if entry.ansatz == "static" else "static"
        yield "other ansatz", other, entry.where, entry.formula


def rotated(entry: Formula, turn: int) -> list[tuple[str, str, str, str]]:
    """Candidates, one of each kind in turn; where that begins changes from formula to formula."""
    kinds: dict[str, list[tuple[str, str, str, str]]] = {}
    for candidate in candidates(entry):
        kinds.setdefault(candidate[0], []).append(candidate)
    queues = [found[turn % len(found) :] + found[: turn % len(found)] for found in kinds.values()]
    queues = queues[turn % len(queues) :] + queues[: turn % len(queues)]
    ordered = []
    while any(queues):
        ordered += [queue.pop(0) for queue in queues if queue]
    return ordered


def certified() -> Iterator[str]:
    """Lines of mutants.txt."""
    seen = {(f.cell, f.ansatz, f.where, f.formula) for f in formulas()}
    for turn, entry in enumerate(formulas()):
        kept = tried = 0
        for mutation, ansatz, where, formula in rotated(entry, turn):
            key = (entry.cell, ansatz, where, formula)
            if kept == PER_FORMULA or tried == TRIES:
                break
            if key in seen:
                continue
            seen.add(key)
            tried += 1
            try:
                apart = max(differences(entry.cell, ansatz, where, formula, 2))
            except (BeyondError, NoSolutionError, ZeroDivisionError):
                continue
            if apart > APART:
                kept += 1
                yield f"{entry.id} | {entry.cell} | {ansatz} | {where} | {formula} | {mutation} | {apart:.1e}"


def main() -> None:
    assert set(VARIABLES) == set(CELLS)
    header = [
        "# Wrong formulas, each made from a correct one and shown to be wrong by independent.py of this folder.",
        "# Written by: python tests/hand/mutate.py",
        "# correct formula | cell | ansatz | where | formula | mutation | relative difference at a random point",
    ]
    (FOLDER / "mutants.txt").write_text("\n".join([*header, *certified()]) + "\n")


if __name__ == "__main__":
    main()
