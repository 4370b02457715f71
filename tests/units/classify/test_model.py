import copy

from classify.model.model import Model, describe_differences, short_hashes


def test_short_hashes_are_the_last_eight_bytes_sorted_and_distinct():
    hashes = ["ff" * 32, "cd" * 24 + "00" * 7 + "2a", None, "ff" * 32]
    assert short_hashes(hashes).tolist() == [0x2A, 2**64 - 1]
    assert Model(None, "x", [1], hashes=short_hashes(hashes)).seen(hashes).tolist() == [
        True,
        True,
        False,
        True,
    ]


def test_differences_of_equal_descriptions_are_none():
    one = {"a": [1, 2], "b": {"c": None}}
    assert describe_differences(one, copy.deepcopy(one)) == []
    assert describe_differences({}, {"a": 1}) == ["a was not set, is now 1"]
