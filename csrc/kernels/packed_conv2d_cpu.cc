// Convolution with packed filters on the CPU: how rows and columns of the product are shared among threads.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "common/simd.h"
#include "common/types.h"
#include "kernels/packed_conv2d.h"
#include "kernels/packed_int8.h"
#include "kernels/packed_tile.h"

namespace kerascnn {
namespace {

constexpr int64_t kFilterBytes = 1 << 20;  // of a block of depth: stays in the second-level cache
constexpr int64_t kRowBytes = 512 << 10;   // of y and x: sums of one block of depth are there for the next

}  // namespace
}  // namespace kerascnn

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/activation.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/packed_tile.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/packed_int8.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/packed_conv2d.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

int64_t Ceil(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

int64_t PackedFilterElements(int64_t depth, int64_t columns) { return PackedPanelElements(depth, columns); }

void PackFilter(int64_t depth, int64_t columns, const float* w, float* packed) {
  KERASCNN_SIMD_CALL(PackPanels(depth, columns, w, packed));
}

void PackFilterInt8(int64_t depth, int64_t columns, const float* w, float* packed) {
  const Int8Layout layout{depth};
  KERASCNN_SIMD_CALL(PackInt8Panels(layout, columns, w, packed));
}

void RunPackedConv2D(const PackedConv2D& conv, const ParallelFor& parallel) {
  const int64_t rows = conv.rows(), depth = conv.depth(), panel = 2 * PackedLanes();
  if (rows == 0 || conv.filters == 0) return;
  const int64_t tiles = Ceil(rows, PackedTileHeight()), panels = Ceil(conv.filters, panel);
  const int64_t fewer = conv.int8 && HasVnni() ? 4 : 1;  // bytes of a filter, and instructions
  const int64_t block = std::min(depth, kPackedDepth) * 4 / fewer;
  int64_t columns = std::clamp<int64_t>(kFilterBytes / (block * panel), 1, panels);  // panels of a task
  const int64_t row_bytes = PackedTileHeight() * 4 * (std::min(columns * panel, conv.filters) + conv.channels);
  int64_t height = std::clamp<int64_t>(kRowBytes / row_bytes, 1, tiles);  // tiles of a task
  if (parallel.threads() > 1) {
    // Each thread reads the filters of its tasks' columns and the sources of its tasks' rows: it shares in whichever
    // is larger, in a few tasks a thread.
    const int64_t wanted = 4 * parallel.threads();
    if (conv.filters * depth > rows * conv.channels && panels >= parallel.threads()) {
      columns = std::min(columns, std::max<int64_t>(1, panels / wanted));
    } else {
      height = std::min(height, std::max<int64_t>(1, tiles / wanted));
    }
  }
  const int64_t row_tasks = Ceil(tiles, height), column_tasks = Ceil(panels, columns);
  const int64_t cost = height * PackedTileHeight() * columns * panel * depth / (2 * PackedLanes() * fewer);
  parallel.Run(row_tasks * column_tasks, cost, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t tile = task % row_tasks * height, first = task / row_tasks * columns * panel;
      KERASCNN_SIMD_CALL(PackedBlock(conv, tiles, tile, std::min(tiles, tile + height), first,
                                     std::min(conv.filters, first + columns * panel)));
    }
  });
}

}  // namespace kerascnn
