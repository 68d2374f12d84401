"""Whether a mean difference is more than chance: the randomisation test of paired differences, exact for few pairs.

Where neither model is better, a prompt's difference is as likely with the other sign (R. Fisher: The Design of
Experiments, 1935, section 21). Unlike an interval of a bootstrap, which is too narrow for few prompts, its error is
what it says for any number: six prompts, all of one sign, have a p-value of 1/64 and no smaller one.
"""

from itertools import product
from math import ceil

import numpy as np
from jaxtyping import Float64

from levo.song.arrays import Array

_MOST_EXACT = 12
_NUM_DRAWS = 20_000
_MOST_DRAWS = 1 << 24
_DRAWS_PER_BLOCK = 1 << 11
_DRAWS_PER_LEVEL = 20
_ENOUGH = 1000
"""Patterns as good as the one seen, after which no more are drawn: their share is known to some 3 %."""
_TIE = 1e-12


def draws_for(level: float) -> int:
    """How many patterns tell whether a p-value is below `level`: so many that twenty as good ones would just be."""
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a probability between 0 and 1")
    return min(_MOST_DRAWS, max(_NUM_DRAWS, ceil(_DRAWS_PER_LEVEL / level)))


def least_p_value(num_differences: int, num_draws: int = _NUM_DRAWS) -> float:
    """The smallest p-value that so many differences can have: all of one sign, and no pattern drawn as good."""
    if num_differences <= _MOST_EXACT:
        return 0.5**num_differences
    return max(0.5**num_differences, 1 / (1 + num_draws))


def sign_flip_p_value(differences: Float64[Array, " prompt"], *, seed: int, num_draws: int = _NUM_DRAWS) -> float:
    """The share of sign patterns whose mean is as large as the one seen, or larger: one-sided, for a mean above zero.

    Up to twelve differences all patterns are tried, above that at most `num_draws` of them, the one seen counted among
    them; fewer where enough are as large (J. Besag, P. Clifford: Sequential Monte Carlo p-values, Biometrika 1991).
    Raises `ValueError` for no differences, or one that is not finite.
    """
    if len(differences) == 0 or not np.isfinite(differences).all():
        raise ValueError(f"differences {differences[:5]}; expected one or more finite numbers")
    seen = float(differences.sum())
    least = seen - _TIE * float(np.abs(differences).sum())
    if len(differences) <= _MOST_EXACT:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(differences))))
        return float((signs @ differences >= least).mean())
    generator = np.random.default_rng(seed)
    num_as_large = 0
    for start in range(0, num_draws, _DRAWS_PER_BLOCK):
        rows = min(_DRAWS_PER_BLOCK, num_draws - start)
        drawn = generator.integers(0, 256, (rows, ceil(len(differences) / 8)), np.uint8)
        signs = np.unpackbits(drawn, axis=1, count=len(differences)) * 2.0 - 1.0
        num_as_large += int((signs @ differences >= least).sum())
        if num_as_large >= _ENOUGH:
            return (1 + num_as_large) / (1 + start + rows)
    return (1 + num_as_large) / (1 + num_draws)
