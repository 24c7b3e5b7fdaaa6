// Winograd's convolution with packed filters on the CPU: what a task is. The loops are in packed_winograd2d.inc.
#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/simd.h"
#include "common/types.h"
#include "kernels/conv2d_plan.h"
#include "kernels/packed_tile.h"
#include "kernels/packed_winograd2d.h"

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/activation.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/packed_tile.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/packed_winograd2d.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

constexpr int64_t kGroup = 56;  // tiles of a task: their sources stay in the second-level cache, filters pass by once
constexpr int64_t kSlotElements = 16 * kGroup * kPackedRow;

}  // namespace

bool IsPackedWinograd2D(int64_t kernel_height, int64_t kernel_width, int64_t stride_y, int64_t stride_x,
                        int64_t dilation_y, int64_t dilation_x, int64_t channels, int64_t filters) {
  return kernel_height == 3 && kernel_width == 3 && stride_y == 1 && stride_x == 1 && dilation_y == 1 &&
         dilation_x == 1 && channels >= 32 && channels <= kPackedDepth && filters >= 32;
}

int64_t PackedWinogradElements(int64_t channels, int64_t filters) {
  return 16 * PackedPanelElements(channels, filters);
}

void PackWinogradFilter(int64_t channels, int64_t filters, const float* w, float* packed) {
  std::vector<float> point(channels * filters);
  KERASCNN_SIMD_CALL(PackWinograd(channels, filters, w, point.data(), packed));
}

int64_t PackedWinogradScratchBytes(int threads) {
  return ScratchSlots::HeaderBytes(threads) + ScratchSlots::Count(threads) * kSlotElements * 4;
}

void RunPackedWinograd2D(const PackedConv2D& conv, void* scratch, const ParallelFor& parallel) {
  const int64_t tiles = conv.batch * ((conv.output_height + 1) / 2) * ((conv.output_width + 1) / 2);
  if (tiles == 0) return;
  const int threads = parallel.threads();
  const ScratchSlots slots(scratch, threads);
  float* const sources = reinterpret_cast<float*>(static_cast<char*>(scratch) + ScratchSlots::HeaderBytes(threads));
  const int64_t panel = 2 * PackedLanes(), panels = CeilDiv(conv.filters, panel);
  const int64_t groups = CeilDiv(tiles, kGroup);
  // Where there are few groups, threads share the filters, too; each transforms the sources for itself.
  const int64_t parts = std::clamp<int64_t>(threads > 1 ? CeilDiv(2 * threads, groups) : 1, 1, panels);
  const int64_t cost = kGroup * conv.channels * conv.filters / parts;
  parallel.Run(groups * parts, cost, [&](int64_t begin, int64_t end) {
    const int slot = slots.Acquire();
    for (int64_t task = begin; task < end; ++task) {
      const int64_t group = task / parts, part = task % parts;
      const int64_t first = part * panels / parts * panel, last = (part + 1) * panels / parts * panel;
      KERASCNN_SIMD_CALL(WinogradBlock(conv, group * tiles / groups, (group + 1) * tiles / groups, first,
                                       std::min(conv.filters, last), sources + slot * kSlotElements));
    }
    slots.Release(slot);
  });
}

}  // namespace kerascnn
