"""A site form with canonical names and a canonical order, so that random streams follow structure.

Renaming the symbols of a cell or shuffling its lines must change no sampled number.  Symbols get colours by
iterated refinement (Weisfeiler & Leman 1968): what a symbol stands for, how it is computed and where it is used,
hashed again and again until no further symbols are told apart.  Sorting by colour then gives an order that no
name and no position enters.  Symbols of equal colour are interchangeable and keep the order of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import sympy as sp

from derive.cell.parameters import Settings
from derive.elementary import Fn, FunctionTable
from derive.site import Quenched, SiteForm


@dataclass(frozen=True)
class Draw:
    """A bias or an input: fresh N(mean, std^2) at every step of the untied chain.

    shared : correlation coefficient of the two replicas' values, in [-1, 1]; 1 for a bias; fresh : whether the cell
    itself draws it anew at every step (an iid input), which the stationary theory follows.
    """

    symbol: sp.Symbol
    mean: float
    std: float
    shared: float
    fresh: bool = False


@dataclass(frozen=True)
class ChainField:
    """A field u = W v that carries something (gain > 0); fields of one ``group`` share their matrix."""

    name: str
    symbol: sp.Symbol
    v: sp.Expr
    gain: float
    group: int


@dataclass(frozen=True)
class CanonicalSite:
    """What the chain needs of a site form, in canonical order and under canonical names.

    states, F : (S,) each; state_names : the file's names, in the same order
    fields : (K,) in dependency order, those of gain zero left out (their symbols are among ``constants``)
    draws : biases and inputs; constants : symbols that are plain numbers
    arguments : definition name -> the whole argument of its function, for definitions that hold a field
    """

    states: tuple[sp.Symbol, ...]
    state_names: tuple[str, ...]
    F: tuple[sp.Expr, ...]
    fields: tuple[ChainField, ...]
    draws: tuple[Draw, ...]
    constants: tuple[tuple[sp.Symbol, float], ...]
    arguments: tuple[tuple[str, sp.Expr], ...]
    functions: FunctionTable


def canonical_site(site: SiteForm, settings: Settings) -> CanonicalSite:
    """Rename and reorder a site form by the structure of its equations and the values of its parameters."""
    expand = site.functions.expand
    F = [expand(f) for f in site.F]
    v = [expand(item.v) for item in site.fields]
    quenched = [_draw(item, settings) for item in site.quenched]
    colours = _refined(site, settings, F, v)

    states = sorted(range(len(F)), key=lambda i: colours[site.states[i]])
    fields = _field_order(site, v, colours)
    draws = sorted(quenched, key=lambda item: colours[item.symbol])
    parameters = sorted(site.parameters.items(), key=lambda item: colours[item[1]])

    names: dict[sp.Symbol, sp.Symbol] = {}
    _rename(names, "s", [site.states[i] for i in states])
    _rename(names, "u", [site.fields[k].symbol for k in fields])
    _rename(names, "x", [item.symbol for item in draws])
    _rename(names, "p", [symbol for _, symbol in parameters])
    groups: dict[str, int] = {}
    kept: list[ChainField] = []
    constants = [(names[symbol], settings.parameters[name]) for name, symbol in parameters]
    for k in fields:
        item = site.fields[k]
        symbol, gain = names[item.symbol], settings.gains[item.weight]
        group = groups.setdefault(item.weight, len(groups))
        if gain > 0:
            kept.append(ChainField(item.name, symbol, v[k].xreplace(names), gain, group))
        else:
            constants.append((symbol, 0.0))
    return CanonicalSite(
        states=tuple(names[site.states[i]] for i in states),
        state_names=tuple(str(site.states[i]) for i in states),
        F=tuple(F[i].xreplace(names) for i in states),
        fields=tuple(kept),
        draws=tuple(replace(item, symbol=names[item.symbol]) for item in draws),
        constants=tuple(constants),
        arguments=_arguments(site, colours, names),
        functions=site.functions,
    )


def _rename(names: dict[sp.Symbol, sp.Symbol], prefix: str, symbols: Iterable[sp.Symbol]) -> None:
    # Leading zeros, so that the order of the names is the order of the numbers.
    names.update({symbol: sp.Symbol(f"{prefix}{number:04d}", real=True) for number, symbol in enumerate(symbols)})


def _draw(item: Quenched, settings: Settings) -> Draw:
    if item.kind == "bias":
        mean, std = settings.biases[item.name]
        return Draw(item.symbol, mean, std, 1.0)
    given = settings.inputs[item.name]
    spread = max(given.variance - given.mean**2, 0.0)
    fresh = given.time == "iid"
    if spread == 0.0:
        return Draw(item.symbol, given.mean, 0.0, 1.0, fresh)
    shared = (given.correlation * given.variance - given.mean**2) / spread
    return Draw(item.symbol, given.mean, spread**0.5, min(max(shared, -1.0), 1.0), fresh)


def _arguments(
    site: SiteForm, colours: dict[sp.Symbol, str], names: dict[sp.Symbol, sp.Symbol]
) -> tuple[tuple[str, sp.Expr], ...]:
    fields = {item.symbol for item in site.fields}
    found = [
        (item.name, site.functions.expand(item.argument))
        for item in site.definitions
        if item.argument is not None and item.argument.free_symbols & fields
    ]
    colour = _tree_colours(_postorder([argument for _, argument in found]), colours)
    found.sort(key=lambda item: colour[item[1]])
    return tuple((name, argument.xreplace(names)) for name, argument in found)


def _field_order(site: SiteForm, v: Sequence[sp.Expr], colours: dict[sp.Symbol, str]) -> list[int]:
    """Dependency order; among fields that are ready, the smallest colour first."""
    number = {item.symbol: k for k, item in enumerate(site.fields)}
    needs = [{number[symbol] for symbol in item.free_symbols if symbol in number} for item in v]
    waiting = sorted(range(len(v)), key=lambda k: colours[site.fields[k].symbol])
    order: list[int] = []
    while waiting:
        ready = next(k for k in waiting if needs[k] <= set(order))
        waiting.remove(ready)
        order.append(ready)
    return order


# Colours ------------------------------------------------------------------------------------------------------------


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def _refined(site: SiteForm, settings: Settings, F: Sequence[sp.Expr], v: Sequence[sp.Expr]) -> dict[sp.Symbol, str]:
    """Colour of every symbol: state, field, bias, input or parameter."""
    colours = _initial(site, settings)
    nodes = _postorder([*F, *v])
    classes = 0
    while len(set(colours.values())) > classes:
        classes = len(set(colours.values()))
        colours = _refine_once(site, F, v, nodes, colours)
    return colours


def _initial(site: SiteForm, settings: Settings) -> dict[sp.Symbol, str]:
    colours = dict.fromkeys(site.states, "state")
    for item in site.fields:
        colours[item.symbol] = _digest("field", repr(settings.gains[item.weight]))
    for quenched in site.quenched:
        draw = _draw(quenched, settings)
        colours[draw.symbol] = _digest(quenched.kind, repr(draw.mean), repr(draw.std), repr(draw.shared))
    for name, symbol in site.parameters.items():
        colours[symbol] = _digest("parameter", repr(settings.parameters[name]))
    return colours


def _refine_once(
    site: SiteForm,
    F: Sequence[sp.Expr],
    v: Sequence[sp.Expr],
    nodes: Sequence[sp.Expr],
    colours: dict[sp.Symbol, str],
) -> dict[sp.Symbol, str]:
    trees = _tree_colours(nodes, colours)
    uses: dict[sp.Basic, list[str]] = {node: [] for node in nodes}
    own: dict[sp.Symbol, str] = {}
    for state, f in zip(site.states, F, strict=True):
        uses[f].append(_digest("F", colours[state]))
        own[state] = trees[f]
    for item, operand in zip(site.fields, v, strict=True):
        uses[operand].append(_digest("v", colours[item.symbol]))
        own[item.symbol] = trees[operand]
    for members in site.groups.values():
        shared = sorted(colours[site.fields[k].symbol] for k in members)
        for k in members:
            own[site.fields[k].symbol] = _digest(own[site.fields[k].symbol], *shared)
    _spread_uses(nodes, trees, uses)
    return {
        symbol: _digest(colour, own.get(symbol, ""), *sorted(uses.get(symbol, [])))
        for symbol, colour in colours.items()
    }


def _spread_uses(nodes: Sequence[sp.Expr], trees: dict[sp.Basic, str], uses: dict[sp.Basic, list[str]]) -> None:
    """From users down to what they use; ``nodes`` has children before parents."""
    for node in reversed(nodes):
        here = _digest(trees[node], *sorted(uses[node]))
        for place, child in enumerate(_children(node)):
            uses[child].append(here if _commutes(node) else _digest(here, str(place)))


def _children(node: sp.Basic) -> tuple[sp.Basic, ...]:
    return (node.argument,) if isinstance(node, Fn) else node.args


def _commutes(node: sp.Basic) -> bool:
    return isinstance(node, (sp.Add, sp.Mul))


def _postorder(roots: Iterable[sp.Expr]) -> list[sp.Expr]:
    """Every distinct node once, children first."""
    order: dict[sp.Basic, None] = {}
    for root in roots:
        stack: list[tuple[sp.Basic, bool]] = [(root, False)]
        while stack:
            node, opened = stack.pop()
            if node in order:
                continue
            if opened:
                order[node] = None
            else:
                stack.append((node, True))
                stack.extend((child, False) for child in _children(node))
    return list(order)


def _tree_colours(nodes: Sequence[sp.Expr], colours: dict[sp.Symbol, str]) -> dict[sp.Basic, str]:
    """Hash of each expression tree with its symbols replaced by their colours."""
    found: dict[sp.Basic, str] = {}
    for node in nodes:
        if isinstance(node, sp.Symbol):
            found[node] = _digest("symbol", colours[node])
            continue
        inner = [found[child] for child in _children(node)]
        if _commutes(node):
            inner.sort()
        found[node] = _digest(_label(node), *inner)
    return found


def _label(node: sp.Basic) -> str:
    if isinstance(node, Fn):
        return f"{node.name}/{node.order}"
    return type(node).__name__ if node.args else str(node)
