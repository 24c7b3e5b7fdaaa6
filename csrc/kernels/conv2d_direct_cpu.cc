// Direct convolution on the CPU, forward and input gradient: hands blocks and strips to threads. The partition is in
// conv2d_plan.cc, the loops in conv2d_simd.inc.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "common/simd.h"
#include "common/types.h"
#include "kernels/conv2d_direct.h"
#include "kernels/conv2d_plan.h"

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/conv2d_pack.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/conv2d_simd.inc"
#include "common/simd_foreach.h"

namespace kerascnn {

int64_t Direct2DScratchBytes(const Conv2D& conv, Conv2DKind kind, int element_bytes, int threads) {
  const ConvPlan plan = ConvPlan::Make(conv, kind, element_bytes, VectorBytes());
  const double rows = plan.packed_rows(plan.strip), columns = plan.packed_columns(), targets = plan.x.target_size + 1.0;
  const double weights = double(conv.kernel_height) * conv.kernel_width * plan.steps * plan.block;
  const double elements = weights * plan.parts * plan.blocks +
                          (threads + 1.0) * (rows * columns * plan.depth * plan.planes + weights * plan.chunk +
                                             targets * plan.strip * plan.chunk * plan.block);
  if (!(elements < 1e17)) return -1;
  const DirectLayout layout(plan, kind);
  const int64_t bytes = element_bytes == 8 ? 8 : 4;
  return ScratchSlots::HeaderBytes(threads) + bytes * (layout.shared + layout.slot() * ScratchSlots::Count(threads));
}

// A task is one strip of one image and one chunk of channels. Tasks of a chunk follow each other, so that its weights
// are packed once for all tasks that a thread does in a row.
template <typename T>
void Direct2D(const Conv2D& conv, Conv2DKind kind, const T* source, const T* w, T* target, void* memory,
              const ParallelFor& parallel, const Conv2DEpilogue<T>& epilogue) {
  using R = Compute<T>;
  const ConvPlan plan = ConvPlan::Make(conv, kind, sizeof(T), VectorBytes());
  const DirectLayout layout(plan, kind);
  const DirectScratch<R> scratch(layout, memory, parallel.threads());
  const int64_t block_weights = plan.block_weights(), items = plan.items();
  const int64_t work = plan.strip * plan.y.phases * plan.x.target_size * plan.chunk * (block_weights / plan.lanes + 8);
  const int64_t cost = work / (plan.y.phases * plan.x.phases);
  parallel.Run(items * plan.chunks, cost, [&](int64_t begin, int64_t end) {
    const int slot = scratch.free.Acquire();
    R* packed = scratch.slots + slot * scratch.slot;
    R* weights = packed + layout.source;
    R* line = weights + layout.other;
    int64_t chunk = -1;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t item = task % items, image = item / plan.strips, q = item % plan.strips * plan.strip;
      const int64_t count = std::min(plan.strip, plan.y.rows() - q);
      const int64_t first = task / items * plan.chunk, last = std::min(plan.blocks, first + plan.chunk);
      if (task / items != chunk) {
        for (int64_t b = first; b < last; ++b) {
          KERASCNN_SIMD_CALL(PackWeights(plan, b, w, weights + (b - first) * block_weights));
        }
        chunk = task / items;
      }
      if (!plan.in_place) KERASCNN_SIMD_CALL(PackSource(plan, first, last, source, image, q, count, packed));
      for (int64_t b = first; b < last; ++b) {
        R* from = plan.in_place ? packed : packed + plan.Plane(first, b) * plan.source_plane();
        const R* of_block = weights + (b - first) * block_weights;
        KERASCNN_SIMD_CALL(StripOfBlock(plan, b, b + 1 < last, source, of_block, from, image, q, count, line, target));
        if (kind != Conv2DKind::kForward) continue;
        const ConvBlock block = plan.Block(b);
        const int64_t width = plan.x.target_size, channels = plan.target_channels;
        ApplyEpilogue(epilogue, block.target_first, block.target_count, count, width * channels, width, channels,
                      target + (image * plan.y.target_size + q) * width * channels + block.target_first);
      }
    }
    scratch.free.Release(slot);
  });
}

#define KERASCNN_INSTANTIATE(T)                                                                           \
  template void Direct2D<T>(const Conv2D&, Conv2DKind, const T*, const T*, T*, void*, const ParallelFor&, \
                            const Conv2DEpilogue<T>&);
KERASCNN_INSTANTIATE(float)
KERASCNN_INSTANTIATE(double)
KERASCNN_INSTANTIATE(bfloat16)
KERASCNN_INSTANTIATE(half)
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
