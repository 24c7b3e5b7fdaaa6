// GELU on the CPU: what a task is. The loops are in gelu_simd.inc.
#include <algorithm>
#include <type_traits>
#include <utility>

#include "common/activation.h"
#include "common/simd.h"
#include "common/types.h"
#include "kernels/gelu.h"

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/activation.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/gelu_simd.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

constexpr int64_t kPiece = 1024;  // elements

// body(begin, end) on pieces, so that neither the remainder's place nor a result depends on the threads.
template <typename F>
void OverPieces(int64_t count, int64_t cost, const ParallelFor& parallel, F&& body) {
  parallel.Run((count + kPiece - 1) / kPiece, cost * kPiece, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) body(piece * kPiece, std::min(count, (piece + 1) * kPiece));
  });
}

}  // namespace

template <typename T>
void GeluForward(int64_t count, const T* x, T* y, const ParallelFor& parallel) {
  OverPieces(count, 2, parallel,
             [&](int64_t begin, int64_t end) { KERASCNN_SIMD_CALL(GeluElements(x, y, begin, end)); });
}

template <typename T>
void GeluGradient(int64_t count, const T* x, const T* dy, T* dx, const ParallelFor& parallel) {
  OverPieces(count, 4, parallel,
             [&](int64_t begin, int64_t end) { KERASCNN_SIMD_CALL(GeluGradientElements(x, dy, dx, begin, end)); });
}

#define KERASCNN_INSTANTIATE(T)                                            \
  template void GeluForward<T>(int64_t, const T*, T*, const ParallelFor&); \
  template void GeluGradient<T>(int64_t, const T*, const T*, T*, const ParallelFor&)
KERASCNN_INSTANTIATE(float);
KERASCNN_INSTANTIATE(bfloat16);
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
