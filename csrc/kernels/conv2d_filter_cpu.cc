// Direct convolution's filter gradient on the CPU; see conv2d_direct_cpu.cc. The loops are in conv2d_filter.inc.
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
#define KERASCNN_SIMD_FILE "kernels/conv2d_filter.inc"
#include "common/simd_foreach.h"

namespace kerascnn {

template <typename T>
void Direct2DFilterGradient(const Conv2D& conv, const T* x, const T* dy, T* dw, void* memory,
                            const ParallelFor& parallel) {
  using R = Compute<T>;
  const ConvPlan plan = ConvPlan::Make(conv, Conv2DKind::kFilterGradient, sizeof(T), VectorBytes());
  const DirectLayout layout(plan, Conv2DKind::kFilterGradient);
  const DirectScratch<R> scratch(layout, memory, parallel.threads());
  const int64_t block_weights = plan.block_weights(), items = plan.items(), columns = plan.x.rows();
  const int64_t cost = items * plan.strip * columns * plan.chunk * (block_weights / plan.lanes + 16) / plan.parts;
  // A task is one chunk of channels and one part of the strips of all images.
  parallel.Run(plan.parts * plan.chunks, cost, [&](int64_t begin, int64_t end) {
    const int slot = scratch.free.Acquire();
    R* source = scratch.slots + slot * scratch.slot;
    R* target = source + layout.source;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / plan.chunks, first = task % plan.chunks * plan.chunk;
      const int64_t last = std::min(plan.blocks, first + plan.chunk);
      R* sums = scratch.shared + part * plan.blocks * block_weights;
      std::fill(sums + first * block_weights, sums + last * block_weights, R(0));
      for (int64_t item = items * part / plan.parts; item < items * (part + 1) / plan.parts; ++item) {
        const int64_t image = item / plan.strips, q = item % plan.strips * plan.strip;
        const int64_t count = std::min(plan.strip, plan.y.rows() - q);
        const T* rows = dy + (image * plan.y.target_size + q) * columns * conv.filters;
        if constexpr (std::is_same_v<T, R>) {
          if (plan.in_place) {
            for (int64_t b = first; b < last; ++b) {
              const int64_t channel = plan.Block(b).source_first;
              const R* from = x + image * plan.y.source_size * plan.x.source_size * conv.channels + channel;
              KERASCNN_SIMD_CALL(
                  StripGradient(plan, from, rows + channel, q, count, b + 1 < last, sums + b * block_weights));
            }
            continue;
          }
        }
        KERASCNN_SIMD_CALL(PackSource(plan, first, last, x, image, q, count, source));
        KERASCNN_SIMD_CALL(PackTargets(plan, first, last, rows, count * columns, target));
        for (int64_t b = first; b < last; ++b) {
          const R* from = source + plan.Plane(first, b) * plan.source_plane();
          const R* to = target + (b - first) * plan.target_plane();
          KERASCNN_SIMD_CALL(StripGradient(plan, from, to, q, count, false, sums + b * block_weights));
        }
      }
    }
    scratch.free.Release(slot);
  });
  parallel.Run(plan.blocks, plan.parts * block_weights / plan.lanes, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) KERASCNN_SIMD_CALL(SumParts(plan, b, scratch.shared, dw));
  });
}

#define KERASCNN_INSTANTIATE(T) \
  template void Direct2DFilterGradient<T>(const Conv2D&, const T*, const T*, T*, void*, const ParallelFor&);
KERASCNN_INSTANTIATE(float)
KERASCNN_INSTANTIATE(double)
KERASCNN_INSTANTIATE(bfloat16)
KERASCNN_INSTANTIATE(half)
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
