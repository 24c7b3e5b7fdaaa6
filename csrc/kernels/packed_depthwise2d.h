// Depthwise convolution with what follows it, for inference:
//
// y[n,i,j,c] = activation(sum_{a,b} x[n, i*stride_y + a*dilation_y - top, j*stride_x + b*dilation_x - left, c] *
// w[a,b,c]
//                         + bias[c]).
#ifndef KERASCNN_KERNELS_PACKED_DEPTHWISE2D_H_
#define KERASCNN_KERNELS_PACKED_DEPTHWISE2D_H_

#include <cstdint>

#include "common/activation.h"
#include "common/parallel.h"

namespace kerascnn {

struct PackedDepthwise2D {
  int64_t batch = 0, height = 0, width = 0, channels = 0;
  int64_t kernel_height = 1, kernel_width = 1, stride_y = 1, stride_x = 1, dilation_y = 1, dilation_x = 1;
  int64_t top = 0, left = 0, output_height = 0, output_width = 0;
  int64_t x_step = 0, y_step = 0;  // elements between neighboring pixels
  Activation activation = Activation::kLinear;
  const float* x = nullptr;
  const float* filter = nullptr;  // by PackDepthwiseFilter()
  const float* bias = nullptr;    // [channels], or absent
  float* y = nullptr;
};

// Elements of a packed filter of `taps` taps.
int64_t PackedDepthwiseElements(int64_t taps, int64_t channels);

// w [taps, channels] -> packed.
void PackDepthwiseFilter(int64_t taps, int64_t channels, const float* w, float* packed);

// Bits do not depend on the number of threads.
void RunPackedDepthwise2D(const PackedDepthwise2D& conv, const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_PACKED_DEPTHWISE2D_H_
