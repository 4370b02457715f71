"""A small trained model that several files look at."""

import pytest

from classify.training.train import train


@pytest.fixture
def model(described):
    return train(described, "softmax", "wide")
