// y = (x - mean) * scale / sqrt(variance + epsilon) + offset, mean and variance of each channel over all rows of x.
//
// Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift", 2015,
// arXiv:1502.03167. The variance is that of the rows themselves: their squared deviations divided by their number.
// Gradient, with r = 1 / sqrt(variance + epsilon), n rows and sums over rows: doffset = sum dy,
// dscale = r sum dy (x - mean), dx = scale r (dy - doffset / n - (x - mean) r dscale / n).
#ifndef KERASCNN_KERNELS_BATCH_NORM_H_
#define KERASCNN_KERNELS_BATCH_NORM_H_

#include <cmath>
#include <cstdint>
#include <string>

#include "common/parallel.h"
#include "common/types.h"

namespace kerascnn {

struct BatchNorm {
  int64_t rows = 0, channels = 0;
  double epsilon = 1e-3;
};

// What is wrong with epsilon, the rank of x and its channels beside the length of scale and offset, in words; empty if
// nothing. What is unknown is -1.
inline std::string BatchNormCheck(double epsilon, int64_t rank, int64_t channels, int64_t scale, int64_t offset) {
  if (!(epsilon >= 0) || !std::isfinite(epsilon)) {
    return "epsilon must be at least 0. Received: " + std::to_string(epsilon);
  }
  if (rank >= 0 && rank < 2) return "x must have at least 2 dimensions. Received: " + std::to_string(rank);
  for (const int64_t length : {scale, offset}) {
    if (channels >= 0 && length >= 0 && length != channels) {
      return "scale and offset must have one number for each of the " + std::to_string(channels) +
             " channels of x. Received: " + std::to_string(length);
    }
  }
  return "";
}

// Bytes of working memory, 64-byte aligned, that both directions need; its contents need no initialising.
template <typename T>
int64_t BatchNormScratchBytes(const BatchNorm& norm);

// x, y: [rows, channels], may be the same memory. The rest: [channels]. T: float, double, bfloat16, half. Statistics
// are found in two readings of rows that lie in the cache, so that a large mean costs no digits. The result is the
// same, bit for bit, for every number of threads. Without rows, mean and variance are NaN, as 0 / 0 is.
template <typename T>
void BatchNormForward(const BatchNorm& norm, const T* x, const Compute<T>* scale, const Compute<T>* offset, T* y,
                      Compute<T>* mean, Compute<T>* variance, void* scratch, const ParallelFor& parallel);

// Inputs: x, scale, offset of the forward direction and the mean and variance that it gave; dy, the gradient of y, or,
// with `relu`, that of max(y, 0). Outputs: dx, which may be the memory of dy, dscale, doffset.
template <typename T>
void BatchNormBackward(const BatchNorm& norm, bool relu, const T* x, const Compute<T>* scale, const Compute<T>* offset,
                       const Compute<T>* mean, const Compute<T>* variance, const T* dy, T* dx, Compute<T>* dscale,
                       Compute<T>* doffset, void* scratch, const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_BATCH_NORM_H_
