"""What all conditions have in common: strict and unchanging values, images, a pass of a batch on a machine."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["float32", "bfloat16", "float16"]
Form = Literal[
    "eager", "folded", "compiled", "cuda_graph", "onnx", "folded+compiled", "folded+cuda_graph", "folded+onnx"
]
MemoryFormat = Literal["contiguous", "channels_last"]
Device = Literal["cpu", "cuda"]


class Frozen(BaseModel):
    """A value that never changes after it is made and has no field it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True, ser_json_inf_nan="strings")


class Images(Frozen):
    """What a network takes and gives: images of `channels` x `size` x `size`, `classes` maps."""

    channels: int = Field(3, ge=1)
    classes: int = Field(1, ge=1)
    size: int = Field(224, ge=1)


class Pass(Images):
    """A batch through a network, on a machine whose hardware and software the fingerprint `machine` stands for."""

    machine: str
    device: Device
    threads: int = Field(ge=1)
    batch: int = Field(1, ge=1)
    precision: Precision = "float32"
