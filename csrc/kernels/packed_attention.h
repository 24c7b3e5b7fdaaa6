// Multi-head attention of short sequences as one pass, for inference: for each head, and each query i of its d,
//
// y[i, :] = sum_j p[i, j] value[j, :],  p[i, :] = softmax_j(scale * query[i] . key[j] + bias[head, i, j] + apart[i,
// j]).
//
// Queries, keys and values lie side by side, x[pixel, 3 * heads * d], in this order. Keys and values of a head are
// packed for the register tile of kernels/packed_tile.h; scores exist for a tile of queries at a time, in the cache.
//
// Sequences are the whole map, or windows of side x side pixels, which tile the map after it was rolled up and left by
// `roll` pixels along each axis that has more than one window; -100 is added to the scores of pixels that only the roll
// made neighbors (Liu et al. 2021, arXiv:2103.14030, section 3.2).
#ifndef KERASCNN_KERNELS_PACKED_ATTENTION_H_
#define KERASCNN_KERNELS_PACKED_ATTENTION_H_

#include <cstdint>

#include "common/parallel.h"

namespace kerascnn {

struct PackedAttention {
  int64_t batch = 0, height = 0, width = 0, heads = 1, size = 0;  // size: d
  int64_t side = 0, roll = 0;                                     // side 0: one sequence
  int64_t x_step = 0, y_step = 0;                                 // elements between neighboring pixels
  float scale = 1;
  const float* x = nullptr;     // [batch, height, width, 3 * heads * size]
  const float* bias = nullptr;  // [heads, tokens, tokens], or absent
  float* y = nullptr;           // [batch, height, width, heads * size]

  int64_t tokens() const { return side > 0 ? side * side : height * width; }
  int64_t sequences() const { return side > 0 ? (height / side) * (width / side) : 1; }
};

// Bytes of working memory, 64-byte aligned, on that many threads; contents need no initializing.
int64_t PackedAttentionScratchBytes(int64_t tokens, int64_t size, int threads);

// Bits depend neither on the number of threads nor on the batch.
void RunPackedAttention(const PackedAttention& attention, void* scratch, const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_PACKED_ATTENTION_H_
