// y[n,i,j,o] = sum_{a,b,c} m[n,i,j,d,a,b] * S(x[n, :, :, g*C/G + c], i*stride_y + a*dilation_y - top +
// p[n,i,j,d,a,b,0],
//                                             j*stride_x + b*dilation_x - left + p[n,i,j,d,a,b,1]) * w[a,b,c,o]
//
// where g = o / (O/G) is the group of output channel o, d = (g*C/G + c) / (C/D) the offset group of the channel that is
// read, and S(., y, x) interpolates bilinearly in an image that is zero outside: a sample up to one pixel outside still
// sees the border fade out. Layouts: x [N, H, W, C], w [kernel_height, kernel_width, C/G, O], offset p
// [N, output_height, output_width, D, kernel_height, kernel_width, 2] (y, then x), mask m the same without the last
// axis, or absent (all ones), y [N, output_height, output_width, O].
//
// Dai et al., "Deformable convolutional networks", 2017; Zhu et al., "Deformable ConvNets v2", 2019 (the mask).
#ifndef KERASCNN_KERNELS_DEFORM_CONV2D_H_
#define KERASCNN_KERNELS_DEFORM_CONV2D_H_

#include <cstdint>
#include <string>

#include "common/parallel.h"
#include "kernels/conv2d.h"

namespace kerascnn {

struct DeformConv2D {
  Conv2D conv;
  int64_t offset_groups = 1;

  int64_t taps() const { return conv.kernel_height * conv.kernel_width; }
  int64_t pixels() const { return conv.batch * conv.output_height() * conv.output_width(); }
  int64_t offset_channels() const { return conv.channels / offset_groups; }  // that share an offset
  int64_t mask_depth() const { return offset_groups * taps(); }              // the mask's last extent
  int64_t mask_elements() const { return pixels() * mask_depth(); }
  int64_t offset_elements() const { return 2 * mask_elements(); }
};

// What is wrong, with the rule and what was received; "" when the kernels below can run. Safe on any numbers.
std::string DeformConv2DCheck(const DeformConv2D& deform);

// Bytes of working memory, 64-byte aligned, that a call with elements of `element_bytes` needs on `threads` threads; -1
// where they cannot be counted. Contents need no initializing. Columns are made for a few pixels at a time, whatever
// the batch and the images: beside copies of the filters in the computing type (one, or two for the gradient) it stays
// below 64 MiB with 32 threads, unless the columns of a single pixel fill that.
int64_t DeformConv2DScratchBytes(const DeformConv2D& deform, bool gradient, int element_bytes, int threads);

// T: float, double, bfloat16, half. `mask` is null where there is none. DeformConv2DCheck() must have returned "".
// Coordinates, weights and sums of 16-bit types are formed in float. Offsets may be any numbers: what is infinite or
// NaN lies outside. Every element of the results is written. Bits do not depend on the number of threads.
template <typename T>
void DeformConv2DForward(const DeformConv2D& deform, const T* x, const T* w, const T* offset, const T* mask, T* y,
                         void* scratch, const ParallelFor& parallel);

// From dy (shaped as y) to the gradients with respect to each input; dmask is null exactly where mask is. At whole
// coordinates, where S has a kink, the derivative is the one towards larger coordinates.
template <typename T>
void DeformConv2DGradient(const DeformConv2D& deform, const T* x, const T* w, const T* offset, const T* mask,
                          const T* dy, T* dx, T* dw, T* doffset, T* dmask, void* scratch, const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_DEFORM_CONV2D_H_
