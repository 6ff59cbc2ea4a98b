"""Whatever lies under a record's name: one line tells what is wrong with it, and nothing is waited for."""

import json
import math
import os
import random
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from handmade import altered, cost_record, dice_record, latency_record, record

from bench.errors import UserError
from bench.quantities import CostSpec
from bench.run.store import Record, Store, read_record

FIRST = Path(__file__).parent / "first_format" / "unet-cost-19f9ef9c655b.json"


def refused(path: Path) -> str:
    with pytest.raises(UserError) as told:
        read_record(path)
    line = str(told.value)
    assert str(path) in line
    assert len(line.splitlines()) == 1
    return line


@pytest.fixture
def path(tmp_path) -> Path:
    return Store(tmp_path).write(latency_record())


ODD = {
    "deep": b"[" * 200_000, "deep in an object": b'{"job":' * 200_000, "no UTF-8": b"\xff\xfe{}", "zeros": bytes(1000),
    "a lone surrogate": b'{"job": "\\udce9"}', "many digits": b'{"schema_version": ' + b"9" * 5000 + b"}",
    "a list": b"[]", "null": b"null", "text": b'"x"', "a number": b"1", "a byte order mark": b"\xef\xbb\xbf{}",
}  # fmt: skip


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_what_is_no_record_is_told_in_a_line(path, content):
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize(
    ("of", "by", "told"),
    [
        ('"wall_s": 1.0', '"wall_s": NaN', "NaN is no number in JSON"),
        ('"wall_s": 1.0', '"wall_s": -Infinity', "-Infinity is no number in JSON"),
        ('"status": "ok"', '"status": "crashed",\n "status": "ok"', "status is there twice"),
        ('"threads": 2', '"threads": 2,\n "threads": 2', "threads is there twice"),
    ],
)
def test_json_that_says_two_things_or_nothing_is_refused(path, of, by, told):
    path.write_text(path.read_text().replace(of, by, 1))
    assert told in refused(path)


def test_what_is_no_file_is_told_at_once(tmp_path):
    pipe, folder, link, plug, loop = (tmp_path / f"{name}.json" for name in ("pipe", "folder", "zero", "plug", "loop"))
    os.mkfifo(pipe)
    folder.mkdir()
    link.symlink_to("/dev/zero")
    loop.symlink_to(loop)
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(tmp_path)  # a socket's path is short
        bound.bind(plug.name)
        assert "is a folder" in refused(folder)
        assert all(map(refused, (pipe, link, plug, loop)))


def test_a_huge_file_is_not_read(tmp_path):
    huge = tmp_path / "huge.json"
    with huge.open("wb") as opened:
        opened.truncate(2**30)
    assert "1,024 MiB" in refused(huge)


def test_no_damage_of_a_record_is_more_than_a_line(tmp_path):
    """Every kind of record, with bytes changed, cut out and doubled, its digest made to fit or not."""
    for made in (cost_record(), latency_record(), dice_record(dice=(0.5, math.nan))):
        path = Store(tmp_path).write(made)
        whole = path.read_bytes()
        for seed in range(250):
            chance = random.Random(seed)
            text = bytearray(whole)
            for _ in range(chance.randrange(1, 4)):
                place, length = chance.randrange(len(text)), chance.randrange(30)
                part = text[place : place + length]
                text[place : place + length] = chance.choice([b"", chance.randbytes(3), part * 2])
            path.write_bytes(text)
            with suppress(UserError):
                assert read_record(path).model_dump_json() == made.model_dump_json(), "else it would be noticed"


@pytest.mark.parametrize("kind", ["status", "job", "result", "machine", "before", "images", "digest", "notes"])
@pytest.mark.parametrize("value", [None, 0, -1, "", "x", [], {}, [[]], {"": ""}, 1e308, 10**400, True])
def test_no_value_in_the_place_of_another_is_more_than_a_line(tmp_path, kind, value):
    path = Store(tmp_path).write(dice_record())
    facts = json.loads(path.read_text())
    (facts["result"] if kind == "images" else facts)[kind] = value
    facts["schema_version"] = 1  # without a digest, so that what is in it is looked at
    facts.pop("digest" if kind != "digest" else "", None)
    path.write_text(json.dumps(facts))
    refused(path)


WRONG = {
    "a result of a failure": {"status": "crashed"},
    "no result where it is ok": {"result": None},
    "a result of another quantity": {"result": latency_record().result},
    "no core": {"machine": cost_record().machine.model_copy(update={"cores": 0})},
    "no time": {"before": cost_record().before.model_copy(update={"at": "noon"})},
    "an endless time": {"wall_s": math.inf},
    "a figure that is none": {"result": cost_record().result.model_copy(update={"parameters": 10**30})},
}


@pytest.mark.parametrize("update", WRONG.values(), ids=WRONG)
def test_a_record_that_does_not_fit_together_is_none(update):
    facts = cost_record().model_copy(update=update).model_dump()
    with pytest.raises(ValueError, match="validation error"):
        Record.model_validate(facts)


def test_an_infinite_sample_or_score_is_refused_and_an_undefined_score_is_not():
    times = [altered(latency_record(), {"samples_s": one}) for one in ((0.1, math.inf), (math.nan,))]
    for made in (*times, dice_record()):
        facts = made.model_dump()
        if made.job.spec.quantity == "dice":
            facts["result"]["images"][1]["hd95"] = math.inf
        with pytest.raises(ValueError, match="no finite number"):
            Record.model_validate(facts)
    assert Record.model_validate(dice_record(dice=(math.nan,)).model_dump())


def test_a_record_without_its_digest_is_marked_and_in_the_present_format_it_is_none(tmp_path, path):
    assert read_record(path).is_sealed
    facts = json.loads(path.read_text())
    del facts["digest"]
    path.write_text(json.dumps(facts))
    assert "was edited" in refused(path)
    facts = json.loads(FIRST.read_text())
    facts.pop("digest", None)
    old = tmp_path / FIRST.name
    old.write_text(json.dumps(facts))
    unsealed = read_record(old)
    assert not unsealed.is_sealed
    assert not unsealed.model_copy(update={"notes": ("x",)}).is_sealed
    assert unsealed == read_record(FIRST)


NAMES = ("../../x", "a/../b", "/etc/x", "-rf", "$(touch x)", "a\nb", "\udce9", "n" * 300, "日本", "..", "")


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_network_or_a_data_set_leads_out_of_a_folder(name):
    made = record(name, CostSpec(), cost_record().result)
    trained = altered(dice_record(), dataset=name)
    trained = trained.job.model_copy(update={"network": name})
    for key in (made.job.key, trained.training_key):
        assert "/" not in key
        assert not key.startswith(".")
        assert len(key) < 160
        assert key.isascii()
        assert key.isprintable()


def test_a_record_of_a_network_whose_name_has_no_letter_for_files_is_found(tmp_path):
    from bench.read.load import read

    Store(tmp_path).write(record("日本", CostSpec(), cost_record().result))
    assert [one.job.network for one in read([tmp_path]).records] == ["日本"]
