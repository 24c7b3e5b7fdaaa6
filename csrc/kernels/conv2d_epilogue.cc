#include "kernels/conv2d_epilogue.h"

#include "common/simd.h"
#include "common/types.h"

#define KERASCNN_SIMD_FILE "kernels/conv2d_epilogue.inc"
#include "common/simd_foreach.h"

namespace kerascnn {

template <typename T>
void ApplyEpilogue(const Conv2DEpilogue<T>& epilogue, int64_t channel, int64_t channels, int64_t lines, int64_t line,
                   int64_t pixels, int64_t step, T* y) {
  if (epilogue.bias == nullptr && !epilogue.relu) return;
  for (int64_t i = 0; i < lines; ++i) {
    KERASCNN_SIMD_CALL(EpilogueLine(epilogue, channel, channels, pixels, step, y + i * line));
  }
}

#define KERASCNN_INSTANTIATE(T) \
  template void ApplyEpilogue<T>(const Conv2DEpilogue<T>&, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, T*);
KERASCNN_INSTANTIATE(float)
KERASCNN_INSTANTIATE(double)
KERASCNN_INSTANTIATE(bfloat16)
KERASCNN_INSTANTIATE(half)
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
