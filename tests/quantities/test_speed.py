import pytest
from pydantic import ValidationError

from bench.quantities import LatencySpec, Memory


def test_activations_are_what_the_pass_adds_to_the_weights():
    assert Memory(weights_bytes=30, peak_bytes=100).activations_bytes == 70


@pytest.mark.parametrize("wrong", [{"device": "tpu"}, {"threads": 0}, {"seconds": -1.0}, {"form": "fold"}])
def test_a_pass_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        LatencySpec(**{"machine": "m", "device": "cpu", "threads": 2, **wrong})
