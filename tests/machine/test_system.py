"""Files of the system: what they say, and nothing where they say nothing."""

import os

import pytest

from bench.machine.system import cpu_lines, keyed, number, processors, text


def test_a_file_that_is_not_there_says_nothing(tmp_path):
    missing = tmp_path / "none"
    assert (text(missing), number(missing), keyed(missing)) == (None, None, {})


def test_a_folder_says_nothing(tmp_path):
    assert text(tmp_path) is None


@pytest.mark.parametrize(("content", "value"), [("12\n", 12), ("-1\n", -1), ("max 100000", None), ("", None)])
def test_numbers(tmp_path, content, value):
    (tmp_path / "file").write_text(content)
    assert number(tmp_path / "file") == value


def test_lines_of_names_and_numbers(tmp_path):
    (tmp_path / "file").write_text("nr_throttled 3\nMemAvailable:   512 kB\nfull avg10=0.00\nalone\n")
    assert keyed(tmp_path / "file") == {"nr_throttled": 3, "MemAvailable": 512}


def test_this_process_has_processors_and_an_unknown_field_no_lines():
    assert 1 <= len(processors()) <= os.cpu_count()
    assert cpu_lines("no such field") == []
