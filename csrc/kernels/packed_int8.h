// Products of a convolution in whole numbers of 8 bits, scaled by what the numbers are as they come:
//
// y[i, o] += m_iB / 127 * s_o * sum_{k in B} round(127 a[i, k] / m_iB) round(w[k, o] / s_o),
//
// for each block B of kPackedDepth sources of an output pixel i, with m_iB the greatest of their sizes and s_o 1 / 127
// of the greatest weight of filter o. No calibration set is needed, and what comes before and after a product (gates,
// biases, sums, activations) is float. A row of a with a number that is not finite makes NaN.
//
// Processors with VNNI (AVX-512) multiply four pairs of bytes where they would multiply one pair of floats: sources are
// then kept plus 128, as bytes without a sign, and 128 times the sum of a filter's weights is taken off. Elsewhere the
// same whole numbers are multiplied as floats, which hold these sums exactly: the same result, without the gain.
#ifndef KERASCNN_KERNELS_PACKED_INT8_H_
#define KERASCNN_KERNELS_PACKED_INT8_H_

#include <algorithm>
#include <cstdint>

#include "common/simd.h"
#include "kernels/packed_tile.h"

namespace kerascnn {

constexpr float kInt8Least = 1e-30f;  // a row or a filter without greater numbers counts as zeros: 127 / m is finite
constexpr int64_t kInt8Row = kPackedDepth + 64;  // bytes between rows of a tile: see kPackedRow

// Filters as panels of 2 vectors, the last of 1 where that is enough: the filters' scales, and then of each block of
// depth, with VNNI, 128 times the sums of the weights, negative, and words of four weights; else weights as floats.
struct Int8Layout {
  int64_t depth;
  bool words = HasVnni();

  // 4-byte elements of a filter, and from the start of a panel to a block of depth.
  int64_t column() const { return block(depth); }
  int64_t block(int64_t k) const {
    const int64_t before = (k + kPackedDepth - 1) / kPackedDepth;
    return 1 + (words ? (k + 3) / 4 + before : k);
  }
  int64_t elements(int64_t columns) const { return PackedPanelElements(column(), columns); }
};

// w [depth, columns] -> packed, [Int8Layout.elements()], 64-byte aligned.
void PackFilterInt8(int64_t depth, int64_t columns, const float* w, float* packed);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_PACKED_INT8_H_
