"""A network's digest goes with its code and with nothing else."""

from bench.networks import NetworkRow


def digest_of(tmp_path, monkeypatch, name: str, text: str) -> str:
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return NetworkRow(name, "", module=name).digest


def test_a_digest_follows_the_code_and_not_its_comments(tmp_path, monkeypatch):
    plain = digest_of(tmp_path, monkeypatch, "plain_network", "def build(a):\n    return a + 1\n")
    same = digest_of(
        tmp_path, monkeypatch, "same_network", '"""Doc."""\n\ndef build(a):\n    """Doc."""\n    return a+1 # why\n'
    )
    other = digest_of(tmp_path, monkeypatch, "other_network", "def build(a):\n    return a + 2\n")
    assert plain == same != other


def test_code_written_again_keeps_its_trainings_until_it_is_edited(tmp_path, monkeypatch):
    code = digest_of(tmp_path, monkeypatch, "fast_network", "def build(a):\n    return 1 + a\n")
    fast = NetworkRow("fast", "", module="fast_network", same_function=(code, "an earlier one"))
    assert (fast.digest_for("dice"), fast.digest_for("latency")) == ("an earlier one", code)
    edited = NetworkRow("fast", "", module="fast_network", same_function=("other code", "an earlier one"))
    assert edited.digest_for("dice") == edited.digest_for("latency") == code
