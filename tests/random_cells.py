"""Random cells as text: one to three states, one to five matrices, nested and shared products, biases and inputs.

Activations are mostly bounded, gains moderate and every state has a leak or a bounded update, so that most
cells have a solution to compare with a network.
"""

from __future__ import annotations

import random
import re

BOUNDED = ("tanh",) * 6 + ("erf", "erf", "softsign", "sin", "arctan", "hard_tanh")
GATES = ("sigmoid",) * 7 + ("hard_sigmoid",)


class _Draw:
    """One cell; ``text`` is its file."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        pick = self.rng
        self.name = f"random-{seed}"
        self.discrete = pick.random() < 0.6
        self.states = [f"s{k}" for k in range(1, pick.choice((1, 1, 2, 2, 3)) + 1)]
        self.matrices = pick.randint(1, 5)
        self.lines: list[str] = []
        self.weights: dict[str, float] = {}
        self.biases: dict[str, tuple[float, float]] = {}
        self.has_input = pick.random() < 0.4
        self.gates: list[str] = []
        self.bounded = False
        self.unbounded = pick.random() < 0.15
        for number in range(pick.choice((0, 1, 1, 2))):
            self._gate(f"g{number}")
        for state in self.states:
            self._update(state)
        pick.shuffle(self.lines)

    # Pieces ------------------------------------------------------------------------------------------------

    def _matrix(self) -> str:
        """A new matrix while there are any left, and now and then one that is used already."""
        if self.weights and (len(self.weights) >= self.matrices or self.rng.random() < 0.2):
            return self.rng.choice(sorted(self.weights))
        name = f"W{len(self.weights)}"
        self.weights[name] = round(self.rng.uniform(0.4, 2.2), 2)
        return name

    def _operand(self, state: str, nested: bool) -> str:
        choice = self.rng.random()
        if nested and self.gates and choice < 0.4:
            return f"({self.rng.choice(self.gates)} * {state})"
        if self.bounded or choice < 0.55:
            return f"tanh({state})"
        if choice < 0.6 and self.discrete:
            return f"({state} * {state})"
        return state

    def _product(self, nested: bool = True) -> str:
        return f"{self._matrix()} @ {self._operand(self.rng.choice(self.states), nested)}"

    def _bias(self) -> str:
        name = f"b{len(self.biases)}"
        std = self.rng.choice((0.0, round(self.rng.uniform(0.1, 0.8), 2)))
        self.biases[name] = (round(self.rng.uniform(-0.6, 0.6), 2), std)
        return name

    def _argument(self, own: str | None = None, nested: bool = True) -> str:
        terms = [f"{self._matrix()} @ {self._operand(own, nested)}" if own else self._product(nested)]
        if self.rng.random() < 0.3:
            terms.append(self._product(nested))
        if self.rng.random() < 0.45:
            terms.append(self._bias())
        if self.has_input and self.rng.random() < 0.5:
            self.weights.setdefault("V", round(self.rng.uniform(0.3, 1.0), 2))
            terms.append("V @ x")
        if nested and self.gates and self.rng.random() < 0.2:
            terms[0] = f"{self.rng.choice(self.gates)} * ({terms[0]})"
        return " + ".join(terms)

    def _gate(self, name: str) -> None:
        self.lines.append(f"{name} = {self.rng.choice(GATES)}({self._argument(nested=False)})")
        self.gates.append(name)

    def _activation(self) -> str:
        return "relu" if self.unbounded and self.rng.random() < 0.5 else self.rng.choice(BOUNDED)

    def _update(self, state: str) -> None:
        body = f"{self._activation()}({self._argument(state)})"
        gate = self.rng.choice(self.gates) if self.gates else None
        kind = self.rng.random()
        if not self.discrete:
            left = f"d{state}/dt" if self.rng.random() < 0.6 else f"{self.rng.choice((0.5, 2, 3))}*d{state}/dt"
            self.bounded = kind >= 0.5  # a linear equation has a solution where what it is fed with is bounded
            inner = f"-{state} + {self._argument(state)}" if self.bounded else f"-{state} + {body}"
            self.bounded = False
            if gate and self.rng.random() < 0.5:
                inner = f"{gate} * ({inner})"
            self.lines.append(f"{left} = {inner}")
        elif gate and kind < 0.45:
            self.lines.append(f"{state}' = {gate}*{state} + (1 - {gate})*{body}")
        elif kind < 0.6:
            self.lines.append(f"{state}' = 0.4*{state} + 0.6*{body}")
        else:
            self.lines.append(f"{state}' = {body}")

    # Text ---------------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        gain = 0.55 if self.unbounded else 1.0
        parts = [f'name = "{self.name}"', 'equations = """', *self.lines, '"""', "[weights]"]
        parts += [f"{name} = {round(value * gain, 3)}" for name, value in self.weights.items()]
        used = {name: law for name, law in self.biases.items() if re.search(rf"\b{name}\b", " ".join(self.lines))}
        if used:
            parts.append("[biases]")
            parts += [f"{name} = {{ mean = {mean}, std = {std} }}" for name, (mean, std) in used.items()]
        if "V" in self.weights:
            parts += ["[inputs]", "x = { variance = 0.8, correlation = 0.5 }"]
        return "\n".join(parts) + "\n"


def random_cell(seed: int) -> str:
    """The text of cell number ``seed``; the same text every time."""
    return _Draw(seed).text
