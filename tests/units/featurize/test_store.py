"""Names in the store, and the frozen networks kept beside it."""

from featurize.networks.network_extractor import keep_graph, kept_graph
from featurize.store.store import Store, section_name


def test_a_name_is_safe_on_every_file_system():
    name = section_name("C:\\x/ü*?.pb:pool_3:0" + "y" * 300, "ab" * 32)
    assert name.startswith("C__x____.pb_pool_3_0y") and name.endswith("-" + "ab" * 16) and len(name) == 93


def test_a_kept_graph_is_used_until_one_bit_changes(tmp_path, caplog):
    store = Store(tmp_path)
    keep_graph(store, "cd" * 32, b"a network")
    assert kept_graph(store, "cd" * 32) == b"a network" and kept_graph(store, "ef" * 32) is None
    path = next((tmp_path / "graphs").iterdir())
    path.write_bytes(b"a netwerk")
    assert kept_graph(store, "cd" * 32) is None and not path.exists() and "damaged" in caplog.text
