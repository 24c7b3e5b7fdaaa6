// SAF-pooling on the CPU: checks, and rows for the threads. The loops are in saf_pool2d_simd.inc.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "common/check.h"
#include "common/simd.h"
#include "kernels/saf_pool2d.h"
#include "kernels/saf_pool2d_body.h"

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/saf_pool2d_simd.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

constexpr int64_t kLargest = int64_t{1} << 31;  // of any extent

}  // namespace

void SafPool2DSetSamePadding(SafPool2D* pool) {
  pool->pad_y = SamePadding(pool->height, pool->window_y, pool->stride_y, 1);
  pool->pad_x = SamePadding(pool->width, pool->window_x, pool->stride_x, 1);
}

std::string SafPool2DCheckWindow(const SafPool2D& p) {
  const auto positive = [](int64_t n) { return n >= 1 && n < kLargest; };
  if (!positive(p.window_y) || !positive(p.window_x) || p.window_y * p.window_x > kSafMostTaps) {
    return Say("A window must have at least 1 and at most 255 elements.", {p.window_y, p.window_x});
  }
  if (!positive(p.stride_y) || !positive(p.stride_x)) {
    return Say("Strides must be at least 1 and below 2^31.", {p.stride_y, p.stride_x});
  }
  for (const auto& [padding, window] : {std::pair(p.pad_y, p.window_y), std::pair(p.pad_x, p.window_x)}) {
    if (padding.before < 0 || padding.after < 0 || padding.before >= window || padding.after >= window) {
      return Say("Padding must be at least 0 and smaller than the window.",
                 {p.pad_y.before, p.pad_y.after, p.pad_x.before, p.pad_x.after});
    }
  }
  if (!(p.rate >= 0 && p.rate < 1)) return Say("The rate must be at least 0 and less than 1.", {p.rate});
  return "";
}

std::string SafPool2DCheck(const SafPool2D& p) {
  std::string window = SafPool2DCheckWindow(p);
  if (!window.empty()) return window;
  for (int64_t n : {p.batch, p.height, p.width, p.channels}) {
    if (n < 0 || n >= kLargest) {
      return Say("The images' extents must be below 2^31.", {p.batch, p.height, p.width, p.channels});
    }
  }
  if ((p.height > 0 && p.output_height() == 0) || (p.width > 0 && p.output_width() == 0)) {
    return Say("The window must fit into the padded image.", {p.window_y, p.window_x, p.height, p.width});
  }
  if (!Fits({p.batch, p.height, p.width, p.channels, 16}) ||
      !Fits({p.batch, p.output_height(), p.output_width(), p.channels, 16})) {
    return Say("A tensor would be too large to address.", {p.batch, p.height, p.width, p.channels});
  }
  return "";
}

template <typename T>
void SafPool2DForward(const SafPool2D& pool, SafKey key, const T* x, T* y, uint8_t* state,
                      const ParallelFor& parallel) {
  if (pool.y_elements() == 0) return;
  const int64_t row = pool.output_width() * pool.channels;
  parallel.Run(
      pool.batch * pool.output_height(), row * (pool.window_y * pool.window_x + 4) / 2 + 1,
      [&](int64_t begin, int64_t end) { KERASCNN_SIMD_CALL(SafForwardRows(pool, key, x, y, state, begin, end)); });
}

template <typename T>
void SafPool2DGradient(const SafPool2D& pool, const uint8_t* state, const T* dy, T* dx, const ParallelFor& parallel) {
  if (pool.x_elements() == 0) return;
  const int64_t row = pool.width * pool.channels;
  if (pool.window_y <= pool.stride_y && pool.window_x <= pool.stride_x) {
    parallel.Run(
        pool.batch * pool.output_height(), row * std::min(pool.stride_y, pool.height) / 2 + 1,
        [&](int64_t begin, int64_t end) { KERASCNN_SIMD_CALL(SafGradientBands(pool, state, dy, dx, begin, end)); });
    return;
  }
  const int64_t seen = (pool.window_y / pool.stride_y + 1) * (pool.window_x / pool.stride_x + 1);
  parallel.Run(pool.batch * pool.height, row * seen / 2 + 1, [&](int64_t begin, int64_t end) {
    KERASCNN_SIMD_CALL(SafGradientRows(pool, state, dy, dx, begin, end));
  });
}

#define KERASCNN_INSTANTIATE(T)                                                                            \
  template void SafPool2DForward<T>(const SafPool2D&, SafKey, const T*, T*, uint8_t*, const ParallelFor&); \
  template void SafPool2DGradient<T>(const SafPool2D&, const uint8_t*, const T*, T*, const ParallelFor&)
KERASCNN_INSTANTIATE(float);
KERASCNN_INSTANTIATE(double);
KERASCNN_INSTANTIATE(bfloat16);
KERASCNN_INSTANTIATE(half);
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
