"""Variants by name and back."""

from importlib.metadata import PackageNotFoundError

import pytest

from bench.errors import UserError
from bench.quantities import LatencySpec, variants
from bench.quantities.variants import VARIANTS, conditions, made_so, name_of, ordered


def spec(**changes: str) -> LatencySpec:
    return LatencySpec(machine="m", device="cpu", threads=2, **changes)


@pytest.mark.parametrize("name", [*VARIANTS, "folded+bfloat16", "channels_last+folded+bfloat16", "cuda_graph+folded"])
def test_a_name_leads_to_conditions_and_back(name):
    assert set(name_of(spec(**conditions(name))).split("+")) == set(name.split("+"))


@pytest.fixture
def installed(monkeypatch):
    """The versions of the only distributions that are installed."""
    found: dict[str, str] = {}

    def version(name: str) -> str:
        if name not in found:
            raise PackageNotFoundError(name)
        return found[name]

    monkeypatch.setattr(variants, "version", version)
    return found


@pytest.mark.parametrize("name", ["onnx", "folded+onnx"])
def test_another_onnxruntime_is_another_condition(name, installed):
    assert "runtime" not in made_so(name)
    for version in ("1.27.0", "1.28.0"):
        installed["onnxruntime"] = version
        assert made_so(name) == {**conditions(name), "runtime": f"onnxruntime {version}"}
        assert name_of(spec(**made_so(name))) == ordered(name)
    installed["onnxruntime-gpu"] = "1.28.0"
    assert made_so(name)["runtime"] == "onnxruntime-gpu 1.28.0"


@pytest.mark.parametrize("name", ["eager", "folded", "compiled+folded", "bfloat16"])
def test_what_torch_runs_has_no_runtime_of_its_own(name, installed):
    installed["onnxruntime"] = "1.27.0"
    assert made_so(name) == conditions(name)


def test_a_part_may_be_said_twice():
    assert conditions("folded+compiled+folded") == conditions("compiled+folded")


@pytest.mark.parametrize("name", ["bfloat16+folded", "folded+bfloat16", "folded+eager+bfloat16+folded"])
def test_the_order_of_the_parts_does_not_matter(name):
    assert ordered(name) == name_of(spec(**conditions(name))) == "folded+bfloat16"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("foldet", "unknown variant 'foldet'; did you mean 'folded'"),
        ("compiled+onnx", "both compiled and onnx"),
        ("folded+compiled+onnx", r"both folded\+compiled and onnx"),
        ("bfloat16+float16", "both bfloat16 and float16"),
    ],
)
def test_refusals(name, text):
    with pytest.raises(UserError, match=text):
        conditions(name)
