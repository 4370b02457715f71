import numpy as np

from classify.prediction.predict import Predictions


def test_best_is_best_first():
    result = Predictions(["x"], ["a", "b", "c"], np.array([[0.2, 0.5, 0.3]]), [None])
    assert result.best(0) == [("b", 0.5), ("c", 0.3), ("a", 0.2)]
    assert result.best(0, 2) == [("b", 0.5), ("c", 0.3)]
