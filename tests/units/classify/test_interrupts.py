import warnings

import pytest

from classify.heads.fitting import interruptible


def test_other_warnings_pass():
    with pytest.warns(UserWarning, match="hot"), interruptible():
        warnings.warn("hot", UserWarning, stacklevel=1)
