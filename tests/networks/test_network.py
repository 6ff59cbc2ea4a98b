"""A network of the table: its digest goes with its code and with nothing else; older records are told apart."""

import pytest

from bench.networks import Network


@pytest.fixture
def row(tmp_path, monkeypatch):
    """Writes a package `nets`, and gives its network."""
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str, **declared) -> Network:
        (tmp_path / "nets" / "net.py").write_text(text)
        return Network("net", "", package="nets", **declared)

    return write


def test_a_digest_follows_the_code_and_not_its_comments(row):
    plain = row("def build(a):\n    return a + 1\n").digest
    assert row('"""Doc."""\n\ndef build(a):\n    """Doc."""\n    return a+1 # why\n').digest == plain
    other = row("def build(a):\n    return a + 2\n")
    assert other.digest != plain
    assert other.place == "nets/net.py"


def test_a_digest_holds_what_the_code_imports_in_a_function_too(row, tmp_path):
    helper, beside = tmp_path / "nets" / "helper.py", tmp_path / "nets" / "beside.py"
    text = "def build(a):\n    from nets.helper import WIDTH\n    return a + WIDTH\n"
    helper.write_text("WIDTH = 8\n")
    before = row(text)
    assert before.files == (tmp_path / "nets" / "__init__.py", helper, tmp_path / "nets" / "net.py")
    beside.write_text("WIDTH = 8\n")
    assert row(text).digest == before.digest
    helper.write_text("WIDTH = 9\n")
    assert row(text).digest != before.digest


def test_records_of_the_first_format_are_told_by_their_digest_and_by_declarations(row):
    text = "def build(a):\n    return 1 + a\n"
    now = row(text).legacy_digest("latency")

    def found(**declared: tuple[str, str]) -> tuple[str | None, str | None]:
        fast = row(text, **declared)
        assert fast.digest == row(text).digest, "declarations are for older records alone"
        return fast.legacy_digest("dice"), fast.legacy_digest("latency")

    assert found() == (now, now)
    assert found(same_function=(now, "slow")) == ("slow", now)
    assert found(renamed=(now, "before")) == ("before", "before")
    assert found(renamed=(now, "before"), same_function=("before", "slow")) == ("slow", "before")
    edited = {"renamed": ("other code", "before"), "same_function": ("before", "slow")}
    assert found(**edited) == (now, now)
