// y[i, c] = (x[i, c] - mean_i) / sqrt(variance_i + epsilon) * scale[c] + shift[c], of each row over its channels.
//
// Ba, Kiros, Hinton, "Layer normalization", 2016, arXiv:1607.06450, equations 3 and 4. With n = (x - mean) / sqrt(...)
// and g = dy scale: dx = (g - mean of g - n (mean of g n)) / sqrt(...), dscale = sum of dy n, dshift = sum of dy over
// rows. The gradient computes n again from x, which is then all that has to be kept.
#ifndef KERASCNN_KERNELS_LAYER_NORM_H_
#define KERASCNN_KERNELS_LAYER_NORM_H_

#include <cstdint>

#include "common/parallel.h"
#include "common/types.h"

namespace kerascnn {

struct LayerNormShape {
  int64_t rows = 0, channels = 0;
  float epsilon = 0;
};

// x, y: [rows, channels]; scale, shift: [channels]. T: float, bfloat16 (computed in float).
template <typename T>
void LayerNormForward(const LayerNormShape& shape, const T* x, const float* scale, const float* shift, T* y,
                      const ParallelFor& parallel);

// Bytes of scratch memory that the gradient needs: sums of each block of rows, which are added in a fixed order.
int64_t LayerNormScratchBytes(const LayerNormShape& shape);

// dx: [rows, channels], may be dy; dscale, dshift: [channels]. The result is the same, bit for bit, for every number of
// threads.
template <typename T>
void LayerNormGradient(const LayerNormShape& shape, const T* x, const float* scale, const T* dy, T* dx, float* dscale,
                       float* dshift, void* scratch, const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_LAYER_NORM_H_
