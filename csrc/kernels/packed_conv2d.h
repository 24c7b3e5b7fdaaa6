// Convolution whose filters never change, packed once for the registers of this processor:
//
// y = activation(sum_k a[i, k] w[k, o] + bias[o] + residual[i, o]),
//
// where row i is an output pixel and a[i, :] the sources that its taps see, kernel_height x kernel_width x channels of
// them. Rows of a are gathered a register tile at a time, which costs 2 / filters of the product, and where the window
// is 1x1 and steps by 1 each source may be changed on the way: times gate[image, k], or as
// max(0, source * scale[k] + shift[k]).
#ifndef KERASCNN_KERNELS_PACKED_CONV2D_H_
#define KERASCNN_KERNELS_PACKED_CONV2D_H_

#include <cstdint>

#include "common/activation.h"
#include "common/parallel.h"

namespace kerascnn {

struct PackedConv2D {
  int64_t batch = 0, height = 0, width = 0, channels = 0;
  int64_t kernel_height = 1, kernel_width = 1, stride_y = 1, stride_x = 1, dilation_y = 1, dilation_x = 1;
  int64_t top = 0, left = 0, output_height = 0, output_width = 0, filters = 0;
  int64_t x_step = 0, y_step = 0, residual_step = 0;  // elements between neighboring pixels
  Activation activation = Activation::kLinear;
  bool int8 = false;  // products in 8 bits
  const float* x = nullptr;
  const float* filter = nullptr;    // by PackFilter(), or where int8 by PackFilterInt8() of kernels/packed_int8.h
  const float* bias = nullptr;      // [filters], or absent
  const float* residual = nullptr;  // like y, or absent
  const float* gate = nullptr;      // [batch, channels], or absent
  const float* scale = nullptr;     // [channels], with shift; or absent
  const float* shift = nullptr;
  float* y = nullptr;

  int64_t depth() const { return kernel_height * kernel_width * channels; }
  int64_t rows() const { return batch * output_height * output_width; }
};

// Elements of a packed filter with `depth` rows and `columns` columns.
int64_t PackedFilterElements(int64_t depth, int64_t columns);

// w [depth, columns] -> packed, 64-byte aligned.
void PackFilter(int64_t depth, int64_t columns, const float* w, float* packed);

// Bits depend neither on the number of threads nor on the batch.
void RunPackedConv2D(const PackedConv2D& conv, const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_PACKED_CONV2D_H_
