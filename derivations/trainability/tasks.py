"""Two sequence tasks that need no download: digits read row by row, and bits to be recalled, both after a long blank.

A sequence of length T shows its content first and zeros after it; the answer is asked for at the last step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits

ROWS = 8


@dataclass(frozen=True)
class Task:
    """Sequences and answers.

    inputs : numbers shown at a step; outputs : of the readout; steps : that show something; chance : accuracy of a
    guess; name : in the table.
    """

    name: str
    inputs: int
    outputs: int
    steps: int
    chance: float

    def batch(self, length: int, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """(size, length, inputs) and answers, for training."""
        raise NotImplementedError

    def test(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The same, never trained on."""
        raise NotImplementedError

    def loss(self, readout: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
        """Mean cross entropy."""
        raise NotImplementedError

    def accuracy(self, readout: torch.Tensor, answer: torch.Tensor) -> float:
        """Share of right answers."""
        raise NotImplementedError


class Digits(Task):
    """The 1797 digits of scikit-learn, 8 x 8 pixels, a row a step, mean 0 and variance 1; 360 are kept for testing."""

    def __init__(self) -> None:
        super().__init__("digits", ROWS, 10, ROWS, 0.1)
        data = load_digits()
        images = (data.images - data.images.mean()) / data.images.std()
        order = np.random.default_rng(0).permutation(len(images))
        images, targets = images[order].astype(np.float32), data.target[order]
        object.__setattr__(self, "_train", (images[360:], targets[360:]))
        object.__setattr__(self, "_test", (images[:360], targets[:360]))

    def batch(self, length: int, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        images, targets = self._train
        chosen = rng.integers(len(images), size=size)
        return _padded(images[chosen], length), torch.as_tensor(targets[chosen])

    def test(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        images, targets = self._test
        return _padded(images, length), torch.as_tensor(targets)

    def loss(self, readout: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(readout, answer)

    def accuracy(self, readout: torch.Tensor, answer: torch.Tensor) -> float:
        return float((readout.argmax(1) == answer).double().mean())


class Recall(Task):
    """Eight random signs at the first step, to be said at the last."""

    def __init__(self) -> None:
        super().__init__("recall", 8, 8, 1, 0.5)

    def batch(self, length: int, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        signs = rng.choice([-1.0, 1.0], size=(size, 1, 8)).astype(np.float32)
        return _padded(signs, length), torch.as_tensor((signs[:, 0] > 0).astype(np.float32))

    def test(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.batch(length, 256, np.random.default_rng(1))

    def loss(self, readout: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(readout, answer)

    def accuracy(self, readout: torch.Tensor, answer: torch.Tensor) -> float:
        return float(((readout > 0) == (answer > 0.5)).double().mean())


def _padded(content: np.ndarray, length: int) -> torch.Tensor:
    size, steps, inputs = content.shape
    sequences = torch.zeros(size, length, inputs)
    sequences[:, :steps] = torch.as_tensor(content)
    return sequences
