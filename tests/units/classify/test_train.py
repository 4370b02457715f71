import logging

import numpy as np
import pyarrow as pa
import pytest

from classify.heads.fitting import fit_head
from classify.heads.registry import make_head
from classify.training.train import train
from featurize.errors import ModelError, TableError, UsageError
from featurize.table import FeatureTable


def test_training_is_fitting_the_head_on_the_usable_rows(separable):
    table = separable.with_column("split", (["training"] * 4 + ["testing"]) * 12)
    model = train(table, "svm:C=3", "wide+noise", seed=2)
    rows = table.filter(table.split == "training")
    head = make_head("svm:C=3", widths=[40, 3], seed=2)
    expected = fit_head(head, rows.select("wide+noise"), rows.label, rows.groups, rows.variant)
    X = separable.select("wide+noise")
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


def test_all_features_together_by_default_and_said(separable, caplog):
    with caplog.at_level(logging.INFO, "bottlehead"):
        assert train(separable).features == "wide+noise"
    assert "training on all features of the table together: wide+noise" in caplog.messages


def test_nuisance_is_learnt_from_only_when_named(separable, caplog):
    vectors = {"wide": separable.select("wide"), "nuisance": separable.select("noise")}
    table = FeatureTable(separable.ids, vectors)
    with caplog.at_level(logging.INFO, "bottlehead"):
        assert train(table).features == "wide"
    assert "leaving out nuisance" in caplog.text
    assert train(table, features="wide+nuisance").features == "wide+nuisance"
    assert train(FeatureTable(separable.ids, {"nuisance": vectors["wide"]})).features == "nuisance"


def test_the_summary_counts(separable):
    rows = separable.filter(np.r_[0:20, 20:35, 40:50])
    copies = rows.with_column("variant", [9] * len(rows))
    both = FeatureTable(
        pa.concat_tables([rows.ids, copies.ids]),
        {name: np.vstack([matrix, matrix]) for name, matrix in rows.vectors.items()},
    )
    training = train(both, "softmax:C=2", "wide", seed=4).training
    assert (training["rows"], training["photos"], training["seed"]) == (90, 45, 4)
    assert training["photos_per_label"] == {"ant": 20, "bee": 15, "cat": 10}
    assert training["head"] == "softmax:C=2"
    assert training["data_digest"] == both.digest()


def test_same_table_and_seed_same_model_whatever_the_jobs(separable):
    one = train(separable, "mlp", "wide", seed=1, jobs=1)
    other = train(separable, "mlp", "wide", seed=1)
    X = separable.select("wide")
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-6)
    assert (
        np.abs(train(separable, "mlp", "wide", seed=2).predict_proba(X) - one.predict_proba(X)).max() > 1e-6
    )


def test_relabelling_is_applied_and_kept(separable):
    relabel = {"ant": "insect", "bee": "insect", "cat": ""}
    with pytest.raises(UsageError, match="all 40 usable rows have the label insect"):
        train(separable, features="wide", relabel=relabel)
    relabel = {"ant": "insect", "bee": "", "cat": "mammal"}
    model = train(separable, features="wide", relabel=relabel)
    assert (model.labels, model.relabel) == (["insect", "mammal"], relabel)
    assert model.training["rows"] == 40


def test_identical_photos_with_two_labels_are_named(separable, caplog):
    hashes = [*separable.sha256[:-1], separable.sha256[0]]
    with caplog.at_level(logging.WARNING, "bottlehead"):
        train(separable.with_column("sha256", hashes), features="wide")
    assert caplog.messages == [
        "the same photo carries different labels: ant/0.jpg (ant), cat/59.jpg (cat); at least one label is wrong"
    ]


def test_wrong_features_are_refused_with_what_there_is(separable):
    with pytest.raises(UsageError, match=r"no features named tall \(it has wide, noise"):
        train(separable, features="wide+tall")


def test_a_table_without_features_is_refused():
    with pytest.raises(TableError, match="has no features"):
        train(FeatureTable.from_arrays({}, label=["a", "b"]))


def test_a_parameter_that_makes_a_head_unloadable_is_refused(separable):
    with pytest.raises(ModelError, match=r"not known to be safe: .*KDTree"):
        train(separable, "knn:algorithm=kd_tree", "noise")
