"""Spaces of the literature, of the sizes that the papers or their code give."""

from kerascnn.search.spaces.cell import Blocks, Edges
from kerascnn.search.spaces.chain import Chain
from kerascnn.search.spaces.growing import Growing
from kerascnn.search.spaces.hierarchical import Hierarchical

_NASNET = (
    "identity", "conv_1x3_3x1", "conv_1x7_7x1", "dil_sep_3x3", "avg_3x3", "max_3x3", "max_5x5", "max_7x7", "conv_1x1",
    "conv_3x3", "sep_3x3", "sep_5x5", "sep_7x7",
)  # fmt: skip
_PNAS = ("sep_3x3", "sep_5x5", "sep_7x7", "conv_1x7_7x1", "identity", "avg_3x3", "max_3x3", "dil_sep_3x3")
_ENAS = ("sep_3x3", "sep_5x5", "avg_3x3", "max_3x3", "identity")
_DARTS = ("max_3x3", "avg_3x3", "identity", "sep_3x3", "sep_5x5", "dil_sep_3x3", "dil_sep_5x5")


def nasnet(nodes: int = 5) -> Blocks:
    """NASNet's two cells of blocks with 13 operations.

    Departures: blocks are sums, where the paper's may be concatenations too; the dilated 3x3 convolution is separable.

    Args:
        nodes: blocks of a cell.

    Returns:
        The space.

    Raises:
        InputError: `nodes` is less than 1 or more than 16.

    Source:
        Zoph, Vasudevan, Shlens, Le, 2017, arXiv:1707.07012, section 3.
    """
    return Blocks(_NASNET, nodes, name="nasnet")


def pnas(nodes: int = 5) -> Blocks:
    """PNASNet's one cell with 8 operations: 256 x 576 x 1024 x 1600 x 2304 candidates of five blocks.

    Args:
        nodes: blocks of a cell.

    Returns:
        The space. Of its 256 candidates of one block 136 are different.

    Raises:
        InputError: `nodes` is less than 1 or more than 16.

    Source:
        Liu et al.: Progressive Neural Architecture Search, 2017, arXiv:1712.00559, section 3.
    """
    return Blocks(_PNAS, nodes, shared=True, name="pnas")


def pnas_growing(nodes: int = 5) -> Growing:
    """PNASNet's cells of one block, two, and so on: what the strategy `PNAS` goes through.

    Args:
        nodes: blocks of the largest cells.

    Returns:
        The space.

    Raises:
        InputError: `nodes` is less than 1 or more than 16.

    Source:
        Liu et al., 2017, arXiv:1712.00559, section 4.1.
    """
    return Growing(_PNAS, nodes)


def enas_micro(nodes: int = 5) -> Blocks:
    """ENAS' two cells of blocks with 5 operations: 5.06e12 candidates a cell as its released code counts them.

    Args:
        nodes: blocks of a cell.

    Returns:
        The space.

    Raises:
        InputError: `nodes` is less than 1 or more than 16.

    Source:
        Pham, Guan, Zoph, Le, Dean: Efficient Neural Architecture Search via Parameter Sharing, 2018, arXiv:1802.03268.
    """
    return Blocks(_ENAS, nodes, name="enas")


def darts(nodes: int = 4) -> Edges:
    """DARTS' two cells, whose nodes read two different values with 7 operations: 1.04e9 candidates a cell.

    Args:
        nodes: of a cell.

    Returns:
        The space.

    Raises:
        InputError: `nodes` is less than 1 or more than 16.

    Source:
        Liu, Simonyan, Yang, 2018, arXiv:1806.09055, section 3.
    """
    return Edges(_DARTS, nodes, concat_all=True, name="darts")


def enas_macro(layers: int = 12) -> Chain:
    """ENAS' chain: one of 6 operations in each layer, and skips: 1.6e29 candidates of twelve layers.

    Args:
        layers: how many.

    Returns:
        The space.

    Raises:
        InputError: `layers` is less than 1 or more than 1,000.

    Source:
        Pham et al., 2018, arXiv:1802.03268, section 2.3.
    """
    operations = ("conv_3x3", "conv_5x5", "sep_3x3", "sep_5x5", "avg_3x3", "max_3x3")
    return Chain(layers, {"operation": operations})


def nas(layers: int = 15) -> Chain:
    """The chain of convolutions of the first neural architecture search: 5.0e58 candidates of 15 layers.

    Args:
        layers: how many.

    Returns:
        The space; a layer without skips reads the image.

    Raises:
        InputError: `layers` is less than 1 or more than 1,000.

    Source:
        Zoph, Le: Neural Architecture Search with Reinforcement Learning, 2016, arXiv:1611.01578, section 4.1.
    """
    return Chain(layers, {"height": (1, 3, 5, 7), "width": (1, 3, 5, 7), "filters": (24, 36, 48, 64)})


def hierarchical() -> Hierarchical:
    """Six motifs of four nodes over six operations, and a cell of five nodes over the motifs.

    Returns:
        The space.

    Source:
        Liu, Simonyan, Vinyals, Fernando, Kavukcuoglu: Hierarchical Representations for Efficient Architecture Search,
        2017, arXiv:1711.00436, section 2.
    """
    primitives = ("conv_1x1", "depthwise_3x3", "sep_3x3", "max_3x3", "avg_3x3", "identity")
    return Hierarchical(primitives, ((6, 4), (1, 5)))
