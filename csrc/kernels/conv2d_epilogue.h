// What may follow conv2d at inference, done while its results are in the caches: y + bias, then max(0, y).
//
// Each is rounded to the stored type, so that the result is that of separate ops, bit for bit.
#ifndef KERASCNN_KERNELS_CONV2D_EPILOGUE_H_
#define KERASCNN_KERNELS_CONV2D_EPILOGUE_H_

#include <cstdint>

namespace kerascnn {

template <typename T>
struct Conv2DEpilogue {
  const T* bias = nullptr;  // [filters], or absent
  bool relu = false;
};

// Channels [channel, channel + channels) of `lines` x `pixels` results; `y` points to the first, `line` and `step` are
// the distances of rows and of pixels.
template <typename T>
void ApplyEpilogue(const Conv2DEpilogue<T>& epilogue, int64_t channel, int64_t channels, int64_t lines, int64_t line,
                   int64_t pixels, int64_t step, T* y);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_CONV2D_EPILOGUE_H_
