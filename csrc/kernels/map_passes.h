// What a network does to its feature maps besides convolving: one pass over memory each, for inference.
#ifndef KERASCNN_KERNELS_MAP_PASSES_H_
#define KERASCNN_KERNELS_MAP_PASSES_H_

#include <cstdint>

#include "common/activation.h"
#include "common/parallel.h"

namespace kerascnn {

// y[i, c] = activation(a[i, c] * scale[c] * gate[i / pixels, c] + b[i, c] + shift[c]); what is absent is left out.
struct MapPass {
  int64_t rows = 0, channels = 0, pixels = 1;      // pixels: rows of an image
  int64_t a_step = 0, b_step = 0, y_step = 0;      // elements between rows
  const float *a = nullptr, *b = nullptr;          // [rows, channels]
  const float *scale = nullptr, *shift = nullptr;  // [channels]
  const float* gate = nullptr;                     // [images, channels]
  Activation activation = Activation::kLinear;
  float* y = nullptr;
};
void RunMapPass(const MapPass& pass, const ParallelFor& parallel);

// The greatest, or the mean, of each window of each channel. Pixels outside the image are zeros where `zeros`, and are
// not there otherwise; the greatest of nothing is the least finite number.
struct MapPool {
  int64_t batch = 0, height = 0, width = 0, channels = 0;
  int64_t kernel_height = 1, kernel_width = 1, stride_y = 1, stride_x = 1;
  int64_t top = 0, left = 0, output_height = 0, output_width = 0;
  int64_t x_step = 0, y_step = 0;
  bool mean = false, zeros = false;
  const float* x = nullptr;
  float* y = nullptr;
};
void RunMapPool(const MapPool& pool, const ParallelFor& parallel);

// y[n, c]: the mean of `pixels` pixels x[n, i, c].
struct MapMean {
  int64_t batch = 0, pixels = 0, channels = 0, x_step = 0, y_step = 0;
  const float* x = nullptr;
  float* y = nullptr;
};
void RunMapMean(const MapMean& mean, const ParallelFor& parallel);

// y[i, :] = exp(x[i, :] - max) / sum, for rows of `channels` elements.
struct MapSoftmax {
  int64_t rows = 0, channels = 0, x_step = 0, y_step = 0;
  const float* x = nullptr;
  float* y = nullptr;
};
void RunMapSoftmax(const MapSoftmax& softmax, const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_MAP_PASSES_H_
