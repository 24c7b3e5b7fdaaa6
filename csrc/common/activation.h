// What follows a convolution or stands alone, element by element.
#ifndef KERASCNN_COMMON_ACTIVATION_H_
#define KERASCNN_COMMON_ACTIVATION_H_

#include <cstdint>

namespace kerascnn {

// The numbers are those of serialized programs (kernels/program.h) and never change.
enum class Activation : int64_t {
  kLinear = 0,
  kRelu = 1,
  kRelu6 = 2,
  kSilu = 3,         // x / (1 + exp(-x))
  kHardSwish = 4,    // x * hard sigmoid
  kHardSigmoid = 5,  // min(max(x + 3, 0), 6) / 6
  kSigmoid = 6,
  kGelu = 7,      // x (1 + erf(x / sqrt(2))) / 2
  kGeluTanh = 8,  // x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
  kTanh = 9,
};
constexpr int64_t kActivations = 10;

// Whether the activation only cuts off, which costs two instructions where a sum is stored anyway.
inline bool IsClamp(Activation activation) { return activation <= Activation::kRelu6; }

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_ACTIVATION_H_
