// What transformers do to their tokens besides products: one pass over memory each, for inference.
#ifndef KERASCNN_KERNELS_TOKEN_PASSES_H_
#define KERASCNN_KERNELS_TOKEN_PASSES_H_

#include <cstdint>

#include "common/parallel.h"

namespace kerascnn {

// y[i, c] = (x[i, c] - mean_i) / sqrt(variance_i + epsilon) * scale[c] + shift[c], of each row over its channels; what
// is absent is left out.
struct TokenNorm {
  int64_t rows = 0, channels = 0, x_step = 0, y_step = 0;  // elements between rows
  float epsilon = 0;
  const float *x = nullptr, *scale = nullptr, *shift = nullptr;
  float* y = nullptr;
};
void RunTokenNorm(const TokenNorm& norm, const ParallelFor& parallel);

// y[n, c, i] = x[n, i, c] + residual[n, c, i].
struct TokenTranspose {
  int64_t batch = 0, pixels = 0, channels = 0, x_step = 0, y_step = 0, residual_step = 0;
  const float *x = nullptr, *residual = nullptr;
  float* y = nullptr;
};
void RunTokenTranspose(const TokenTranspose& transpose, const ParallelFor& parallel);

// y[n, i, j, c] = x[n, i, j, c] + added[i, j, c], each of x and y with any distance between images, rows and pixels: a
// part of a map, or a map that becomes part of another one. Images of x that are no distance apart are one.
struct TokenCopy {
  struct Steps {
    int64_t image = 0, row = 0, pixel = 0;
  };
  int64_t batch = 0, height = 0, width = 0, channels = 0;
  Steps from, to;
  const float *x = nullptr, *added = nullptr;  // added: [height, width, channels], or absent
  float* y = nullptr;
};
void RunTokenCopy(const TokenCopy& copy, const ParallelFor& parallel);

// The pixels of each window as channels, zeros where there are none: y[n, i, j, a * steps.row + b * steps.pixel + c *
// steps.channel] = x[n, i * stride_y + a - top, j * stride_x + b - left, c].
struct TokenPatches {
  int64_t batch = 0, height = 0, width = 0, channels = 0;
  int64_t kernel_height = 1, kernel_width = 1, stride_y = 1, stride_x = 1;
  int64_t top = 0, left = 0, output_height = 0, output_width = 0;
  int64_t x_step = 0, y_step = 0;                           // elements between neighboring pixels
  int64_t row_step = 0, column_step = 0, channel_step = 1;  // of a window, in y
  const float* x = nullptr;
  float* y = nullptr;
};
void RunTokenPatches(const TokenPatches& patches, const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_TOKEN_PASSES_H_
