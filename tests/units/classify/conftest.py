"""Small trained models that several files look at."""

import pytest

from classify.training.train import train


@pytest.fixture
def described(separable):
    """The separable table, with a description of how its vectors were made."""
    for name in separable.features:
        separable.metadata["features"][name] = {
            "spec": name,
            "family": "imported",
            "fingerprint": f"{name:0<64}",
            "description": {"layer": "mixed8", "resize": {"size": 299, "kind": "bilinear"}},
            "weights": {"source": "file", "file": "w.h5", "sha256": "ab" * 32},
        }
    return separable


@pytest.fixture
def model(described):
    return train(described, "softmax", "wide")
