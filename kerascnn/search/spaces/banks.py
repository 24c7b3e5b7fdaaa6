"""Layers that read from memory banks and write to others: a view of networks in which all ways of joining are alike."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from kerascnn import _check
from kerascnn.search.records import Tokens
from kerascnn.search.spaces.choices import Choices, Row
from kerascnn.search.spaces.tokens import TokenSpace

_FIELDS = {"kernel": (3, 5, 7), "dilation": (1, 2, 3)}


@dataclasses.dataclass(frozen=True)
class BankLayer:
    """A layer of a block."""

    values: Row  # what was chosen, by name
    reads: tuple[int, ...]  # the banks that it reads, ascending, from 0; those that nothing was written to are nothing
    writes: tuple[int, ...]  # the banks that its map is added to


class Banks(TokenSpace):
    """Blocks of layers. The input of a block is its bank 0, the others begin empty; what was written to them in the end
    is the block's output. A layer must read one bank that is not empty.

    Args:
        blocks: how many.
        layers: of a block.
        banks: of a block, from 1 to 6.
        fields: by name the values that each layer chooses from; None: a "kernel" of 3, 5 or 7 and a "dilation" of 1, 2
            or 3.

    Raises:
        InputError: an argument is something else.

    Source:
        Brock, Lim, Ritchie, Weston: SMASH: One-Shot Model Architecture Search through HyperNetworks, 2017,
        arXiv:1708.05344, section 3.1.

    Example:

        import numpy as np
        from kerascnn.search import spaces

        space = spaces.Banks(blocks=2, layers=2, banks=2)
        space.decode(space.sample(np.random.default_rng(0)))[0][0].reads  # of the first block's first layer
    """

    def __init__(self, blocks: int = 3, layers: int = 3, banks: int = 4, fields: Mapping[str, Sequence] | None = None):
        self.blocks, self.layers = _check.whole("blocks", blocks, 1, 10), _check.whole("layers", layers, 1, 100)
        self.banks = _check.whole("banks", banks, 1, 6)
        self.row = Choices(_FIELDS if fields is None else fields)
        self._sets = [
            tuple(bank for bank in range(self.banks) if number >> bank & 1) for number in range(1, 2**self.banks)
        ]
        width, count = len(self.row.sizes) + 2, self.blocks * self.layers
        each = (*self.row.sizes, len(self._sets), len(self._sets))
        kinds = [range(kind, width * count, width) for kind in range(width)]
        super().__init__(each * count, [[i for kind in kinds[:-2] for i in kind], kinds[-2], kinds[-1]])

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one space from another."""
        own = {"blocks": self.blocks, "layers": self.layers, "banks": self.banks}
        return {**super().settings(), **own, "fields": self.row.settings()["fields"]}

    def _blocks(self, tokens: Tokens) -> list[list[tuple[Tokens, tuple[int, ...], tuple[int, ...]]]]:
        """Of each block, of each layer: tokens of the row, what is read, what is written."""
        width = len(self.row.sizes) + 2
        layers = [tokens[i : i + width] for i in range(0, len(tokens), width)]
        found = [(layer[:-2], self._sets[layer[-2]], self._sets[layer[-1]]) for layer in layers]
        return [found[i : i + self.layers] for i in range(0, len(found), self.layers)]

    def decode(self, tokens: Tokens) -> tuple[tuple[BankLayer, ...], ...]:
        """The blocks of a candidate.

        Args:
            tokens: a candidate.

        Returns:
            Of each block its layers.

        Raises:
            InputError: it is no candidate.
        """
        return tuple(
            tuple(BankLayer(self.row.decode(row), reads, writes) for row, reads, writes in block)
            for block in self._blocks(self.check(tokens))
        )

    def encode(self, description: Sequence[Sequence[BankLayer]]) -> Tokens:
        """The tokens of blocks.

        Args:
            description: blocks as `decode` gives them.

        Returns:
            The candidate.

        Raises:
            InputError: the space has no such blocks.
        """
        rule = f"{self.blocks} blocks of {self.layers} layers with banks from 0 to {self.banks - 1}"
        counts = [len(block) if isinstance(block, Sequence) else 0 for block in description]
        if counts != [self.layers] * self.blocks:
            raise _check.refuse("description", rule, description)
        tokens: list[int] = []
        for layer in itertools.chain(*description):
            if not isinstance(layer, BankLayer) or not {layer.reads, layer.writes} <= set(self._sets):
                raise _check.refuse("description", rule, description)
            tokens += [*self.row.encode(layer.values), self._sets.index(layer.reads), self._sets.index(layer.writes)]
        return self.check(tokens)

    def size(self) -> int:
        """How many candidates there are."""
        if self._rules:
            return super().size()
        full, ways = 2**self.banks, {1: 1}  # by which banks are not empty, as bits: layers that lead there
        for _ in range(self.layers):
            reached: dict[int, int] = {}
            for filled, count in ways.items():
                reads = full - 2 ** (self.banks - filled.bit_count())
                for writes in range(1, full):
                    reached[filled | writes] = reached.get(filled | writes, 0) + count * reads
            ways = reached
        return (sum(ways.values()) * math.prod(self.row.sizes) ** self.layers) ** self.blocks

    def _wrong(self, tokens: Tokens) -> str | None:
        for number, block in enumerate(self._blocks(tokens), 1):
            filled = {0}
            for place, (_, reads, writes) in enumerate(block, 1):
                if not filled & set(reads):
                    return f"layer {place} of block {number} reads nothing that was written"
                filled |= set(writes)
        return None

    def _form(self, tokens: Tokens) -> Any:
        """The banks but the first have no order."""
        return [min(self._renamed(block, names) for names in self._names()) for block in self._blocks(tokens)]

    def _names(self):
        return ((0, *names) for names in itertools.permutations(range(1, self.banks)))

    def _renamed(self, block, names) -> Any:
        filled, found = {0}, []
        for row, reads, writes in block:
            read = sorted(names[bank] for bank in reads if bank in filled)
            filled |= set(writes)
            found.append((row, tuple(read), tuple(sorted(names[bank] for bank in writes))))
        return tuple(found)
