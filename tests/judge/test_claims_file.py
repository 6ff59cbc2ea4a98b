import os
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.judge.claims_file import read_claims

ROOT = Path(__file__).parent.parent.parent
WHOLE = """# a comment
[size]
says = "small"
source = "a paper"
network = "mdsa_unet"
metric = "parameters"
relation = "at_most"
value = 7e6
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "claims.toml"
        path.write_text(text)
        return path

    return write


def test_a_whole_claim_is_read_with_its_line(file):
    (claim,) = read_claims(file(WHOLE))
    assert (claim.name, claim.line, claim.bound) == ("size", 2, 7e6)


def test_many_claims_are_read_and_a_file_without_end_is_not(file):
    claims = read_claims(file("\n".join(WHOLE.replace("[size]", f"[size{at}]") for at in range(1000))))
    assert [claims[at].line for at in (0, 1, 999)] == [2, 11, 8993]
    with pytest.raises(
        UserError, match=r"cannot be read as claims: it has 1,048,576 bytes, and at most .*; give --claims FILE"
    ):
        read_claims(file("#" * (1 << 20)))


def test_a_list_of_others_is_a_claim_each(file):
    text = WHOLE.replace("value = 7e6", 'against = ["unet", "unetpp"]')
    assert [claim.name for claim in read_claims(file(text))] == ["size/unet", "size/unetpp"]


def test_the_claims_of_this_repository_can_be_read_and_name_the_papers_figures():
    claims = {claim.name: claim for claim in read_claims(ROOT / "claims.toml")}
    assert claims["paper-parameters"].bound == 6.65e6
    assert claims["paper-macs"].bound == 4.54e9
    dice = {claims[f"paper-dice-{name}"].bound for name in ("ddti", "tn3k", "isic2018", "acdc")}
    assert dice == {0.8210, 0.8020, 0.9075, 0.9105}
    assert claims["paper-parameters"].margin == claims["paper-macs"].margin == 0.02


def test_the_papers_speed_and_memory_are_judged_on_the_published_form_and_ours_on_the_fast_one():
    claims = read_claims(ROOT / "claims.toml")
    machine_bound = [claim for claim in claims if claim.about.tier == "ratio" or claim.about.unit == "bytes"]
    by_source = {claim.name.partition("-")[0]: set() for claim in machine_bound}
    for claim in machine_bound:
        by_source[claim.name.partition("-")[0]].add(claim.network)
    assert by_source == {"paper": {"mdsa_unet_plain"}, "built": {"mdsa_unet"}}
    assert {claim.network for claim in claims if claim not in machine_bound} == {"mdsa_unet"}
    names = {claim.name for claim in claims}
    for name in ("faster-cpu/unet", "faster-cuda/swin_unet", "less-memory-cpu/unetpp"):
        assert {f"paper-{name}", f"built-{name}"} <= names


MISTAKES = {
    "unknown key": (WHOLE + "metrc = 1\n", "claims.toml:9: [size]: unknown key 'metrc'; did you mean 'metric'"),
    "a condition that does not fit": (WHOLE + "batch = 2\n", "claims.toml:2: [size]: parameters does not depend on"),
    "impossible margin": (WHOLE + "margin = -1.0\n", "claims.toml:9: [size] `margin`"),
    "another type": (WHOLE.replace("7e6", '"many"'), "claims.toml:8: [size] `value`"),
    "missing key": (WHOLE.replace('metric = "parameters"\n', ""), "claims.toml:2: [size] has no `metric`; add it"),
    "no such network": (WHOLE.replace("mdsa_unet", "mdsa_net"), "claims.toml:5: [size]: unknown network 'mdsa_net'"),
    "a name that does not print": (
        WHOLE.replace("[size]", '["a\\nb"]'),
        "a claim's name is letters that print, got 'a\\nb'",
    ),
    "a name without letters": (WHOLE.replace("[size]", '[""]'), "a claim's name is letters that print, got ''"),
    "a long line": (WHOLE + "a." * 5000 + "a = 1\n", "has a line of 10,005 characters, and at most 2,000 are read"),
    "a large file": (WHOLE + "# comment\n" * 30_000, "bytes, and at most 262,144 are read"),
    "no TOML": (WHOLE + "margin =\n", "claims.toml:9: not valid TOML"),
    "outside": ("value = 3\n" + WHOLE, "claims.toml:1: 'value' is outside of a table"),
    "nothing": ("# nothing\n", "no claim in it"),
    "contradiction": (
        WHOLE + WHOLE.replace("[size]", "[more]").replace("at_most", "at_least").replace("7e6", "8e6"),
        "claims.toml:10: [more] allows 8e+06 to inf and [size] in line 2 allows -inf to 7e+06 of the same figure",
    ),
    "nobody to compare with": (WHOLE.replace("value = 7e6", "against = []"), "claims.toml:"),
}


@pytest.mark.parametrize(("text", "told"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_told_with_file_and_line(file, text, told):
    with pytest.raises(UserError) as error:
        read_claims(file(text))
    assert told in str(error.value)


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(UserError, match=r"cannot read the claims in .*nowhere.toml"):
        read_claims(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not a text file"):
        read_claims(tmp_path / "binary.toml")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    for path in (tmp_path / "pipe.toml", Path("/dev/zero")):
        with pytest.raises(UserError, match="cannot be read as claims: it is not a file"):
            read_claims(path)


def test_a_file_of_windows_is_read(tmp_path):
    path = tmp_path / "claims.toml"
    path.write_bytes(WHOLE.replace("\n", "\r\n").encode("utf-8-sig"))
    assert [(claim.name, claim.line) for claim in read_claims(path)] == [("size", 2)]


def test_many_claims_are_read_with_their_lines(file):
    claims = read_claims(file("".join(WHOLE.replace("[size]", f"[s{n}]") for n in range(1000))))
    assert [claim.line for claim in claims[:2]] == [2, 10]
    assert claims[-1].line == 7994
