"""What is asked of Slurm for a study: its settings, and those of a folder."""

import re

import pytest

from bench.errors import UserError
from bench.run.slurm_place import Place, with_site


@pytest.mark.parametrize(
    ("given", "minutes"),
    [(90, 90), ("90", 90), ("02:00:00", 120), ("2-00:00:00", 2880), ("2-12", 3600), ("0:10:30", 11)],
)
def test_a_time_is_read_as_slurm_reads_it(given, minutes):
    assert Place.of({"time": given}).time == minutes


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"tme": 1}, "[slurm]: unknown setting 'tme'; did you mean 'time'?"),
        ({"time": "10:30"}, 'time = \'10:30\': a time is whole minutes, "HH:MM:SS" or "DAYS-HH:MM:SS"'),
        ({"time": 0}, "time = 0: Input should be greater than or equal to 1"),
        ({"memory": "much"}, "memory = 'much': a memory is a whole number and a unit, such as \"32G\""),
        ({"partition": "a b\n#SBATCH --x"}, "a name without spaces and quotation marks is allowed"),
        ({"extra": {"mem": "3G"}}, "'mem' is said by memory = ..."),
        ({"extra": {"array": "1-3"}}, "'array' is set by this program"),
        ({"extra": {"nice": "1\n2"}}, "'nice' has a value of more than one line"),
        ({"extra": {"-p": "x"}}, "'-p' is no flag of sbatch"),
        ({"time": 2, "grace": 100}, "grace = 100 s is over half of time = 2 minutes"),
        ({"limit": 0}, "limit = 0"),
        ({"gpus": -1}, "gpus = -1"),
        ({"setup": 3}, "setup = 3"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_allowed(table, said):
    with pytest.raises(UserError, match=re.escape(said)):
        Place.of(table)


def test_what_a_study_does_not_say_is_as_in_bench_toml(tmp_path):
    path, own = tmp_path / "bench.toml", Place(partition="long", gpus=2)
    assert with_site(own, path) == own
    path.write_text('[slurm]\npartition = "short"\naccount = "lab"\ntime = "02:00:00"\n')
    found = with_site(own, path)
    assert (found.partition, found.account, found.time, found.gpus) == ("long", "lab", 120, 2)
    for text, told in {
        "[slurn]\n": ":1: unknown key 'slurn'; did you mean 'slurm'?",
        "\n[slurm]\npartitions = 1\n": ":2: unknown setting 'partitions'; did you mean 'partition'?",
        "slurm = 3\n": ":1: slurm is a table",
    }.items():
        path.write_text(text)
        with pytest.raises(UserError) as refused:
            with_site(own, path)
        assert f"{path}{told}" in str(refused.value)
