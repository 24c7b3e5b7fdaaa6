// Depthwise convolution: conv2d (kernels/conv2d.h) where every group has one channel in and one out,
//
// y[n,i,j,c] = sum_{a,b} x[n, i*stride_y + a*dilation_y - top, j*stride_x + b*dilation_x - left, c] * w[a,b,c].
//
// A few operations per byte: its time is that of moving x and y, so nothing but the weights is copied or rearranged.
#ifndef KERASCNN_KERNELS_DEPTHWISE2D_H_
#define KERASCNN_KERNELS_DEPTHWISE2D_H_

#include <cstdint>

#include "common/parallel.h"
#include "kernels/conv2d.h"

namespace kerascnn {

inline bool IsDepthwise2D(const Conv2D& conv) { return conv.group_channels == 1 && conv.filters == conv.channels; }

// As Conv2DScratchBytes().
int64_t Depthwise2DScratchBytes(const Conv2D& conv, Conv2DKind kind, int element_bytes);

// kind kForward: x, w -> y, and the epilogue; kInputGradient: dy, w -> dx. As the functions of conv2d.h, for
// convolutions that are depthwise and results that are not empty.
template <typename T>
void Depthwise2D(const Conv2D& conv, Conv2DKind kind, const T* source, const T* w, T* target, void* scratch,
                 const ParallelFor& parallel, const Conv2DEpilogue<T>& epilogue);

// x, dy -> dw, for x and dy that are not empty.
template <typename T>
void Depthwise2DFilterGradient(const Conv2D& conv, const T* x, const T* dy, T* dw, void* scratch,
                               const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_DEPTHWISE2D_H_
