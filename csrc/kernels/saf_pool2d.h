// y[n,i,j,c] = kept * max over taps (a, b) of x[n, i*stride_y + a - top, j*stride_x + b - left, c],
// kept = 0 with probability `rate`, else 1 / (1 - rate): max-pooling followed by dropout, in one pass.
//
// Hasanpour, Rouhani, Fayyaz, Sabokrou, Adeli, "Towards principled design of deep convolutional networks: introducing
// SimpNet", 2018, arXiv:1802.06205 (SAF-pooling). Layouts: x [N, H, W, C], y [N, output_height, output_width, C].
//
// Which outputs are dropped depends on the key and on the output's place alone. With k = the flat index of y, or
// n * C + c where whole channels are dropped, the random number of an output is word k % 4 of block k / 4 of
// Philox4x32-10 (saf_pool2d_body.h), and the output is dropped where this 32-bit number is below `threshold()`.
//
// The maximum is tf.nn.max_pool's on a CPU: of equal values the first counts, NaN never does, the search starts from
// SafLowest(), and taps outside the image are left out. `state` keeps one byte per output for the gradient: the tap
// a * window_x + b of the maximum, or 0xff where the output is dropped. dx of a pixel is 1 / (1 - rate) times the sum
// of dy over the outputs whose state points at it.
#ifndef KERASCNN_KERNELS_SAF_POOL2D_H_
#define KERASCNN_KERNELS_SAF_POOL2D_H_

#include <cstdint>
#include <string>

#include "common/parallel.h"
#include "common/shape.h"
#include "common/types.h"

namespace kerascnn {

constexpr uint8_t kSafDropped = 0xff;
constexpr int64_t kSafMostTaps = 255;  // 0 to 254 fit beside kSafDropped

struct SafPool2D {
  int64_t batch = 0, height = 0, width = 0, channels = 0;  // x
  int64_t window_y = 2, window_x = 2, stride_y = 2, stride_x = 2;
  Padding pad_y, pad_x;
  double rate = 0;           // in [0, 1); 0 is plain max-pooling
  bool per_channel = false;  // one decision for all outputs of a channel of an image

  int64_t output_height() const { return OutputSize(height, window_y, stride_y, 1, pad_y); }
  int64_t output_width() const { return OutputSize(width, window_x, stride_x, 1, pad_x); }
  int64_t x_elements() const { return batch * height * width * channels; }
  int64_t y_elements() const { return batch * output_height() * output_width() * channels; }
  // rate * 2^32 to the nearest whole number: the rate is kept to 2^-32.
  uint32_t threshold() const {
    const double scaled = rate * 4294967296.0 + 0.5;
    return scaled >= 4294967295.0 ? 4294967295u : static_cast<uint32_t>(scaled);
  }
  double scale() const { return 1.0 / (1.0 - rate); }
};

// The two words of the random generator's key.
struct SafKey {
  uint32_t word[2] = {0, 0};
};

// Sets the padding that TensorFlow calls "SAME". Call it after SafPool2DCheckWindow().
void SafPool2DSetSamePadding(SafPool2D* pool);

// What is wrong with the numbers that do not come from a tensor's shape (window, strides, padding, rate); else "".
std::string SafPool2DCheckWindow(const SafPool2D& pool);

// What is wrong, with the rule and what was received; "" when the kernels below can run. Safe on any numbers.
std::string SafPool2DCheck(const SafPool2D& pool);

// x -> y, state. T: float, double, bfloat16, half. SafPool2DCheck() must have returned "". `state` may be null, for
// inference. No scratch memory is needed; every element of the results is written. The result is the same, bit for bit,
// for every number of threads and instruction set.
template <typename T>
void SafPool2DForward(const SafPool2D& pool, SafKey key, const T* x, T* y, uint8_t* state, const ParallelFor& parallel);

// state, dy -> dx. The sum over the outputs of a pixel is formed in their order, in Compute<T>, and multiplied by
// scale() at its end. A state that points at no pixel of its window contributes nothing. Bits as above.
template <typename T>
void SafPool2DGradient(const SafPool2D& pool, const uint8_t* state, const T* dy, T* dx, const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_SAF_POOL2D_H_
