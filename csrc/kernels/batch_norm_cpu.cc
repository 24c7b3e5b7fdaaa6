// Batch normalisation on the CPU: rows and channels are cut into tiles, whose loops are in batch_norm_simd.inc.
#include <algorithm>
#include <cmath>
#include <limits>

#include "common/simd.h"
#include "kernels/batch_norm.h"

namespace kerascnn {
namespace {

// How rows and channels are cut, from their numbers alone. A tile stays in the first-level cache while it is read a
// second time; a part is a run of tiles whose sums are one entry of the working memory.
struct NormPlan {
  static constexpr int64_t kSlab = 512;   // channels of a tile at most: few streams of memory, and sums on the stack
  static constexpr int64_t kTile = 8192;  // elements of a tile, about
  static constexpr int64_t kParts = 64;   // at most

  int64_t slabs, tile_rows, part_rows, parts;

  explicit NormPlan(const BatchNorm& norm) {
    slabs = (norm.channels + kSlab - 1) / kSlab;
    tile_rows = std::max<int64_t>(16, kTile / std::min(norm.channels, kSlab));
    const int64_t tiles = (norm.rows + tile_rows - 1) / tile_rows;
    part_rows = (tiles + kParts - 1) / kParts * tile_rows;
    parts = (norm.rows + part_rows - 1) / part_rows;
  }
};

// Runs body(part, first row, end row, first channel, end channel) for every part of every slab.
template <typename F>
void ForEachPart(const BatchNorm& norm, const NormPlan& plan, int64_t cost, const ParallelFor& parallel, F body) {
  const int64_t width = std::min(norm.channels, NormPlan::kSlab);
  parallel.Run(plan.parts * plan.slabs, cost * plan.part_rows * width / 4, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / plan.slabs, first = part * plan.part_rows, channel = task % plan.slabs * width;
      body(part, first, std::min(norm.rows, first + plan.part_rows), channel,
           std::min(norm.channels, channel + NormPlan::kSlab));
    }
  });
}

}  // namespace
}  // namespace kerascnn

#define KERASCNN_SIMD_FILE "kernels/batch_norm_simd.inc"
#include "common/simd_foreach.h"

namespace kerascnn {

template <typename T>
int64_t BatchNormScratchBytes(const BatchNorm& norm) {
  if (norm.rows == 0 || norm.channels == 0) return 0;
  // Two sums per part and channel, and two coefficients per channel.
  return (NormPlan(norm).parts + 1) * 2 * norm.channels * sizeof(Compute<T>);
}

template <typename T>
void BatchNormForward(const BatchNorm& norm, const T* x, const Compute<T>* scale, const Compute<T>* offset, T* y,
                      Compute<T>* mean, Compute<T>* variance, void* scratch, const ParallelFor& parallel) {
  using C = Compute<T>;
  const int64_t channels = norm.channels;
  if (norm.rows == 0) {
    std::fill(mean, mean + channels, std::numeric_limits<C>::quiet_NaN());
    std::fill(variance, variance + channels, std::numeric_limits<C>::quiet_NaN());
  }
  if (norm.rows == 0 || channels == 0) return;
  const NormPlan plan(norm);
  C* factor = static_cast<C*>(scratch);
  C* sums = factor + 2 * channels;
  ForEachPart(norm, plan, 2, parallel, [&](int64_t part, int64_t first, int64_t last, int64_t channel, int64_t end) {
    C* means = sums + 2 * part * channels + channel;
    KERASCNN_SIMD_CALL(PartMoments(channels, plan.tile_rows, first, last, channel, end, x, means, means + channels));
  });
  KERASCNN_SIMD_CALL(JoinMoments(norm, plan, sums, mean, variance));
  for (int64_t c = 0; c < channels; ++c) factor[c] = scale[c] / std::sqrt(variance[c] + static_cast<C>(norm.epsilon));
  parallel.Run(norm.rows, channels, [&](int64_t begin, int64_t end) {
    KERASCNN_SIMD_CALL(NormalizeRows(channels, begin, end, x, mean, factor, offset, y));
  });
}

template <typename T>
void BatchNormBackward(const BatchNorm& norm, bool relu, const T* x, const Compute<T>* scale, const Compute<T>* offset,
                       const Compute<T>* mean, const Compute<T>* variance, const T* dy, T* dx, Compute<T>* dscale,
                       Compute<T>* doffset, void* scratch, const ParallelFor& parallel) {
  using C = Compute<T>;
  const int64_t channels = norm.channels;
  if (norm.rows == 0) {
    std::fill(dscale, dscale + channels, C(0));
    std::fill(doffset, doffset + channels, C(0));
  }
  if (norm.rows == 0 || channels == 0) return;
  const NormPlan plan(norm);
  C* factor = static_cast<C*>(scratch);
  C* slope = factor + channels;
  C* sums = slope + channels;
  for (int64_t c = 0; c < channels; ++c) factor[c] = scale[c] / std::sqrt(variance[c] + static_cast<C>(norm.epsilon));
  ForEachPart(norm, plan, 3, parallel, [&](int64_t part, int64_t first, int64_t last, int64_t channel, int64_t end) {
    C* both = sums + 2 * part * channels + channel;
    KERASCNN_SIMD_CALL(PartSums(relu, channels, plan.tile_rows, first, last, channel, end, x, mean, factor, offset, dy,
                                both, both + channels));
  });
  KERASCNN_SIMD_CALL(JoinSums(channels, plan.parts, sums, doffset, dscale));
  // dx = factor * (dy - doffset / n) + (x - mean) * slope; the mean of dy takes the place of the sums.
  C* centre = sums;
  for (int64_t c = 0; c < channels; ++c) {
    const C root = C(1) / std::sqrt(variance[c] + static_cast<C>(norm.epsilon));
    centre[c] = doffset[c] / norm.rows;
    slope[c] = -factor[c] * root * root * dscale[c] / norm.rows;
    dscale[c] *= root;
  }
  parallel.Run(norm.rows, 2 * channels, [&](int64_t begin, int64_t end) {
    KERASCNN_SIMD_CALL(GradientRows(relu, channels, begin, end, x, mean, factor, offset, centre, slope, dy, dx));
  });
}

#define KERASCNN_INSTANTIATE(T)                                                                                        \
  template int64_t BatchNormScratchBytes<T>(const BatchNorm&);                                                         \
  template void BatchNormForward<T>(const BatchNorm&, const T*, const Compute<T>*, const Compute<T>*, T*, Compute<T>*, \
                                    Compute<T>*, void*, const ParallelFor&);                                           \
  template void BatchNormBackward<T>(const BatchNorm&, bool, const T*, const Compute<T>*, const Compute<T>*,           \
                                     const Compute<T>*, const Compute<T>*, const T*, T*, Compute<T>*, Compute<T>*,     \
                                     void*, const ParallelFor&)
KERASCNN_INSTANTIATE(float);
KERASCNN_INSTANTIATE(double);
KERASCNN_INSTANTIATE(bfloat16);
KERASCNN_INSTANTIATE(half);
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
