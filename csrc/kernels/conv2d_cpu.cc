// conv2d on the CPU: which kernels run.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "common/types.h"
#include "kernels/conv2d.h"
#include "kernels/conv2d_direct.h"
#include "kernels/depthwise2d.h"
#include "kernels/tile_conv2d.h"
#include "kernels/winograd2d.h"

namespace kerascnn {

int64_t Conv2DScratchBytes(const Conv2D& conv, Conv2DKind kind, int element_bytes, int threads) {
  if (IsDepthwise2D(conv)) return Depthwise2DScratchBytes(conv, kind, element_bytes);
  // Of the two types of 16 bits one has tiles.
  const int64_t tiles = element_bytes == 2 && conv.y_elements() > 0 && conv.x_elements() > 0 && IsTileConv2D(conv)
                            ? TileConv2DScratchBytes(conv, kind, threads)
                            : 0;
  if (IsWinograd2D(conv, element_bytes)) return std::max(tiles, Winograd2DScratchBytes(conv, kind, threads));
  const int64_t direct = Direct2DScratchBytes(conv, kind, element_bytes, threads);
  return direct < 0 ? direct : std::max(tiles, direct);
}

namespace {

template <typename T>
void Convolve(const Conv2D& conv, Conv2DKind kind, const T* source, const T* w, T* target, void* scratch,
              const ParallelFor& parallel, const Conv2DEpilogue<T>& epilogue) {
  if (IsDepthwise2D(conv)) return Depthwise2D(conv, kind, source, w, target, scratch, parallel, epilogue);
  if constexpr (std::is_same_v<T, bfloat16>) {
    if (conv.x_elements() > 0 && conv.y_elements() > 0 && IsTileConv2D(conv)) {
      return TileConv2D(conv, kind, source, w, target, scratch, parallel, epilogue);
    }
  }
  if constexpr (sizeof(T) < 8) {
    if (IsWinograd2D(conv, sizeof(T))) return Winograd2D(conv, kind, source, w, target, scratch, parallel, epilogue);
  }
  Direct2D(conv, kind, source, w, target, scratch, parallel, epilogue);
}

}  // namespace

template <typename T>
void Conv2DForward(const Conv2D& conv, const T* x, const T* w, T* y, void* scratch, const ParallelFor& parallel,
                   const Conv2DEpilogue<T>& epilogue) {
  if (conv.y_elements() > 0) Convolve(conv, Conv2DKind::kForward, x, w, y, scratch, parallel, epilogue);
}

template <typename T>
void Conv2DInputGradient(const Conv2D& conv, const T* w, const T* dy, T* dx, void* scratch,
                         const ParallelFor& parallel) {
  if (conv.x_elements() > 0) Convolve(conv, Conv2DKind::kInputGradient, dy, w, dx, scratch, parallel, {});
}

template <typename T>
void Conv2DFilterGradient(const Conv2D& conv, const T* x, const T* dy, T* dw, void* scratch,
                          const ParallelFor& parallel) {
  if (conv.y_elements() == 0 || conv.x_elements() == 0) {
    std::memset(dw, 0, conv.w_elements() * sizeof(T));
    return;
  }
  if (IsDepthwise2D(conv)) return Depthwise2DFilterGradient(conv, x, dy, dw, scratch, parallel);
  if constexpr (std::is_same_v<T, bfloat16>) {
    if (IsTileConv2D(conv)) return TileConv2DFilterGradient(conv, x, dy, dw, scratch, parallel);
  }
  if constexpr (sizeof(T) < 8) {
    if (IsWinograd2D(conv, sizeof(T))) return Winograd2DFilterGradient(conv, x, dy, dw, scratch, parallel);
  }
  Direct2DFilterGradient(conv, x, dy, dw, scratch, parallel);
}

#define KERASCNN_INSTANTIATE(T)                                                                           \
  template void Conv2DForward<T>(const Conv2D&, const T*, const T*, T*, void*, const ParallelFor&,        \
                                 const Conv2DEpilogue<T>&);                                               \
  template void Conv2DInputGradient<T>(const Conv2D&, const T*, const T*, T*, void*, const ParallelFor&); \
  template void Conv2DFilterGradient<T>(const Conv2D&, const T*, const T*, T*, void*, const ParallelFor&);
KERASCNN_INSTANTIATE(float)
KERASCNN_INSTANTIATE(double)
KERASCNN_INSTANTIATE(bfloat16)
KERASCNN_INSTANTIATE(half)
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
