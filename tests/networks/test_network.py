"""A network's digest goes with its code and with nothing else."""

from bench.networks import Network


def row(tmp_path, monkeypatch, name: str, text: str, **declared) -> Network:
    """A network of the package `nets`, whose code is this text."""
    (tmp_path / "nets").mkdir(exist_ok=True)
    (tmp_path / "nets" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return Network(name, "", package="nets", **declared)


def test_a_digest_follows_the_code_and_not_its_comments(tmp_path, monkeypatch):
    plain = row(tmp_path, monkeypatch, "plain_network", "def build(a):\n    return a + 1\n")
    text = '"""Doc."""\n\ndef build(a):\n    """Doc."""\n    return a+1 # why\n'
    same = row(tmp_path, monkeypatch, "same_network", text)
    other = row(tmp_path, monkeypatch, "other_network", "def build(a):\n    return a + 2\n")
    assert plain.digest == same.digest != other.digest
    assert plain.place == "nets/plain_network.py"


def test_declared_code_keeps_its_records_until_it_is_edited(tmp_path, monkeypatch):
    now = row(tmp_path, monkeypatch, "fast_network", "def build(a):\n    return 1 + a\n").digest

    def found(**declared: tuple[str, str]) -> tuple[str, str]:
        fast = Network("fast_network", "", package="nets", **declared)
        return fast.digest_for("dice"), fast.digest_for("latency")

    assert found(same_function=(now, "slow")) == ("slow", now)
    assert found(renamed=(now, "before")) == ("before", "before")
    assert found(renamed=(now, "before"), same_function=("before", "slow")) == ("slow", "before")
    edited = {"renamed": ("other code", "before"), "same_function": ("before", "slow")}
    assert found(**edited) == (now, now)
