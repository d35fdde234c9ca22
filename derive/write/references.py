"""Which equations a step starts from, and how a document refers to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from derive.write.medium import Medium

_MEAN_FIELD = ("close field covariances", "stationary moments")
_ANY = (*_MEAN_FIELD, "boundary of the support", "growth per step chi1", "two replicas")

SOURCES: Mapping[str, tuple[str, ...]] = {
    "eliminate states": ("fields",),
    "implicit states": ("fields",),
    "close field covariances": ("fields", "eliminate states", "implicit states"),
    "field covariances": ("fields",),
    "moment recursion": ("fields",),
    "stationary moments": ("moment recursion",),
    "closure fails": ("fields",),
    "sampled chain": ("fields",),
    "linearisation": ("fields",),
    "transfer matrix": ("eliminate states", "linearisation"),
    "gain matrix": ("transfer matrix",),
    "boundary of the support": ("gain matrix",),
    "outliers": ("fields", "transfer matrix"),
    "exact eigenvalues": ("linearisation",),
    "perturbations": ("linearisation",),
    "growth per step chi1": ("perturbations",),
    "two replicas": ("fields",),
    "stationary covariances": ("fields",),
    "linear filters": ("fields", "stationary covariances"),
    "motion in a potential": ("fields", "stationary covariances"),
    "tilted dynamics": ("linearisation",),
    "maximal Lyapunov exponent": ("tilted dynamics",),
    "perturbations that fields carry": ("linearisation",),
    "first moment of the squared singular values": ("perturbations that fields carry",),
    "second moment of the squared singular values": ("perturbations that fields carry",),
    "moments of the states": ("fields",),
    "fields of a product of steps": ("linearisation",),
    "units of a product of steps": ("linearisation", "fields of a product of steps"),
    "pairs of units of a product of steps": ("perturbations that fields carry", "fields of a product of steps"),
    "moments of a product of steps": ("units of a product of steps", "pairs of units of a product of steps"),
    "correlation length": ("linearisation", "two replicas"),
    "zero state: boundary of the support": ("boundary of the support",),
    "zero state: onset of instability": ("zero state: boundary of the support",),
    "zero state: growth of perturbations": ("growth per step chi1",),
    "saturated gate": ("close field covariances", "boundary of the support"),
    "closed forms: error function": _ANY,
    "closed forms: ReLU": _ANY,
}
"""Rule -> rules whose equations it starts from; those that a document does not have are passed over."""


def sources_of(rule: str) -> tuple[str, ...]:
    """Rules that a step starts from; what stands between backticks in its name is a name of the cell."""
    return SOURCES.get(rule.split("`")[0].strip(), ())


@dataclass(frozen=True)
class Equation:
    """A numbered equation: its number and, where a medium counts by itself, its label."""

    number: int
    label: str


@dataclass
class Register:
    """Equations by the rule of their step, in the order of the document.

    Labels are made of the rule and the place in its step, so that they stay when other steps come and go.
    """

    count: int = 0
    _labels: dict[str, str] = field(default_factory=dict)
    _spans: dict[str, tuple[Equation, Equation]] = field(default_factory=dict)
    _places: dict[str, int] = field(default_factory=dict)

    def add(self, rule: str, rows: int) -> tuple[Equation, ...]:
        """Numbers and labels for the next equations of a step."""
        place = self._places.get(rule, 0)
        self._places[rule] = place + rows
        stem = self._stem(rule)
        added = tuple(Equation(self.count + k, f"{stem}-{place + k}") for k in range(1, rows + 1))
        self.count += rows
        if added:
            self._spans[rule] = self._spans.get(rule, (added[0], added[0]))[0], added[-1]
        return added

    def _stem(self, rule: str) -> str:
        """The rule in letters and digits; a number tells rules apart that would read the same."""
        if rule not in self._labels:
            plain = re.sub(r"[^a-z0-9]+", "-", rule.lower()).strip("-") or "equation"
            used, stem, number = set(self._labels.values()), plain, 1
            while stem in used:
                number += 1
                stem = f"{plain}-no-{number}"
            self._labels[rule] = stem
        return self._labels[rule]

    def cite(self, rules: Iterable[str], medium: Medium) -> str:
        """(1)–(3), (5): the equations of these rules as far as there are any yet."""
        parts = []
        for first, last in sorted({self._spans[rule] for rule in rules if rule in self._spans}, key=_number):
            start, end = (medium.reference(item.number, item.label) for item in (first, last))
            parts.append(start if first == last else f"{start}{medium.dash}{end}")
        return ", ".join(parts)


def _number(span: tuple[Equation, Equation]) -> int:
    return span[0].number
