// The functions of lrn.h on a CUDA device.
#ifndef KERASCNN_KERNELS_LRN_CUDA_H_
#define KERASCNN_KERNELS_LRN_CUDA_H_

#include <cstdint>
#include <string>

#include "kernels/lrn.h"

namespace kerascnn {

// x, y: [rows, channels] on the device, distinct memory. LrnCheck() must have returned "". What went wrong in words, ""
// if nothing. The work is only started, on `stream` (a cudaStream_t). The same bits in every run.
template <typename T>
std::string LrnForwardCuda(const LrnParams& params, int64_t rows, int64_t channels, const T* x, T* y, void* stream);

// Bytes of device memory, aligned to 16, that the next function needs; often 0.
int64_t LrnGradientCudaScratchBytes(const LrnParams& params, int64_t rows, int64_t channels, int element_bytes);

template <typename T>
std::string LrnGradientCuda(const LrnParams& params, int64_t rows, int64_t channels, const T* x, const T* dy, T* dx,
                            void* scratch, void* stream);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_LRN_CUDA_H_
