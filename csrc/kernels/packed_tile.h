// How the matrices lie whose product kernels/packed_tile.inc computes: b in panels, rows of a in blocks of depth.
#ifndef KERASCNN_KERNELS_PACKED_TILE_H_
#define KERASCNN_KERNELS_PACKED_TILE_H_

#include <cstdint>

#include "common/simd.h"

namespace kerascnn {

// A panel of b that deep, and a tile of rows, are in the first-level cache together. Rows are no power of two apart, so
// that they do not compete for the same cache lines.
constexpr int64_t kPackedDepth = 256;
constexpr int64_t kPackedRow = kPackedDepth + 16;

// Of the instruction set that will run: lanes of a vector, two of which are a panel; rows of a tile.
inline int64_t PackedLanes() {
  const CpuLevel level = BestCpuLevel();
  return level == CpuLevel::kAvx512 ? 16 : level == CpuLevel::kAvx2 ? 8 : 4;
}
inline int64_t PackedTileHeight() { return BestCpuLevel() == CpuLevel::kAvx512 ? 14 : 6; }

// Elements of a packed matrix of `depth` rows and `columns` columns.
inline int64_t PackedPanelElements(int64_t depth, int64_t columns) {
  return depth * ((columns + PackedLanes() - 1) / PackedLanes()) * PackedLanes();
}

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_PACKED_TILE_H_
