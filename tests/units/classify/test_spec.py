import pytest
from hypothesis import given
from hypothesis import strategies as st

from classify.heads.spec import HeadSpec
from featurize.errors import UsageError

VALUES = st.one_of(
    st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False),
    st.tuples(st.integers(), st.integers()), st.lists(st.integers(), max_size=3),
)  # fmt: skip


@given(st.dictionaries(st.from_regex("[a-z_]+", fullmatch=True), VALUES, max_size=4))
def test_what_is_written_is_read(params):
    spec = "svm:" + ",".join(f"{key}={value!r}" for key, value in params.items())
    assert (HeadSpec.parse(spec).name, HeadSpec.parse(spec).params) == ("svm", params)
    assert str(HeadSpec.parse(spec)) == spec.removesuffix(":")
    assert HeadSpec("svm", params) == HeadSpec.parse(spec)


@given(st.dictionaries(st.from_regex("[a-z_]+", fullmatch=True), VALUES, min_size=1, max_size=4))
def test_setting_parameters_one_by_one_is_writing_them(params):
    spec = HeadSpec("svm")
    for key, value in params.items():
        spec = spec.with_params({key: value})
    assert (spec.name, spec.params) == ("svm", params)


def test_words_stay_words():
    spec = HeadSpec.parse("mlp:solver=lbfgs, activation = tanh ")
    assert spec.params == {"solver": "lbfgs", "activation": "tanh"}
    assert str(spec) == "mlp:solver=lbfgs,activation=tanh"


def test_text_is_data_not_code(tmp_path):
    mark = tmp_path / "mark"
    value = HeadSpec.parse(f"svm:C=open({str(mark)!r},'w')").params["C"]
    assert isinstance(value, str)
    assert not mark.exists()


@pytest.mark.parametrize("spec", ["svm:C", "svm:=1", "svm:C="])
def test_half_parameters_are_refused(spec):
    with pytest.raises(UsageError, match="no parameter with a value"):
        HeadSpec.parse(spec)


def test_a_parameter_set_twice_is_refused():
    with pytest.raises(UsageError, match="'svm:C=1,C=2' sets C twice"):
        HeadSpec.parse("svm:C=1,C=2")
