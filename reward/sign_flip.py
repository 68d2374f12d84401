"""Whether a mean difference is more than chance: the randomisation test of paired differences, exact for few pairs.

Where neither model is better, a prompt's difference is as likely with the other sign (R. Fisher: The Design of
Experiments, 1935, section 21). Unlike an interval of a bootstrap, which is too narrow for few prompts, its error is
what it says for any number: six prompts, all of one sign, have a p-value of 1/64 and no smaller one.
"""

from itertools import product

import numpy as np
from jaxtyping import Float64

from levo.song.arrays import Array

_MOST_EXACT = 12
_NUM_DRAWS = 20_000
_TIE = 1e-12


def sign_flip_p_value(differences: Float64[Array, " prompt"], *, seed: int, num_draws: int = _NUM_DRAWS) -> float:
    """The share of sign patterns whose mean is as large as the one seen, or larger: one-sided, for a mean above zero.

    Up to twelve differences all patterns are tried, above that `num_draws` of them, the one seen counted among them.
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
    signs = generator.integers(0, 2, (num_draws, len(differences))) * 2.0 - 1.0
    return float((1 + (signs @ differences >= least).sum()) / (1 + num_draws))
