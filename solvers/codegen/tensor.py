"""Product rules in two to four dimensions, fitted to the integrand and refined axis by axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from solvers.budget import check_budget
from solvers.codegen.adaptive import LIMIT, AdaptiveIntegrator, AdaptiveResult, panels_from_edges, start_edges
from solvers.codegen.axes import AxisRule, SinhRule, graded_panels
from solvers.codegen.rules import ROUNDOFF

Function = Callable[[np.ndarray], np.ndarray]
Hint = tuple[float, float]

_SLICES = 8
_SEED = 71
_SLICE_RTOL = 1e-13
_PROBE_NODES = 64
_STEEPNESS = (0.3, 0.6, 1.0, 1.6, 2.5, 4.0, 6.5, 10.0, 18.0, 32.0, 100.0, 320.0, 1e3, 1e4, 1e6)
_ZOOM_POINTS = 65
_CHUNK = 2_000_000
_MAX_RADIUS = 38.0
_ROUNDS = 40
_FEWEST = 12  # nodes of an axis below which a coarser rule says nothing


@dataclass(frozen=True)
class _Sums:
    value: np.ndarray  # (m,)
    size: np.ndarray  # (m,) sum of magnitudes
    shell: np.ndarray  # (m,) part of it in the outermost shell
    marginals: list[np.ndarray]  # per axis (m, n)
    evaluations: int


@dataclass(frozen=True)
class Fitted:
    """Value and error ``(m,)``, evaluations used, and the product rule that gave them."""

    value: np.ndarray
    error: np.ndarray
    evaluations: int
    rules: list[AxisRule]
    radius: float


def tensor_average(
    f: Function,
    dimension: int,
    rtol: float,
    atol: float | np.ndarray,
    hints: list[list[Hint] | None],
    max_evaluations: float,
    max_nodes: float = np.inf,
) -> Fitted:
    """Average m integrands by a product rule fitted to them.

    Refines the axes above their share of the error until the tolerance is met or the next rule would exceed
    ``max_evaluations`` in all or ``max_nodes`` itself.  A first rule that exceeds them is coarsened; where not even
    that helps (many kinks), nothing is evaluated and the error is inf.  A non-finite integrand inside the ball of nodes
    gives value nan and error inf.
    """
    radius = float(np.sqrt(2.0 * np.log(1.0 / max(rtol, 1e-15))) + 1.2)
    rules, used = _start(f, dimension, rtol, hints, radius)
    best: Fitted | None = None
    fill = _share_inside(rules, radius)  # of the product nodes, in the ball
    most = min(max_evaluations, max_nodes)
    rules = _affordable(rules, most / fill)
    if fill * _product_size(rules) > most:
        count = np.atleast_2d(f(np.zeros((dimension, 1)))).shape[0]
        return Fitted(np.zeros(count), np.full(count, np.inf), used, rules, radius)
    for _ in range(_ROUNDS):
        cost = _product_size(rules)
        if best is not None and (used + fill * cost > max_evaluations or fill * cost > max_nodes):
            break
        sums = _apply(f, rules, radius)
        used += sums.evaluations
        fill = sums.evaluations / cost
        if not np.all(np.isfinite(sums.size)):
            bad = ~np.isfinite(sums.size)
            return Fitted(np.where(bad, np.nan, sums.value), np.where(bad, np.inf, sums.size), used, rules, radius)
        tolerance = np.maximum(atol, rtol * np.abs(sums.value))
        errors = np.array([rule.error(marginal) for rule, marginal in zip(rules, sums.marginals, strict=True)])
        error = errors.sum(axis=0) + sums.shell + ROUNDOFF * sums.size
        if best is None or np.sum(error) < np.sum(best.error):
            best = Fitted(sums.value, error, used, rules, radius)
        if np.all(error <= tolerance):
            return replace(best, value=sums.value, error=error, evaluations=used, rules=rules, radius=radius)
        goal = np.maximum(tolerance, 2.0 * ROUNDOFF * sums.size) / (2.0 * dimension)
        refine = (errors > goal).any(axis=1)
        grow = bool((sums.shell > 0.2 * tolerance).any()) and radius < _MAX_RADIUS
        if not refine.any() and not grow:
            break
        rules = [
            rule.refined(marginal, 0.5 * goal) if chosen else rule
            for rule, marginal, chosen in zip(rules, sums.marginals, refine, strict=True)
        ]
        if grow:
            radius = min(radius + 1.0 if radius < 12.0 else 1.25 * radius, _MAX_RADIUS)
            rules = [rule.extended(radius) for rule in rules]
    assert best is not None
    return replace(best, evaluations=used)


def _product_size(rules: list[AxisRule]) -> float:
    return float(np.prod([float(rule.nodes.size) for rule in rules]))


def _share_inside(rules: list[AxisRule], radius: float) -> float:
    """Roughly which share of the nodes of a product rule lies in the ball."""
    rng = np.random.default_rng(_SEED)
    square = sum(rng.choice(rule.nodes, 4096) ** 2 for rule in rules)
    return max(float(np.mean(np.asarray(square) <= radius**2)), 1e-3)


def _affordable(rules: list[AxisRule], limit: float) -> list[AxisRule]:
    """Rules of at most ``limit`` nodes in all, if coarser steps can do it: what they miss shows in their errors."""
    while _product_size(rules) > limit:
        coarser = [
            replace(rule, step=1.15 * rule.step) if isinstance(rule, SinhRule) and rule.nodes.size > _FEWEST else rule
            for rule in rules
        ]
        if coarser == rules:
            break
        rules = coarser
    return rules


def _apply(f: Function, rules: list[AxisRule], radius: float) -> _Sums:
    """Evaluate the product rule on the nodes inside the ball, slab by slab along the longest axis."""
    order = np.argsort([-rule.nodes.size for rule in rules], kind="stable")
    nodes = [rules[i].nodes for i in order]
    weights = [rules[i].weights for i in order]
    rest = int(np.prod([x.size for x in nodes[1:]]))
    thickness = max(1, _CHUNK // rest)
    parts = [
        _slab(f, nodes, weights, order, slice(k, k + thickness), radius) for k in range(0, nodes[0].size, thickness)
    ]
    marginals: list[np.ndarray] = [np.zeros(0)] * len(rules)
    for place, axis in enumerate(order):
        pieces = [part.marginals[place] for part in parts]
        marginals[int(axis)] = np.concatenate(pieces, axis=1) if place == 0 else np.sum(pieces, axis=0)
    return _Sums(
        np.sum([p.value for p in parts], axis=0),
        np.sum([p.size for p in parts], axis=0),
        np.sum([p.shell for p in parts], axis=0),
        marginals,
        sum(p.evaluations for p in parts),
    )


def _slab(
    f: Function, nodes: list[np.ndarray], weights: list[np.ndarray], order: np.ndarray, part: slice, radius: float
) -> _Sums:
    axes = [nodes[0][part], *nodes[1:]]
    factors = [weights[0][part], *weights[1:]]
    shape = tuple(x.size for x in axes)
    square = sum(x.reshape([-1 if i == k else 1 for i in range(len(axes))]) ** 2 for k, x in enumerate(axes))
    inside = np.asarray(square) <= radius**2
    picks = np.nonzero(inside)
    x = np.empty((len(axes), picks[0].size))
    for place, axis in enumerate(order):
        x[axis] = axes[place][picks[place]]
    if not x.size:
        zero = np.zeros(1)
        return _Sums(zero, zero, zero, [np.zeros((1, n)) for n in shape], 0)
    check_budget()
    with np.errstate(all="ignore"):
        values = np.atleast_2d(f(x))
    if values.ndim != 2 or values.shape[1] != x.shape[1]:
        raise ValueError(f"the integrand returned shape {values.shape} for {x.shape[1]} nodes, expected (m, n)")
    table = np.zeros((values.shape[0], *shape), dtype=complex if np.iscomplexobj(values) else float)
    table[:, inside] = values
    marginals = _marginals(table, factors)
    with np.errstate(all="ignore"):
        magnitude = np.abs(table)
        size = _contract(magnitude, factors)
        magnitude *= np.asarray(square) >= (radius - 0.5) ** 2
        shell = _contract(magnitude, factors)
        value = marginals[0] @ factors[0]
    return _Sums(value, size, shell, marginals, x.shape[1])


def _contract(table: np.ndarray, factors: list[np.ndarray]) -> np.ndarray:
    for weight in reversed(factors):
        table = table @ weight
    return table


def _marginals(table: np.ndarray, factors: list[np.ndarray]) -> list[np.ndarray]:
    """Averages over all axes but one, ``(m, n)`` each; axis 0 of the table is the integrand."""
    if len(factors) == 1:
        return [table]
    shape = table.shape
    half = len(factors) // 2
    left = int(np.prod(shape[1 : 1 + half]))
    matrix = table.reshape(shape[0], left, -1)
    first, second = _outer(factors[:half]), _outer(factors[half:])
    with np.errstate(all="ignore"):
        head = (matrix @ second).reshape(shape[0], *shape[1 : 1 + half])
        tail = (first @ matrix).reshape(shape[0], *shape[1 + half :])
    return _marginals(head, factors[:half]) + _marginals(tail, factors[half:])


def _outer(factors: list[np.ndarray]) -> np.ndarray:
    product = factors[0]
    for weight in factors[1:]:
        product = (product[:, None] * weight).ravel()
    return product


def _start(
    f: Function, dimension: int, rtol: float, hints: list[list[Hint] | None], radius: float
) -> tuple[list[AxisRule], int]:
    """Choose a rule per axis by trying candidates on slices of the integrand."""
    settings = np.random.default_rng(_SEED).standard_normal((dimension, dimension * _SLICES))
    # Wider settings show how sharp the axis gets in the tails of the others.
    settings[:, 1::2] *= 2.5
    axis_of = np.repeat(np.arange(dimension), _SLICES)

    def sliced(x: np.ndarray, index: np.ndarray) -> np.ndarray:
        points = settings[:, index]
        points[axis_of[index], np.arange(x.size)] = x
        return np.atleast_2d(f(points))

    none = np.zeros((axis_of.size, 0))
    # Shifted, so that a kink at a round number is not hidden on a panel border.
    start = panels_from_edges(np.clip(start_edges(0.5, none, none) + 0.0137, -LIMIT, LIMIT))
    # Slices through regions where the integrand is negligible must not eat the effort: judge all on one scale.
    rough = AdaptiveIntegrator(sliced, axis_of.size, 1.0, 0.0, 0.0).run(start)
    floor = _SLICE_RTOL * np.nanmax(np.abs(rough.value), axis=1, keepdims=True, initial=0.0)
    result = AdaptiveIntegrator(sliced, axis_of.size, _SLICE_RTOL, floor, 4e5).run(start)
    used, rules = rough.evaluations + result.evaluations, []
    for axis in range(dimension):
        members = np.nonzero(axis_of == axis)[0]
        features = _features(result, members)
        given = hints[axis]
        fitted, tried = _fit(sliced, members, result, given, features, radius, rtol)
        used += tried
        rules.append(fitted)
    return rules, used


def _features(result: AdaptiveResult, members: np.ndarray) -> list[Hint]:
    """(centre, width) of the narrowest panel of each slice that had to be split, without repetitions."""
    found: list[Hint] = []
    for member in members:
        own = np.nonzero((result.panels.member == member) & (np.abs(result.panels.left) < 9.0))[0]
        width = result.panels.right[own] - result.panels.left[own]
        narrow = own[width <= 1.5 * width.min()]
        # The culprit sits in one of the equally narrow neighbours: take them together.
        left, right = float(result.panels.left[narrow].min()), float(result.panels.right[narrow].max())
        if width.min() < 0.4:
            centre, span = 0.5 * (left + right), right - left
            found.append((0.0 if abs(centre) < span else centre, span))
    distinct: list[Hint] = []
    for centre, width in sorted(found, key=lambda item: item[1]):
        if all(abs(centre - other) > 4.0 * max(width, scale) for other, scale in distinct):
            distinct.append((centre, width))
    return distinct


def _fit(
    sliced: Callable[[np.ndarray, np.ndarray], np.ndarray],
    members: np.ndarray,
    result: AdaptiveResult,
    given: list[Hint] | None,
    features: list[Hint],
    radius: float,
    rtol: float,
) -> tuple[AxisRule, int]:
    """The sinh rule that does best on the slices of one axis, or panels where none does well."""
    if given and (len(given) > 1 or given[0][1] == 0):
        return graded_panels(given, radius), 0
    if given is None:
        size = np.abs(result.value[:, members]).max(axis=0)
        kinks, tried = _kinks(sliced, members[size > 1e-6 * size.max()], features)
        if 0 < len(kinks) <= 3:
            return graded_panels([(c, 0.0 if c == 0 else 0.5 * w) for c, w in kinks], radius), tried
    centres = [0.0, *(centre for centre, _ in (given or features)[:4])]
    if features:
        centres.append(float(np.mean([centre for centre, _ in features])))
    else:
        centres += [-1.0, -0.5, 0.5, 1.0]
    steep = np.array(_STEEPNESS if not given else [*_STEEPNESS, 1.0 / given[0][1]])
    candidates = [(c, s) for c in dict.fromkeys(centres) for s in steep]
    coarse, fine = ([_with_nodes(c, s, radius, n) for c, s in candidates] for n in (_PROBE_NODES // 2, _PROBE_NODES))
    scores, used = _scores(sliced, members, result, coarse + fine)
    scores = np.maximum(scores.reshape(2, -1), 1e-15)
    # Easy integrands saturate the finer probe, hard ones the coarser: rank by both.  A transition at the origin is
    # commoner than one that merely scores a little better elsewhere.
    handicap = np.array([0.01 if c == 0 else 1.0 for c, _ in candidates])
    best = int(np.argmin(scores[0] * scores[1] * handicap))
    saturated = scores[1, best] < 1e-13
    chosen, score = (coarse[best], scores[0, best]) if saturated else (fine[best], scores[1, best])
    # Exponential convergence err = exp(-C / h) fixes the step for the tolerance.
    gain = np.log(min(score, 0.1)) / np.log(max(1e-5 * rtol, 1e-17))
    step = chosen.step * float(np.clip(gain, 0.4, 1.3))
    # Slices show only part of the range of scales; going beyond it costs the logarithm of the factor.
    steepness = chosen.steepness * (300.0 if chosen.steepness > 30.0 and not given else 1.0)
    return SinhRule(chosen.centre, steepness, step, radius), used


def _kinks(
    sliced: Callable[[np.ndarray, np.ndarray], np.ndarray], members: np.ndarray, features: list[Hint]
) -> tuple[list[Hint], int]:
    """Kinks and jumps as (position, uncertainty) that sit at the same place in every slice that has a feature."""
    found: list[Hint] = []
    used = 0
    for centre, width in features[:4]:
        places = [_zoom(sliced, int(member), centre, width) for member in members]
        used += 8 * _ZOOM_POINTS * members.size
        sharp = [place for place in places if place is not None]
        # An oblique kink moves from slice to slice, a smooth step of varying width is sharp in a few slices only.
        if len(sharp) < 0.7 * members.size:
            continue
        middle = float(np.median([place for place, _ in sharp]))
        uncertainty = max(2.0 * max(abs(place - middle) for place, _ in sharp), min(w for _, w in sharp))
        if uncertainty < 1e-6 and all(abs(middle - other) > 1e-6 for other, _ in found):
            found.append((0.0 if abs(middle) < uncertainty else middle, uncertainty))
    return found, used


def _zoom(
    sliced: Callable[[np.ndarray, np.ndarray], np.ndarray], member: int, centre: float, width: float
) -> Hint | None:
    """Follow the largest second difference of one slice down to rounding: (position, width), None if it is smooth."""
    half = width
    for _ in range(12):
        x = centre + half * np.linspace(-1.0, 1.0, _ZOOM_POINTS)
        with np.errstate(all="ignore"):
            values = sliced(x, np.full(x.size, member))
        bend = np.abs(np.diff(values, n=2, axis=1)).sum(axis=0)
        top = int(np.argmax(bend))
        share = bend[max(top - 1, 0) : top + 2].sum() / max(float(bend.sum()), 1e-300)
        if not share > 0.7:
            return None
        centre, half = float(x[top + 1]), half / 16.0
        step = np.abs(np.diff(values, axis=1)).max()
        jump = step > 1e-3 * np.abs(values).max()
        if half < (1e-13 if jump else 3e-9) * max(1.0, abs(centre)):
            return centre, half
    return None


def _with_nodes(centre: float, steepness: float, radius: float, count: int) -> SinhRule:
    span = np.arcsinh(0.5 * steepness * (radius - centre)) + np.arcsinh(0.5 * steepness * (radius + centre))
    return SinhRule(centre, steepness, float(span / count), radius)


def _scores(
    sliced: Callable[[np.ndarray, np.ndarray], np.ndarray],
    members: np.ndarray,
    result: AdaptiveResult,
    rules: list[SinhRule],
) -> tuple[np.ndarray, int]:
    """Error of each rule on the slices relative to the typical slice, against the adaptive values."""
    nodes, weights = [rule.nodes for rule in rules], [rule.weights for rule in rules]
    flat, flat_weights = np.concatenate(nodes), np.concatenate(weights)
    starts = np.cumsum([0, *(x.size for x in nodes[:-1])])
    x, index = np.tile(flat, members.size), np.repeat(members, flat.size)
    with np.errstate(all="ignore"):
        values = sliced(x, index)
        values = values.reshape(values.shape[0], members.size, flat.size) * flat_weights
        sums = np.add.reduceat(values, starts, axis=2)
        exact = result.value[:, members]
        scale = np.mean(np.abs(exact), axis=1, keepdims=True) + 1e-300
        scores = np.max(np.abs(sums - exact[:, :, None]) / scale[:, :, None], axis=(0, 1))
    return np.where(np.isfinite(scores), scores, 1.0), x.size
