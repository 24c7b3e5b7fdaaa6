// Window arithmetic: the one place where padding and output sizes are computed.
#ifndef KERASCNN_COMMON_SHAPE_H_
#define KERASCNN_COMMON_SHAPE_H_

#include <algorithm>
#include <cstdint>

namespace kerascnn {

struct Padding {
  int64_t before = 0;
  int64_t after = 0;
};

// Extent of a dilated window.
inline int64_t EffectiveWindow(int64_t window, int64_t dilation) { return (window - 1) * dilation + 1; }

// output = floor((input + before + after - effective window) / stride) + 1, or 0 where the window does not fit.
inline int64_t OutputSize(int64_t input, int64_t window, int64_t stride, int64_t dilation, Padding padding) {
  const int64_t room = input + padding.before + padding.after - EffectiveWindow(window, dilation);
  return room < 0 ? 0 : room / stride + 1;
}

// TensorFlow's "SAME": output = ceil(input / stride); the odd row of zeros goes after.
inline Padding SamePadding(int64_t input, int64_t window, int64_t stride, int64_t dilation) {
  const int64_t output = (input + stride - 1) / stride;
  const int64_t total = std::max<int64_t>(0, (output - 1) * stride + EffectiveWindow(window, dilation) - input);
  return {total / 2, total - total / 2};
}

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_SHAPE_H_
