// The derivative of attention of one sequence (kernels/packed_attention.h, without biases): with p the probabilities,
//
// dvalue = p^T dy,  dp = dy value^T,  ds[i, j] = scale p[i, j] (dp[i, j] - sum_k p[i, k] dp[i, k]),
// dquery = ds key,  dkey = ds^T query.
//
// The probabilities are computed again from queries and keys, so that forward keeps nothing but its input.
#ifndef KERASCNN_KERNELS_ATTENTION_GRADIENT_H_
#define KERASCNN_KERNELS_ATTENTION_GRADIENT_H_

#include <cstdint>

#include "common/parallel.h"

namespace kerascnn {

constexpr int64_t kAttentionSize = 256;  // features of a head, at most

struct AttentionGradient {
  int64_t batch = 0, tokens = 0, heads = 1, size = 0;  // size: features of a head, at most kAttentionSize
  float scale = 1;
  const float* x = nullptr;   // [batch, tokens, 3 * heads * size]: queries, keys and values
  const float* dy = nullptr;  // [batch, tokens, heads * size]
  float* dx = nullptr;        // as x
};

// Bytes of working memory, 64-byte aligned, on that many threads; contents need no initializing.
int64_t AttentionGradientScratchBytes(const AttentionGradient& attention, int threads);

// Bits depend neither on the number of threads nor on the batch.
void RunAttentionGradient(const AttentionGradient& attention, void* scratch, const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_ATTENTION_GRADIENT_H_
