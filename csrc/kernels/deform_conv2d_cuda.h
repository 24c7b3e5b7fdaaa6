// The functions of deform_conv2d.h on a CUDA device.
#ifndef KERASCNN_KERNELS_DEFORM_CONV2D_CUDA_H_
#define KERASCNN_KERNELS_DEFORM_CONV2D_CUDA_H_

#include <cstdint>
#include <string>

#include "kernels/deform_conv2d.h"

namespace kerascnn {

// Bytes of device memory, aligned to 16, that a call needs: columns of at most 64 MiB unless those of one pixel are
// more; for the gradient also up to 64 MiB (or once the filters) for sums, and for 16-bit types dx in float.
int64_t DeformConv2DCudaScratchBytes(const DeformConv2D& deform, bool gradient, int element_bytes);

// Device pointers, distinct memory; dmask is null exactly where mask is. DeformConv2DCheck() must have returned "".
// What went wrong in words, "" if nothing. The work is only started, on `stream` (a cudaStream_t). Every element of the
// results is written. Samples of 16-bit types are formed in float and rounded before they are multiplied by the
// filters; sums are formed in float. float itself is multiplied in three parts on tensor cores (common/cuda_gemm.h), to
// an error of about 1e-6.
//
// The bits of y, dw, doffset and dmask are the same in every run; those of dx are not: it is summed by atomic
// additions.
template <typename T>
std::string DeformConv2DForwardCuda(const DeformConv2D& deform, const T* x, const T* w, const T* offset, const T* mask,
                                    T* y, void* scratch, void* stream);
template <typename T>
std::string DeformConv2DGradientCuda(const DeformConv2D& deform, const T* x, const T* w, const T* offset, const T* mask,
                                     const T* dy, T* dx, T* dw, T* doffset, T* dmask, void* scratch, void* stream);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_DEFORM_CONV2D_CUDA_H_
