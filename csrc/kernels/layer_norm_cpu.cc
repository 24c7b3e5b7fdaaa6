// Layer normalization on the CPU: what a task is. The loops are in layer_norm_simd.inc.
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#include "common/activation.h"
#include "common/simd.h"
#include "common/types.h"
#include "kernels/layer_norm.h"

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/activation.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/normed_row.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/layer_norm_simd.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

constexpr int64_t kBlock = 64;  // rows whose sums are formed together

int64_t Blocks(const LayerNormShape& shape) { return (shape.rows + kBlock - 1) / kBlock; }

}  // namespace

template <typename T>
void LayerNormForward(const LayerNormShape& shape, const T* x, const float* scale, const float* shift, T* y,
                      const ParallelFor& parallel) {
  if (shape.channels == 0) return;
  parallel.Run(shape.rows, 64 + shape.channels / 2, [&](int64_t begin, int64_t end) {
    KERASCNN_SIMD_CALL(LayerNormRows(shape, x, scale, shift, y, begin, end));
  });
}

int64_t LayerNormScratchBytes(const LayerNormShape& shape) {
  return Blocks(shape) * 2 * shape.channels * static_cast<int64_t>(sizeof(float));
}

template <typename T>
void LayerNormGradient(const LayerNormShape& shape, const T* x, const float* scale, const T* dy, T* dx, float* dscale,
                       float* dshift, void* scratch, const ParallelFor& parallel) {
  const int64_t blocks = Blocks(shape), channels = shape.channels;
  float* sums = static_cast<float*>(scratch);
  if (channels > 0) {
    parallel.Run(blocks, kBlock * (64 + 2 * channels), [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        const int64_t first = block * kBlock, last = std::min(shape.rows, first + kBlock);
        KERASCNN_SIMD_CALL(LayerNormGradientRows(shape, x, scale, dy, dx, sums + block * 2 * channels, first, last));
      }
    });
  }
  parallel.Run(channels, 4 * blocks, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      double of_scale = 0, of_shift = 0;
      for (int64_t block = 0; block < blocks; ++block) {
        of_scale += sums[block * 2 * channels + c];
        of_shift += sums[(block * 2 + 1) * channels + c];
      }
      dscale[c] = static_cast<float>(of_scale);
      dshift[c] = static_cast<float>(of_shift);
    }
  });
}

#define KERASCNN_INSTANTIATE(T)                                                                                   \
  template void LayerNormForward<T>(const LayerNormShape&, const T*, const float*, const float*, T*,              \
                                    const ParallelFor&);                                                          \
  template void LayerNormGradient<T>(const LayerNormShape&, const T*, const float*, const T*, T*, float*, float*, \
                                     void*, const ParallelFor&)
KERASCNN_INSTANTIATE(float);
KERASCNN_INSTANTIATE(bfloat16);
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
