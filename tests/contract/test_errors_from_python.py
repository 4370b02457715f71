"""What Python shows of a user's mistake is our error alone; where somebody else's code failed, that is shown too."""

import numpy as np
import pytest
from builders import made_table

from classify import correct_labels, load_model, make_head, train_model
from evaluate import compare, learning_curve
from featurize import BottleheadError, Color, FeatureTable, FrozenGraph, extract, make_extractor

TABLE = made_table(30)

MISTAKES = {
    "a folder that there is not": lambda: extract("nowhere/", "color"),
    "a manifest that there is not": lambda: extract("nowhere.csv", "color"),
    "a photo that is none": lambda: Color().transform(["text"]),
    "a photo that there is not": lambda: Color().transform(["nowhere.jpg"]),
    "a wrong parameter of features": lambda: make_extractor("inception_v3:size=x"),
    "a parameter that features do not have": lambda: make_extractor("glcm:colour=1"),
    "features that there are not": lambda: make_extractor("nonsense"),
    "a frozen graph that is none": lambda: FrozenGraph("text").fingerprint(),
    "a table that is none": lambda: FeatureTable.read("text.parquet"),
    "a table of the other kind that is none": lambda: FeatureTable.read("text.npz"),
    "a table that there is not": lambda: FeatureTable.read("nowhere.parquet"),
    "a column that there is not": lambda: TABLE["nothing"],
    "vectors that there are not": lambda: TABLE.select("nothing"),
    "what is no data frame": lambda: FeatureTable.from_frame(3, features={"x": "x"}),
    "a head that there is not": lambda: make_head("nonsense"),
    "a module that there is not": lambda: make_head("nonsense.Head"),
    "a class that there is not": lambda: make_head("sklearn.svm.Head"),
    "a wrong parameter of a head": lambda: train_model(TABLE, "svm:C=abc", "good"),
    "a head with a wrong parameter in a comparison": lambda: compare(TABLE, heads=["svm:C=-1"], jobs=1),
    "folds that there are not": lambda: compare(TABLE, heads=["softmax"], folds="nowhere.csv", jobs=1),
    "corrections that there are not": lambda: correct_labels(TABLE, "nowhere.csv"),
    "corrections in another encoding": lambda: correct_labels(TABLE, "latin.csv"),
    "corrections without labels": lambda: correct_labels(TABLE, "columns.csv"),
    "vectors that are no numbers": lambda: FeatureTable.from_arrays({"x": [["a"]]}, label=["a"]),
    "vectors of several lengths": lambda: FeatureTable.from_arrays({"x": [[1], [1, 2]]}, label=["a", "b"]),
    "folds that are no number": lambda: compare(TABLE, heads=["softmax"], cv="x", jobs=1),
    "half a fold": lambda: compare(TABLE, heads=["softmax"], cv=2.5, jobs=1),
    "a seed that is no number": lambda: compare(TABLE, heads=["softmax"], seed="x", jobs=1),
    "a size that is no number": lambda: learning_curve(TABLE, head="softmax", sizes=["x"], jobs=1),
    "a path for a table": lambda: compare("t.parquet", heads=["softmax"], jobs=1),
    "a matrix for a table": lambda: train_model(np.zeros((3, 3)), "softmax"),
    "a model that is none": lambda: load_model("text"),
    "a model that there is not": lambda: load_model("nowhere.model"),
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("text", "text.parquet", "text.npz"):
        (tmp_path / name).write_text("a text")
    (tmp_path / "latin.csv").write_bytes("image,label\na.jpg,Flügel\n".encode("latin-1"))
    (tmp_path / "columns.csv").write_text("image,size\na.jpg,3\n")
    monkeypatch.setenv("FEATURIZE_STORE", str(tmp_path / "store"))


def shown_with(error: BaseException) -> BaseException | None:
    """What Python prints above an error."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_error_and_nobody_elses(mistake):
    with pytest.raises(BottleheadError) as raised:
        MISTAKES[mistake]()
    assert shown_with(raised.value) is None and raised.value.hint


def test_the_failure_of_somebody_elses_code_is_shown(tmp_path, monkeypatch):
    (tmp_path / "broken_head.py").write_text("import package_that_it_needs")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BottleheadError) as raised:
        make_head("broken_head.Head")
    assert isinstance(shown_with(raised.value), ModuleNotFoundError)

    def fails(rgb):
        return np.zeros(3) / rgb.nothing

    with pytest.raises(BottleheadError) as raised:
        extract([np.zeros((9, 9, 3), np.uint8)], fails)
    assert isinstance(shown_with(raised.value), AttributeError)
