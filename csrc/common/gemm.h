// Matrix product C (+)= A B of float or double, for kernels that make A on the way; the loops are in gemm.inc.
//
// B is packed once: panels of GemmPanel() columns, each [depth][panel], zeros beyond the last column. A comes in blocks
// of at most kGemmDepth columns: either by rows, kGemmRow elements apart (a constant, so that a register of addresses
// suffices, and no power of two, so that rows do not compete for the same cache lines), or transposed with any stride.
// A register tile of C is summed over a block's whole depth; an element's bits do not depend on the tile it is in.
//
// To use it, a kernel's SIMD file list has "common/vector.inc" and "common/gemm.inc" before its own.
#ifndef KERASCNN_COMMON_GEMM_H_
#define KERASCNN_COMMON_GEMM_H_

#include <algorithm>
#include <cstdint>

#include "common/simd.h"

namespace kerascnn {

// A panel of B as deep as a block of A stays in the first-level cache.
template <typename R>
constexpr int64_t kGemmDepth = 1024 / sizeof(R);
template <typename R>
constexpr int64_t kGemmRow = (1024 + 64) / sizeof(R);

// Columns of a panel, and elements of B packed, for the instruction set that will run.
template <typename R>
int64_t GemmPanel() {
  const CpuLevel level = BestCpuLevel();
  return (level == CpuLevel::kAvx512 ? 128 : level == CpuLevel::kAvx2 ? 64 : 32) / sizeof(R);
}
template <typename R>
int64_t GemmPacked(int64_t depth, int64_t columns) {
  return (columns + GemmPanel<R>() - 1) / GemmPanel<R>() * GemmPanel<R>() * depth;
}

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_GEMM_H_
