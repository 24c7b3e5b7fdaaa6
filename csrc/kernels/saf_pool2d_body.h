// What every implementation of SAF-pooling does to one number, on a CPU or a GPU: random words, the step of the
// maximum, and which outputs see a pixel. The definition is in saf_pool2d.h.
#ifndef KERASCNN_KERNELS_SAF_POOL2D_BODY_H_
#define KERASCNN_KERNELS_SAF_POOL2D_BODY_H_

#include <cstdint>

#include "common/types.h"

namespace kerascnn {

// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.
constexpr uint32_t kPhiloxMultiplier0 = 0xd2511f53u, kPhiloxMultiplier1 = 0xcd9e8d57u;
constexpr uint32_t kPhiloxWeyl0 = 0x9e3779b9u, kPhiloxWeyl1 = 0xbb67ae85u;
constexpr int kPhiloxRounds = 10;

// The four random words of block `counter` under the key.
KERASCNN_INLINE void PhiloxBlock(uint64_t counter, uint32_t key0, uint32_t key1, uint32_t* words) {
  uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32), c2 = 0, c3 = 0;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(kPhiloxMultiplier0) * c0;
    const uint64_t p1 = static_cast<uint64_t>(kPhiloxMultiplier1) * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ key0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ key1;
    c3 = static_cast<uint32_t>(p0);
    key0 += kPhiloxWeyl0;
    key1 += kPhiloxWeyl1;
  }
  words[0] = c0, words[1] = c1, words[2] = c2, words[3] = c3;
}

// Where the search for a maximum of T starts, in the type it computes in: what tf.nn.max_pool returns for a window
// of nothing but NaN. The lowest finite number, or minus infinity for the 16-bit types.
template <typename T>
KERASCNN_INLINE Compute<T> SafLowest() {
  return BitCast<float>(0xff800000u);
}
template <>
KERASCNN_INLINE float SafLowest<float>() {
  return -3.402823466385288598e+38f;
}
template <>
KERASCNN_INLINE double SafLowest<double>() {
  return -1.797693134862315708e+308;
}

// One tap of the search. Start with *best = SafLowest<T>() and *at = the first tap inside the image, and go through the
// taps in order.
template <typename C, typename Tap>
KERASCNN_INLINE void SafStep(C value, Tap tap, C* best, Tap* at) {
  const bool greater = value > *best;  // false for NaN
  *best = greater ? value : *best;
  *at = greater ? tap : *at;
}

// An inclusive range [first, last], empty where last < first.
struct SafRange {
  int64_t first, last;
};

// The taps of window `output` along one axis that lie inside the image; never empty where there is an image.
KERASCNN_INLINE SafRange SafTapsInside(int64_t output, int64_t size, int64_t window, int64_t stride, int64_t before) {
  const int64_t start = output * stride - before, last = size - 1 - start;
  return {start < 0 ? -start : 0, last < window - 1 ? last : window - 1};
}

// The outputs along one axis whose window holds `pixel`; its tap in `output` is pixel + before - output * stride.
KERASCNN_INLINE SafRange SafOutputsOf(int64_t pixel, int64_t outputs, int64_t window, int64_t stride, int64_t before) {
  const int64_t from = pixel + before, late = from - window;
  const int64_t first = late < 0 ? 0 : late / stride + 1, last = from / stride;
  return {first, last < outputs - 1 ? last : outputs - 1};
}

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_SAF_POOL2D_BODY_H_
