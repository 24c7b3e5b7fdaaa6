// Resizing images of bytes on the CPU: the weights of both axes, then output rows, each from resize2d_simd.inc.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "common/simd.h"
#include "kernels/resize2d.h"

// Products are rounded before they are added, as in TensorFlow's kernel and at every level of instructions, so that an
// exported graph, which holds TensorFlow's, sees the same pixels.
#ifdef __clang__
#pragma clang fp contract(off)
#else
#pragma GCC optimize("fp-contract=off")
#endif

namespace kerascnn {
namespace {

// The sources of each target of an axis, and their weights.
struct ResizeAxis {
  ResizeAxis(int64_t in, int64_t out, ResizeKernel kernel);
  int64_t taps = 0;            // room for the weights of a target
  std::vector<int64_t> first;  // per target: its first source
  std::vector<int64_t> count;  // per target: how many
  std::vector<float> weights;  // [target, taps]
};

float ResizeWeight(ResizeKernel kernel, float x) {
  x = std::abs(x);
  if (kernel == ResizeKernel::kBilinear) return x < 1 ? 1 - x : 0.0f;
  if (x >= 2) return 0.0f;
  if (x >= 1) return ((-0.5f * x + 2.5f) * x - 4.0f) * x + 2.0f;
  return ((1.5f * x - 2.5f) * x) * x + 1.0f;
}

ResizeAxis::ResizeAxis(int64_t in, int64_t out, ResizeKernel kernel) : first(out), count(out) {
  const float step = 1.0f / (static_cast<float>(out) / static_cast<float>(in)), spread = std::max(step, 1.0f);
  const float reach = (kernel == ResizeKernel::kBilinear ? 1.0f : 2.0f) * spread, inverse = 1.0f / spread;
  taps = std::min<int64_t>(2 * static_cast<int64_t>(std::ceil(reach)) + 1, in);
  weights.resize(out * taps);
  for (int64_t target = 0; target < out; ++target) {
    const float at = (target + 0.5f) * step;
    const auto inside = [&](float place) { return std::clamp<int64_t>(static_cast<int64_t>(place), 0, in - 1); };
    const int64_t begin = inside(std::ceil(at - reach - 0.5f)), end = inside(std::floor(at + reach - 0.5f)) + 1;
    float* const weight = &weights[target * taps];
    float sum = 0;
    first[target] = begin, count[target] = std::min(end - begin, taps);
    for (int64_t i = 0; i < count[target]; ++i) {
      sum += weight[i] = ResizeWeight(kernel, (static_cast<float>(begin + i) + 0.5f - at) * inverse);
    }
    const float scale = 1.0f / sum;
    for (int64_t i = 0; i < count[target]; ++i) weight[i] *= scale;
  }
}

// A vector of four floats reads as far beyond the end of a row of three channels.
constexpr int64_t kResizeMargin = 4;

}  // namespace
}  // namespace kerascnn

#define KERASCNN_SIMD_FILE "kernels/resize2d_simd.inc"
#include "common/simd_foreach.h"

namespace kerascnn {

void Resize2D(const Resize2DShape& s, ResizeKernel kernel, const uint8_t* x, uint8_t* y, const ParallelFor& parallel) {
  const ResizeAxis rows(s.height, s.out_height, kernel), columns(s.width, s.out_width, kernel);
  const int64_t across = s.width * s.channels, out = s.out_width * s.channels;
  const int64_t cost = across * rows.taps / 8 + out * columns.taps / 2;
  parallel.Run(s.images * s.out_height, cost, [&](int64_t begin, int64_t end) {
    std::vector<float> down(across + kResizeMargin), result(out + kResizeMargin);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / s.out_height, row = i % s.out_height;
      const uint8_t* source = x + (image * s.height + rows.first[row]) * across;
      KERASCNN_SIMD_CALL(ResizeDown(source, across, &rows.weights[row * rows.taps], rows.count[row], down.data()));
      KERASCNN_SIMD_CALL(ResizeAcross(down.data(), columns, s.channels, result.data()));
      KERASCNN_SIMD_CALL(ResizeRound(result.data(), out, y + i * out));
    }
  });
}

}  // namespace kerascnn
