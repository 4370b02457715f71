import signal
import warnings

import numpy as np
import pytest

from classify.heads.fitting import fit_head, interruptible
from classify.heads.registry import make_head


@pytest.mark.parametrize("head", ["mlp", "mlp:class_weight=balanced"])
def test_ctrl_c_ends_a_fit_that_would_not_end(head):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 50)), rng.permutation(np.repeat(["ant", "bee"], 200))
    endless = "max_iter=1000000,tol=0.0,n_iter_no_change=1000000"
    unfitted = make_head(f"{head}{',' if ':' in head else ':'}{endless}", widths=[50])

    def ctrl_c(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, ctrl_c)
    signal.setitimer(signal.ITIMER_REAL, 0.8)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit_head(unfitted, X, y)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_other_warnings_pass():
    with pytest.warns(UserWarning, match="hot"), interruptible():
        warnings.warn("hot", UserWarning, stacklevel=1)
