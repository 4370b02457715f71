"""What decides whether to train out of core, and scaling learnt in parts."""

import numpy as np
from builders import network_table, run

from classify.heads.scaling import BlockScaler
from classify.training.out_of_core import exceeds_memory, streamed_scaling
from featurize.files import total_memory


def test_scaling_learnt_in_parts_is_scaling_learnt_at_once():
    rng = np.random.default_rng(0)
    X = np.hstack([rng.exponential(size=(300, 40)), rng.normal(1e3, 1, (300, 3)), rng.normal(size=(300, 40))])
    X[:, 41] = 7.0  # constant
    X = X.astype(np.float32)
    found = streamed_scaling(np.split(X, [1, 100, 110]), [40, 3, 40])
    known = BlockScaler([40, 3, 40]).fit(X)
    assert found.methods_ == known.methods_ == ["root", "standard", "standard"]
    np.testing.assert_allclose(found.transform(X), known.transform(X), atol=2e-6)
    assert found.transform(X).dtype == np.float32


def test_a_table_exceeds_memory_from_an_eighth_on(tmp_path):
    path = tmp_path / "t.parquet"
    network_table(100).write(path)
    n_bytes = 100 * 64 * 4
    assert exceeds_memory(path, "net", memory=8 * n_bytes - 1)
    assert not exceeds_memory(path, "net", memory=8 * n_bytes)
    assert exceeds_memory(path, memory=8 * n_bytes)  # with its texture values
    assert not exceeds_memory(tmp_path / "none.parquet", memory=1)
    path.write_bytes(b"PAR1 no table")
    assert not exceeds_memory(path, memory=1)


def test_where_memory_is_short_the_command_trains_out_of_core_when_it_can(tmp_path, monkeypatch):
    network_table(100).write(tmp_path / "t.parquet")
    monkeypatch.setattr("classify.training.out_of_core.total_memory", lambda: 1000)
    words = f"classify train {tmp_path}/t.parquet -o {tmp_path}/m"
    assert "again and again" in run(words).err
    assert "only a plain softmax" in run(f"{words} --head knn").err

    assert "a threshold was given alone" in run(f"{words} --threshold recall=0.9").error


def test_memory_is_a_number_of_bytes_and_a_container_may_limit_it(tmp_path):
    whole = total_memory()
    limit = tmp_path / "memory.max"
    limit.write_text("1073741824\n")
    assert total_memory([limit]) == 2**30 < whole
    limit.write_text("max\n")
    assert total_memory([limit]) >= whole
