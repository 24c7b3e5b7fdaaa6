// One sample of a deformable convolution: where it lies, which pixels it blends, and how it moves with its offset.
//
// Scalar functions that the CPU and the CUDA kernels share. R is the computing type; I a signed integer type wide
// enough for what it counts.
#ifndef KERASCNN_KERNELS_DEFORM_CONV2D_BODY_H_
#define KERASCNN_KERNELS_DEFORM_CONV2D_BODY_H_

#include <cmath>
#include <cstdint>

#include "common/types.h"

namespace kerascnn {

// The four pixels around a sample: upper left, upper right, lower left, lower right.
template <typename R, typename I = int64_t>
struct DeformCorners {
  I pixel[4];      // row * width + column; -1 outside the image: neither read nor written, it counts as zero
  R weight[4];     // of the blend, without the mask; zero outside the image
  R below, right;  // the fractions of the coordinates: weights of the lower and of the right pixels
};

// Coordinate of a tap before its offset, along one axis.
template <typename I>
KERASCNN_INLINE I DeformOrigin(I output, I stride, I tap, I dilation, I before) {
  return output * stride + tap * dilation - before;
}

// `y` and `x`: DeformOrigin(...) converted to R, plus the offset. One addition in R, so that every implementation sees
// the same whole coordinates. All comparisons are false for NaN, and a coordinate becomes an integer only where it is
// near the image. I must hold height * width.
template <typename R, typename I>
KERASCNN_INLINE DeformCorners<R, I> DeformLocate(R y, R x, I height, I width) {
  DeformCorners<R, I> at;
  const bool near = y >= R(-1) && y <= R(height) && x >= R(-1) && x <= R(width);
  const R row = near ? std::floor(y) : R(-2), column = near ? std::floor(x) : R(-2);
  at.below = near ? y - row : R(0);
  at.right = near ? x - column : R(0);
  const I top = static_cast<I>(row), left = static_cast<I>(column);
  const bool upper = top >= 0 && top < height, lower = top >= -1 && top < height - 1;
  const bool lefter = left >= 0 && left < width, righter = left >= -1 && left < width - 1;
  const I first = top * width + left;
  at.pixel[0] = upper && lefter ? first : I(-1);
  at.pixel[1] = upper && righter ? first + 1 : I(-1);
  at.pixel[2] = lower && lefter ? first + width : I(-1);
  at.pixel[3] = lower && righter ? first + width + 1 : I(-1);
  const R above = R(1) - at.below, beside = R(1) - at.right;
  at.weight[0] = upper && lefter ? above * beside : R(0);
  at.weight[1] = upper && righter ? above * at.right : R(0);
  at.weight[2] = lower && lefter ? at.below * beside : R(0);
  at.weight[3] = lower && righter ? at.below * at.right : R(0);
  return at;
}

// S, from the values v of the four pixels (zero outside).
template <typename R, typename I>
KERASCNN_INLINE R DeformBlend(const DeformCorners<R, I>& at, R v0, R v1, R v2, R v3) {
  return at.weight[0] * v0 + at.weight[1] * v1 + at.weight[2] * v2 + at.weight[3] * v3;
}

// dS/dy and dS/dx from the same four; at whole coordinates those towards larger ones. They are linear in v: given sums
// over channels of v times the gradient of the sample, they return the gradient of the offset (before the mask).
template <typename R, typename I>
KERASCNN_INLINE R DeformSlopeY(const DeformCorners<R, I>& at, R v0, R v1, R v2, R v3) {
  return (R(1) - at.right) * (v2 - v0) + at.right * (v3 - v1);
}
template <typename R, typename I>
KERASCNN_INLINE R DeformSlopeX(const DeformCorners<R, I>& at, R v0, R v1, R v2, R v3) {
  return (R(1) - at.below) * (v1 - v0) + at.below * (v3 - v2);
}

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_DEFORM_CONV2D_BODY_H_
