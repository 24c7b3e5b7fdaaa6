// Depthwise convolution for inference on the CPU: what a task is.
#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include "common/simd.h"
#include "common/types.h"
#include "kernels/packed_depthwise2d.h"

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/activation.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/packed_depthwise2d.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

constexpr int64_t kWindowBytes = 32 << 10;  // of the rows that an output row sees: the first-level cache holds them

int64_t Lanes() {
  const CpuLevel level = BestCpuLevel();
  return level == CpuLevel::kAvx512 ? 16 : level == CpuLevel::kAvx2 ? 8 : 4;
}

}  // namespace

int64_t PackedDepthwiseElements(int64_t taps, int64_t channels) {
  return taps * ((channels + Lanes() - 1) / Lanes()) * Lanes();
}

void PackDepthwiseFilter(int64_t taps, int64_t channels, const float* w, float* packed) {
  KERASCNN_SIMD_CALL(PackDepthwise(taps, channels, w, packed));
}

void RunPackedDepthwise2D(const PackedDepthwise2D& conv, const ParallelFor& parallel) {
  if (conv.batch * conv.output_height * conv.output_width * conv.channels == 0) return;
  const int64_t vectors = (conv.channels + Lanes() - 1) / Lanes();
  const int64_t vector_bytes = conv.kernel_height * conv.width * Lanes() * 4;
  const int64_t chunk = std::clamp<int64_t>(kWindowBytes / vector_bytes, 1, vectors);
  const int64_t chunks = (vectors + chunk - 1) / chunk;
  const int64_t strip = std::clamp<int64_t>(conv.output_height / 2, 1, 14);  // rows of a task
  const int64_t strips = (conv.output_height + strip - 1) / strip;
  const int64_t cost = strip * conv.output_width * chunk * conv.kernel_height * conv.kernel_width;
  parallel.Run(conv.batch * strips * chunks, cost, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task / chunks % strips * strip, vector = task % chunks * chunk;
      KERASCNN_SIMD_CALL(DepthwiseRows(conv, task / chunks / strips, first, std::min(conv.output_height, first + strip),
                                       vector, std::min(vectors, vector + chunk)));
    }
  });
}

}  // namespace kerascnn
