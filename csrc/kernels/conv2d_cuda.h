// The functions of conv2d.h on a CUDA device, without a library: any groups, strides, dilations and padding.
#ifndef KERASCNN_KERNELS_CONV2D_CUDA_H_
#define KERASCNN_KERNELS_CONV2D_CUDA_H_

#include <cstdint>
#include <string>

#include "kernels/conv2d.h"

namespace kerascnn {

// Bytes of device memory, aligned to 16, that a call needs.
int64_t Conv2DCudaScratchBytes(const Conv2D& conv, Conv2DKind kind, int element_bytes);

// x, w -> y; w, dy -> dx; x, dy -> dw, all on the device, distinct memory. Conv2DCheck() must have returned "". What
// went wrong in words, "" if nothing. The work is only started, on `stream` (a cudaStream_t). Every element of the
// result is written. Sums of 16-bit types are formed in float, in an order that depends on the shape and on the
// alignment of the arrays alone: the same bits in every run.
template <typename T>
std::string Conv2DForwardCuda(const Conv2D& conv, const T* x, const T* w, T* y, void* stream);
template <typename T>
std::string Conv2DInputGradientCuda(const Conv2D& conv, const T* w, const T* dy, T* dx, void* scratch, void* stream);
template <typename T>
std::string Conv2DFilterGradientCuda(const Conv2D& conv, const T* x, const T* dy, T* dw, void* scratch, void* stream);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_CONV2D_CUDA_H_
