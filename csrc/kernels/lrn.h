// y[i] = x[i] * s[i]^-beta,  s[i] = bias + alpha * sum of x[j]^2 over |j - i| <= depth_radius, along the last axis.
//
// Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", 2012, section 3.3.
// Gradient: dx[j] = dy[j] s[j]^-beta - 2 alpha beta x[j] * sum of dy[i] x[i] s[i]^(-beta - 1) over |i - j| <= radius.
#ifndef KERASCNN_KERNELS_LRN_H_
#define KERASCNN_KERNELS_LRN_H_

#include <cmath>
#include <cstdint>
#include <string>

#include "common/parallel.h"
#include "common/types.h"

namespace kerascnn {

struct LrnParams {
  int64_t depth_radius = 2;
  double bias = 2.0;
  double alpha = 1e-4;  // multiplies the sum over the window, not its mean
  double beta = 0.75;
};

// What is wrong with the parameters and the rank of x, in words; empty if nothing. An unknown rank is -1.
inline std::string LrnCheck(const LrnParams& params, int64_t rank) {
  if (rank >= 0 && rank < 2) return "x must have at least 2 dimensions. Received: " + std::to_string(rank);
  if (params.depth_radius < 0) {
    return "depth_radius must be at least 0. Received: " + std::to_string(params.depth_radius);
  }
  if (!(params.bias > 0) || !std::isfinite(params.bias)) {
    return "bias must be positive. Received: " + std::to_string(params.bias);
  }
  if (!(params.alpha >= 0) || !std::isfinite(params.alpha)) {
    return "alpha must be at least 0. Received: " + std::to_string(params.alpha);
  }
  if (!(params.beta > 0) || !std::isfinite(params.beta)) {
    return "beta must be positive. Received: " + std::to_string(params.beta);
  }
  return "";
}

// x, y: [rows, channels], distinct memory. T: float, double, bfloat16, half. No scratch memory is needed. The result is
// the same, bit for bit, for every number of threads. Nothing happens where rows or channels is 0. A bias that is less
// than the smallest normal number of the computing type counts as that.
template <typename T>
void LrnForward(const LrnParams& params, int64_t rows, int64_t channels, const T* x, T* y, const ParallelFor& parallel);

// x, dy: inputs, dx: output, all [rows, channels], distinct memory.
template <typename T>
void LrnGradient(const LrnParams& params, int64_t rows, int64_t channels, const T* x, const T* dy, T* dx,
                 const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_LRN_H_
