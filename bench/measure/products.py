"""Finds elementwise products that are then summed: convolutions and matrix products that no operator's name shows.

A product is known by the memory that it lies in, so also through views and where it is written in place, and through
every operator that is free of multiply-adds: copies, casts, activations, pooling, concatenation. Where products are
summed, each is one multiply-add. Sums are reductions, averages, and additions of two products or of a product to a sum
that began with zeros, a bias or products, as loops make them. A product added to something else is a residual, no sum.
"""

from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

PRODUCT, SUM = "product", "sum"
ADDITIONS = {"add", "sub", "rsub"}
ZEROS = {"zeros", "zeros_like", "new_zeros", "zero", "full", "full_like", "new_full", "ones", "ones_like", "new_ones"}
SPREADS = ("clone", "copy", "repeat")
REDUCTIONS = {"sum", "nansum", "mean", "nanmean", "cumsum", "trace", "scatter_add", "index_add", "scatter_reduce",
              "index_reduce", "segment_reduce", "col2im"}  # fmt: skip


class SummedProducts:
    """Watches operators in their order. `count` is the number of products that were summed."""

    def __init__(self) -> None:
        self.count = 0
        self._kinds: dict[int, tuple[StorageWeakRef, str]] = {}  # by storage; the reference keeps its number from reuse

    def see(self, func: Any, inputs: list[Tensor], outputs: list[Tensor], is_free: bool) -> None:
        """Record one call of the operator `func`, an OpOverload that is no view."""
        name = func.overloadpacket.__name__.strip("_")
        if name.startswith("copy") and len(inputs) > 1:
            inputs = inputs[1:]  # what was there before is overwritten
        kind = self._made(name, inputs, max((one.numel() for one in outputs), default=0)) if is_free else None
        for made in outputs:
            if made.layout != torch.strided:  # sparse tensors and nested ones have no memory of their own
                continue
            if kind:
                self._kinds[_memory(made)] = (StorageWeakRef(made.untyped_storage()), kind)
            elif made.nbytes >= made.untyped_storage().nbytes():  # written as a whole
                self._kinds.pop(_memory(made), None)

    def _made(self, name: str, inputs: list[Tensor], elements: int) -> str | None:
        """What a free operator makes of its inputs, whose summed products are counted: a product, a sum, or neither."""
        inputs = [one for one in inputs if one.layout == torch.strided]
        kinds = [self._kinds.get(_memory(one), (None, None))[1] for one in inputs]
        is_spread = name.startswith(SPREADS) and bool(inputs) and _holds(inputs[0]) < elements
        if name in ZEROS or (is_spread and kinds[0] is None):  # a bias over the whole result, to which products go
            return SUM
        if name == "mul" and len(inputs) > 1:
            return PRODUCT
        if name in REDUCTIONS or "avg_pool" in name:
            self.count += sum(one.numel() for one, kind in zip(inputs, kinds, strict=True) if kind == PRODUCT)
            return None
        if name == "addcmul":
            return self._added(inputs[:1], [kinds[0], PRODUCT], elements)
        if name in ADDITIONS:
            return self._added(inputs, kinds, elements)
        return PRODUCT if PRODUCT in kinds else SUM if kinds and set(kinds) == {SUM} else None

    def _added(self, inputs: list[Tensor], kinds: list[str | None], elements: int) -> str | None:
        """What an addition makes. A bias, which is smaller than the result, or a number changes nothing."""
        if any(not kind and one.numel() == elements for one, kind in zip(inputs, kinds, strict=False)):
            return None
        products = kinds.count(PRODUCT)
        if products > 1 or (products and SUM in kinds):
            self.count += products * elements
            return SUM
        return PRODUCT if products else SUM if SUM in kinds else None


def _holds(tensor: Tensor) -> int:
    """How many numbers lie in its memory: fewer than it has elements where it is expanded."""
    return tensor.untyped_storage().nbytes() // tensor.element_size()


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
