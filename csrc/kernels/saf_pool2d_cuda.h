// The functions of saf_pool2d.h on a CUDA device: the same bits as on a CPU.
#ifndef KERASCNN_KERNELS_SAF_POOL2D_CUDA_H_
#define KERASCNN_KERNELS_SAF_POOL2D_CUDA_H_

#include <string>

#include "kernels/saf_pool2d.h"

namespace kerascnn {

// Device pointers, distinct memory. SafPool2DCheck() must have returned "". What went wrong in words, "" if nothing.
// The work is only started, on `stream` (a cudaStream_t). No scratch memory, no atomics; `state` may be null.
template <typename T>
std::string SafPool2DForwardCuda(const SafPool2D& pool, SafKey key, const T* x, T* y, uint8_t* state, void* stream);

template <typename T>
std::string SafPool2DGradientCuda(const SafPool2D& pool, const uint8_t* state, const T* dy, T* dx, void* stream);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_SAF_POOL2D_CUDA_H_
