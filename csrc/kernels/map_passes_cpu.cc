// Passes over feature maps on the CPU: what a task is. The loops are in map_passes.inc.
#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include "common/simd.h"
#include "common/types.h"
#include "kernels/map_passes.h"

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/activation.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/map_passes.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

constexpr int64_t kChannels = 64;  // of a mean's task: four cache lines of a pixel

}  // namespace

void RunMapPass(const MapPass& pass, const ParallelFor& parallel) {
  parallel.Run(pass.rows, 1 + pass.channels / 4,
               [&](int64_t begin, int64_t end) { KERASCNN_SIMD_CALL(PassRows(pass, begin, end)); });
}

void RunMapPool(const MapPool& pool, const ParallelFor& parallel) {
  const int64_t cost = 1 + pool.output_width * pool.channels * pool.kernel_height * pool.kernel_width / 8;
  parallel.Run(pool.batch * pool.output_height, cost, [&](int64_t begin, int64_t end) {
    if (pool.mean) {
      KERASCNN_SIMD_CALL(PoolRows<true>(pool, begin, end));
    } else {
      KERASCNN_SIMD_CALL(PoolRows<false>(pool, begin, end));
    }
  });
}

void RunMapMean(const MapMean& mean, const ParallelFor& parallel) {
  const int64_t chunks = (mean.channels + kChannels - 1) / kChannels;
  parallel.Run(mean.batch * chunks, 1 + mean.pixels * kChannels / 8, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % chunks * kChannels;
      KERASCNN_SIMD_CALL(MeanOf(mean, task / chunks, first, std::min(mean.channels, first + kChannels)));
    }
  });
}

void RunMapSoftmax(const MapSoftmax& softmax, const ParallelFor& parallel) {
  if (softmax.channels == 0) return;
  parallel.Run(softmax.rows, 4 * softmax.channels,
               [&](int64_t begin, int64_t end) { KERASCNN_SIMD_CALL(SoftmaxRows(softmax, begin, end)); });
}

}  // namespace kerascnn
