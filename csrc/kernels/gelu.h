// y = x Phi(x), Phi the distribution function of the normal distribution, and its derivative.
//
// Hendrycks, Gimpel, "Gaussian error linear units (GELUs)", 2016, arXiv:1606.08415. dx = dy (Phi(x) + x phi(x)).
#ifndef KERASCNN_KERNELS_GELU_H_
#define KERASCNN_KERNELS_GELU_H_

#include <cstdint>

#include "common/parallel.h"
#include "common/types.h"

namespace kerascnn {

// x, y: [count]; the same memory is allowed. T: float, bfloat16. Both errors are below 1e-6 for |x| <= 1, and below
// 1e-6 |x| beyond. A NaN stays one.
template <typename T>
void GeluForward(int64_t count, const T* x, T* y, const ParallelFor& parallel);

// x, dy: inputs, dx: output, all [count]; dx may be dy.
template <typename T>
void GeluGradient(int64_t count, const T* x, const T* dy, T* dx, const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_GELU_H_
