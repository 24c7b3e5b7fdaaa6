// y[n,i,j,o] = sum_{a,b,c} x[n, i*stride_y + a*dilation_y - top, j*stride_x + b*dilation_x - left, g*C/G + c] *
// w[a,b,c,o]
//
// where g = o / (O/G) is the group of output channel o, and x is zero outside the image. Layouts: x [N, H, W, C],
// w [kernel_height, kernel_width, C/G, O], y [N, output_height, output_width, O].
#ifndef KERASCNN_KERNELS_CONV2D_H_
#define KERASCNN_KERNELS_CONV2D_H_

#include <cstdint>
#include <string>

#include "common/parallel.h"
#include "common/shape.h"
#include "kernels/conv2d_epilogue.h"

namespace kerascnn {

struct Conv2D {
  int64_t batch = 0, height = 0, width = 0, channels = 0;                        // x
  int64_t kernel_height = 0, kernel_width = 0, group_channels = 0, filters = 0;  // w
  int64_t stride_y = 1, stride_x = 1, dilation_y = 1, dilation_x = 1;
  Padding pad_y, pad_x;

  int64_t groups() const { return channels / group_channels; }
  int64_t output_height() const { return OutputSize(height, kernel_height, stride_y, dilation_y, pad_y); }
  int64_t output_width() const { return OutputSize(width, kernel_width, stride_x, dilation_x, pad_x); }
  int64_t x_elements() const { return batch * height * width * channels; }
  int64_t w_elements() const { return kernel_height * kernel_width * group_channels * filters; }
  int64_t y_elements() const { return batch * output_height() * output_width() * filters; }
};

// Sets the padding that TensorFlow calls "SAME". Call it after Conv2DCheckWindow().
void Conv2DSetSamePadding(Conv2D* conv);

// What is wrong with the numbers that do not come from a tensor's shape (strides, dilations, padding); else "".
std::string Conv2DCheckWindow(const Conv2D& conv);

// What is wrong, with the rule and what was received; "" when the kernels below can run. Safe on any numbers.
std::string Conv2DCheck(const Conv2D& conv);

// What is wrong where images that have pixels are smaller than the dilated filters; else "". The kernels below give
// such images an empty result. Call it after Conv2DCheck().
std::string Conv2DCheckFit(const Conv2D& conv);

enum class Conv2DKind { kForward, kInputGradient, kFilterGradient };

// Bytes of working memory, 64-byte aligned, that a call with elements of `element_bytes` needs on `threads` threads; -1
// where they cannot be counted. Contents need no initializing.
int64_t Conv2DScratchBytes(const Conv2D& conv, Conv2DKind kind, int element_bytes, int threads);

// x, w -> y; w, dy -> dx; x, dy -> dw. T: float, double, bfloat16, half. Conv2DCheck() must have returned "". Sums of
// 16-bit types are formed in float. Every element of the result is written; where the sum is empty it is zero. Bits do
// not depend on the number of threads. The epilogue is applied to y.
template <typename T>
void Conv2DForward(const Conv2D& conv, const T* x, const T* w, T* y, void* scratch, const ParallelFor& parallel,
                   const Conv2DEpilogue<T>& epilogue = {});
template <typename T>
void Conv2DInputGradient(const Conv2D& conv, const T* w, const T* dy, T* dx, void* scratch,
                         const ParallelFor& parallel);
template <typename T>
void Conv2DFilterGradient(const Conv2D& conv, const T* x, const T* dy, T* dw, void* scratch,
                          const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_CONV2D_H_
