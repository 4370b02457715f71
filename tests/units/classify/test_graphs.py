"""The trained layer of a graph as a head."""

import numpy as np


def test_labels_are_sorted_with_their_weights_also_when_there_are_two():
    from classify.model.import_graph import _head

    rng = np.random.default_rng(0)
    for names in (["rose", "daisy"], ["c", "a", "b"]):
        weights, biases = rng.normal(size=(4, len(names))), rng.normal(size=len(names))
        x = rng.normal(size=(5, 4))
        scores = np.exp(x @ weights + biases)
        expected = scores / scores.sum(axis=1, keepdims=True)
        head = _head(weights, biases, names)
        assert list(head.classes_) == sorted(names)
        given = head.predict_proba(x)
        np.testing.assert_allclose(given, expected[:, np.argsort(names)], rtol=1e-12)
        assert list(head.predict(x)) == [names[i] for i in expected.argmax(axis=1)]
