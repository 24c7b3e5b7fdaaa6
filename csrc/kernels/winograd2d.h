// Winograd's F(2x2, 3x3) for conv2d (kernels/conv2d.h) with 3x3 filters, no stride and no dilation, and groups of a few
// whole vectors of channels: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, arXiv
// 1509.09308.
//
// Four targets, 2x2, see 4x4 sources. Once sources and weights are transformed, one product for each pair of channels
// and point of the 4x4 does what takes 36 / 16 = 2.25 times as many directly. The transforms' factors are 0, 1, -1 and,
// for weights, halves, which cost little rounding. A source that is infinite or NaN makes all targets of the tiles that
// see it NaN, those among them that the filter does not reach from it too.
#ifndef KERASCNN_KERNELS_WINOGRAD2D_H_
#define KERASCNN_KERNELS_WINOGRAD2D_H_

#include <cstdint>

#include "common/parallel.h"
#include "kernels/conv2d.h"

namespace kerascnn {

// Whether the functions below take this convolution; it depends on the processor. False for double.
bool IsWinograd2D(const Conv2D& conv, int element_bytes);

// As Conv2DScratchBytes().
int64_t Winograd2DScratchBytes(const Conv2D& conv, Conv2DKind kind, int threads);

// kind kForward: x, w -> y, and the epilogue; kInputGradient: dy, w -> dx. For results that are not empty. T: float,
// bfloat16, half.
template <typename T>
void Winograd2D(const Conv2D& conv, Conv2DKind kind, const T* source, const T* w, T* target, void* scratch,
                const ParallelFor& parallel, const Conv2DEpilogue<T>& epilogue);

// x, dy -> dw, for x and dy that are not empty.
template <typename T>
void Winograd2DFilterGradient(const Conv2D& conv, const T* x, const T* dy, T* dw, void* scratch,
                              const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_WINOGRAD2D_H_
