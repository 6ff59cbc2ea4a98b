"""The form of an error: what is wrong, what was given, what is allowed, what to do."""

from bench.errors import bad_size, unknown


def test_unknown_names_the_nearest_and_all():
    error = unknown("network", "mdsaunet", ["unet", "mdsa_unet"])
    assert str(error) == "unknown network 'mdsaunet'; did you mean 'mdsa_unet'? known: mdsa_unet, unet"


def test_unknown_with_nothing_near_still_lists_all():
    assert str(unknown("measure", "zzz", ["dice", "cost"])) == "unknown measure 'zzz'; known: cost, dice"


def test_bad_size_says_what_to_pad_to():
    assert str(bad_size("unet", 250, 224, 16)).endswith("got 250x224; pad the input to 256x224")
