// y = round(R x C): images of bytes at another size, R and C the matrices of an interpolating kernel along the two
// axes.
//
// Row i of R takes source rows around s = (i + 0.5) * in / out, weighted by kernel((j + 0.5 - s) / k) and divided by
// the sum of the weights; k = max(in / out, 1) makes the kernel an antialiasing filter where an image shrinks. This is
// TensorFlow's ScaleAndTranslate: the same numbers in the same order in single precision, so that its result, rounded,
// is ours. It computes in whole images of floats; here a row of floats at a time stays in the cache.
#ifndef KERASCNN_KERNELS_RESIZE2D_H_
#define KERASCNN_KERNELS_RESIZE2D_H_

#include <cstdint>
#include <string>

#include "common/check.h"
#include "common/parallel.h"

namespace kerascnn {

enum class ResizeKernel {
  kBilinear,  // the triangle, of radius 1
  kBicubic,   // Keys' cubic with a = -1/2, of radius 2
};

struct Resize2DShape {
  int64_t images, height, width, channels;  // of x
  int64_t out_height, out_width;
};

// What is wrong with the extents, in words; empty if nothing. Positions of pixels are floats, which count to 2^24.
inline std::string Resize2DCheck(const Resize2DShape& s) {
  constexpr int64_t kMost = 1 << 24;
  for (int64_t size : {s.height, s.width, s.out_height, s.out_width}) {
    if (size < 1 || size > kMost) {
      return Say("height and width must be 1 to 2^24, before and after.",
                 {s.height, s.width, s.out_height, s.out_width});
    }
  }
  if (s.images < 1 || s.channels < 1) {
    return Say("An image must have pixels to be resized.", {s.images, s.height, s.width, s.channels});
  }
  if (!Fits({s.images, s.height, s.width, s.channels}) || !Fits({s.images, s.out_height, s.out_width, s.channels})) {
    return Say("The image is too large to count its values.", {s.images, s.height, s.width, s.channels});
  }
  return "";
}

// x: [images, height, width, channels], y: [images, out_height, out_width, channels], distinct memory, of a shape that
// Resize2DCheck accepts. Values are rounded to the nearest, halves to even. The same for every number of threads.
void Resize2D(const Resize2DShape& shape, ResizeKernel kernel, const uint8_t* x, uint8_t* y,
              const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_RESIZE2D_H_
