// The derivative of attention on the CPU: what a task is, and its working memory. The loops are in
// attention_gradient.inc.
#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include "common/activation.h"
#include "common/gemm.h"
#include "common/simd.h"
#include "common/types.h"
#include "kernels/attention_gradient.h"
#include "kernels/conv2d_plan.h"

namespace kerascnn {
namespace {

constexpr int64_t kScoreBlock = kGemmDepth<float>;

int64_t Lines(int64_t elements) { return (elements + 15) / 16 * 16; }

// Elements of what a task works with.
struct Sizes {
  int64_t scores, rows, packed;
  explicit Sizes(const AttentionGradient& a)
      : scores((a.tokens + kScoreBlock - 1) / kScoreBlock * a.tokens * kGemmRow<float>),
        rows(a.tokens * kGemmRow<float>),
        packed(Lines(std::max(GemmPacked<float>(a.size, std::min(kScoreBlock, a.tokens)),
                              GemmPacked<float>(a.tokens, a.size)))) {}
  int64_t all() const { return 2 * scores + rows + packed; }
};

}  // namespace
}  // namespace kerascnn

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/activation.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/gemm.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/attention_gradient.inc"
#include "common/simd_foreach.h"

namespace kerascnn {

int64_t AttentionGradientScratchBytes(const AttentionGradient& attention, int threads) {
  return ScratchSlots::HeaderBytes(threads) +
         ScratchSlots::Count(threads) * Sizes(attention).all() * static_cast<int64_t>(sizeof(float));
}

void RunAttentionGradient(const AttentionGradient& attention, void* scratch, const ParallelFor& parallel) {
  const int64_t tokens = attention.tokens, pairs = attention.batch * attention.heads;
  if (pairs == 0 || tokens == 0 || attention.size == 0) return;
  const int threads = parallel.threads();
  const ScratchSlots slots(scratch, threads);
  const Sizes sizes(attention);
  float* const memory = reinterpret_cast<float*>(static_cast<char*>(scratch) + ScratchSlots::HeaderBytes(threads));
  parallel.Run(pairs, tokens * tokens * (attention.size / 3 + 6), [&](int64_t begin, int64_t end) {
    const int slot = slots.Acquire();
    float* const p = memory + slot * sizes.all();
    float *const ds = p + sizes.scores, *const rows = ds + sizes.scores, *const packed = rows + sizes.rows;
    for (int64_t pair = begin; pair < end; ++pair) {
      KERASCNN_SIMD_CALL(HeadGradient(attention, pair / attention.heads, pair % attention.heads, p, ds, rows, packed));
    }
    slots.Release(slot);
  });
}

}  // namespace kerascnn
