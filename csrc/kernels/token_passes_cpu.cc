// Passes over tokens on the CPU: what a task is. The loops are in token_passes.inc.
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#include "common/activation.h"
#include "common/simd.h"
#include "common/types.h"
#include "kernels/token_passes.h"

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/activation.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/transpose.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/normed_row.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/token_passes.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

constexpr int64_t kChannels = 16;  // of a transposition's task: a cache line of each pixel

}  // namespace

void RunTokenNorm(const TokenNorm& norm, const ParallelFor& parallel) {
  if (norm.channels == 0) return;
  parallel.Run(norm.rows, 64 + norm.channels / 2,
               [&](int64_t begin, int64_t end) { KERASCNN_SIMD_CALL(NormRows(norm, begin, end)); });
}

void RunTokenTranspose(const TokenTranspose& transpose, const ParallelFor& parallel) {
  const int64_t chunks = (transpose.channels + kChannels - 1) / kChannels;
  parallel.Run(transpose.batch * chunks, 1 + transpose.pixels * kChannels / 4, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % chunks * kChannels;
      KERASCNN_SIMD_CALL(
          TransposeChannels(transpose, task / chunks, first, std::min(transpose.channels, first + kChannels)));
    }
  });
}

void RunTokenCopy(const TokenCopy& copy, const ParallelFor& parallel) {
  parallel.Run(copy.batch * copy.height, 1 + copy.width * copy.channels / 4,
               [&](int64_t begin, int64_t end) { KERASCNN_SIMD_CALL(CopyRows(copy, begin, end)); });
}

void RunTokenPatches(const TokenPatches& patches, const ParallelFor& parallel) {
  const int64_t taps = patches.kernel_height * patches.kernel_width;
  const int64_t cost = 1 + patches.output_width * taps * (patches.channel_step == 1 ? 4 : patches.channels);
  parallel.Run(patches.batch * patches.output_height, cost,
               [&](int64_t begin, int64_t end) { KERASCNN_SIMD_CALL(PatchRows(patches, begin, end)); });
}

}  // namespace kerascnn
